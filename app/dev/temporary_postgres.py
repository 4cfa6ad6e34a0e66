"""A PostgreSQL for one run of the tests."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.dev.reaper import Reaper
from app.embedded_postgres.server import Server


@contextmanager
def temporary_server() -> Iterator[Server]:
    """Run a fast, non-durable server for a test run; even `kill -9` leaves nothing behind."""
    with Reaper() as reaper:
        folder = Path(tempfile.mkdtemp(prefix="flask-qstash-jobs-"))
        reaper.tell(f"folder {folder}")
        folder.chmod(0o711)  # as root, so that PostgreSQL's account can enter
        server = Server(folder / "postgres", durable=False)
        reaper.tell(f"postgres {folder / 'postgres'}")
        server.start()
        yield server
