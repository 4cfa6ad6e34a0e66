"""The way of a job is short to read: see `tests/reading_path.py`, which prints it."""

import pytest
from flask import Flask

from tests.reading_path import MOST_FILES, MOST_FRAMES, measure


@pytest.mark.usefixtures("qstash")
def test_few_files_and_few_frames_lie_between_enqueue_and_the_answer(app: Flask) -> None:
    path = measure(app)

    assert {"enqueue/enqueuer.py", "execute/executor.py"} <= set(path.executed)
    assert len(path.executed) <= MOST_FILES, path.executed
    assert 1 <= len(path.delivery.frames) <= MOST_FRAMES, path.delivery.frames
