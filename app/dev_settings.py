"""What a running `flask jobs dev` has its app use, for the other `flask` commands of its folder."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

FOLDER = Path("instance")
FILE = FOLDER / "flask-jobs-dev.json"
#: Where an app may look for the address of its database; the last is for `from_prefixed_env`.
DATABASE_NAMES = ("DATABASE_URL", "SQLALCHEMY_DATABASE_URI", "FLASK_SQLALCHEMY_DATABASE_URI")

#: Linux's: the environment that this process was started with.
_BEGUN_WITH = Path("/proc/self/environ")

_before: dict[str, str | None] = {}


def make_folder() -> Path:
    """Create the folder for what development leaves behind, which git then ignores."""
    if not FOLDER.exists():
        FOLDER.mkdir()
        (FOLDER / ".gitignore").write_text("*\n")
    return FOLDER


def publish(settings: Mapping[str, str]) -> IO[str] | None:
    """Leave the settings to others for as long as the returned file is open.

    Returns:
        The file; None where another `flask jobs dev` of this folder has left its own.
    """
    # The password of the database may be in it.
    file = os.fdopen(os.open(make_folder() / FILE.name, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        os.lockf(file.fileno(), os.F_TLOCK, 0)
    except OSError:
        file.close()
        return None
    file.truncate()
    json.dump(dict(settings), file)
    file.flush()
    return file


def join() -> None:
    """Take over the settings of the `flask jobs dev` that runs in this folder, if any.

    They come before those in .env. What the shell has exported itself keeps its value: for the
    address of a database, by whatever name.
    """
    found = _published()
    own = _exported(found) if found else set()
    if not own.isdisjoint(DATABASE_NAMES):
        own.update(DATABASE_NAMES)
    taken = {name: value for name, value in found.items() if name not in own}
    _before.update({name: os.environ.get(name) for name in taken})
    os.environ.update(taken)


def leave() -> None:
    """Undo `join`, for one more `flask jobs dev` beside the one that runs."""
    for name, value in _before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _before.clear()


def _published() -> dict[str, str]:
    with suppress(OSError, ValueError), FILE.open() as file:
        try:
            os.lockf(file.fileno(), os.F_TEST, 0)
        except OSError:  # somebody holds it, and so runs
            return dict(json.load(file))
    return {}


def _exported(names: Iterable[str]) -> set[str]:
    """Return which of the names the shell has set, rather than .env, which `flask` has read."""
    with suppress(OSError):
        begun_with = {line.partition(b"=")[0] for line in _BEGUN_WITH.read_bytes().split(b"\0")}
        return {name for name in names if name.encode() in begun_with}
    # Where nothing tells, such as on macOS, what .env says as well is taken for its own.
    of_file = _in_env_file()
    return {name for name in names if os.environ.get(name) not in (None, of_file.get(name))}


def _in_env_file() -> Mapping[str, str | None]:
    if find_spec("dotenv") is None:
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 - only where the extra is

    return dotenv_values(".env")
