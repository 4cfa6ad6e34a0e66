"""A PostgreSQL for one run of the tests."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.dev.postgres import Server
from app.dev.reaper import Reaper


@contextmanager
def temporary_server() -> Iterator[Server]:
    """Run a fast, forgetful server for a test run and leave nothing of it, even after `kill -9`."""
    with Reaper() as reaper:
        folder = Path(tempfile.mkdtemp(prefix="flask-qstash-jobs-"))
        reaper.tell(f"folder {folder}")
        folder.chmod(0o711)  # as root, PostgreSQL's account has to pass through
        server = Server(folder / "postgres", durable=False)
        reaper.tell(f"postgres {folder / 'postgres'}")
        server.start()
        yield server
