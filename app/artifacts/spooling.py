"""Working folders for writers that need to seek, such as those of XLSX and zip."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from app.artifacts.names import new_key, parse_key
from app.artifacts.stores import Stray, local_folder
from app.jobs import Job

FOLDER = "spool"


@contextmanager
def spool(job: Job | None = None) -> Iterator[Path]:
    """Yield an empty folder on this machine's disk, which is removed at the end of the block.

    If the process is killed, `orphans` finds it.
    """
    folder = local_folder() / FOLDER / str(new_key(job.id if job else None)).partition("/")[2]
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def strays() -> Iterator[Stray]:
    """List the working folders, each with the time of its newest file."""
    for folder in (local_folder() / FOLDER).glob("*"):
        key = f"{folder.name[:2]}/{folder.name}"
        if parse_key(key) is not None:
            found = [one for path in (folder, *folder.rglob("*")) if (one := _stat(path))]
            newest = max((one.st_mtime for one in found), default=0.0)
            yield Stray(
                key=key,
                place=str(folder),
                size=sum(one.st_size for one in found),
                modified_at=datetime.fromtimestamp(newest, UTC),
            )


def discard(stray: Stray) -> None:
    shutil.rmtree(stray.place, ignore_errors=True)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # its owner has just removed it
        return None
