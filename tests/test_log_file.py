"""`LOG_FILE`: a file for each day, shared by all processes."""

import glob
import logging
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask

from app import create_app
from app.config import ConfigError
from app.dev.reaper import ROOT
from app.logs import DailyFile
from tests.support.apps import settings

WRITER = """
import logging, sys
from pathlib import Path
from app.logs import DailyFile

log = logging.getLogger("writer")
log.addHandler(DailyFile(Path(sys.argv[1]), days=2))
for number in range(300):
    log.warning("[jobs] %s %s %s", sys.argv[2], number, "x" * 500)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "application.log"


def line(text: str) -> logging.LogRecord:
    return logging.LogRecord("app", logging.INFO, "", 0, text, None, None)


def test_issue_11_the_guides_command_finds_what_the_app_logs(
    app: Flask, database_url: str, file: Path
) -> None:
    before = logging.getLogger().handlers[:]
    try:
        create_app({**settings(database_url), "LOG_FILE": str(file)}, instance=file.parent)
        logging.getLogger("app.jobs").info("[jobs] Enqueueing job", extra={"jobId": "5f0c"})
    finally:
        for one in logging.getLogger().handlers:
            if isinstance(one, DailyFile):
                one.close()
        logging.basicConfig(handlers=before, force=True)

    [written] = glob.glob(f"{file.parent}/application-*.log")  # noqa: PTH207 - as a shell does
    assert Path(written).name == f"application-{date.today()}.log"  # noqa: DTZ011 - as the app
    assert re.search(r"\[jobs\] Enqueueing job  jobId=5f0c", Path(written).read_text())


def test_many_processes_write_whole_lines(file: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, file, name], cwd=ROOT)  # noqa: S603 - ours
        for name in "abcd"
    ]
    assert [one.wait(60) for one in writers] == [0] * 4

    [written] = file.parent.glob("application-*.log")
    lines = written.read_text().splitlines()
    assert len(lines) == 1200
    assert all(re.fullmatch(r"\[jobs\] [abcd] \d+ x{500}", one) for one in lines)


def test_each_day_has_a_file_and_the_old_ones_go(file: Path) -> None:
    with time_machine.travel("2026-11-28T12:00", tick=False) as clock:
        handler = DailyFile(file, days=3)
        (file.parent / "application-notes.log").write_text("not a day's")
        for number in range(5):
            handler.emit(line(f"day {number}"))
            clock.shift(timedelta(days=1))
        handler.close()

    names = sorted(one.name for one in file.parent.iterdir())
    assert names == [
        "application-2026-11-30.log",
        "application-2026-12-01.log",
        "application-2026-12-02.log",
        "application-notes.log",
    ]
    assert (file.parent / names[0]).read_text() == "day 2\n"


def test_a_file_that_cannot_be_written_is_said_at_the_start(
    app: Flask, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("no folder")
    with pytest.raises(ConfigError, match=r"LOG_FILE: .* cannot be written"):
        create_app(
            {**settings(database_url), "LOG_FILE": str(tmp_path / "taken" / "a.log")},
            instance=tmp_path,
        )


def test_an_unencodable_text_is_written_all_the_same(file: Path) -> None:
    handler = DailyFile(file, days=1)
    handler.emit(line("half an emoji: \ud83d"))
    handler.close()

    [written] = file.parent.glob("*.log")
    assert written.read_text() == "half an emoji: \\ud83d\n"
