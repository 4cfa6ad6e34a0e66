"""The PostgreSQL of a benchmark that may be told to measure one that is there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.embedded_postgres.server import Server


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Yield the URL of TEST_DATABASE_URL, or else of a server that is there only for this."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder.chmod(0o711)  # as root, so that PostgreSQL's account can enter
    own = Server(folder / "postgres")
    own.start()
    try:
        yield own.create_database("benchmark")
    finally:
        own.destroy()
