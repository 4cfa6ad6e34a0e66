"""One stack per folder: its process holds a lock, which ends with the process."""

import fcntl
from pathlib import Path
from typing import IO

from click import ClickException

from app.config import running


class InUse(ClickException):
    """Another process uses this folder; the message says which."""


def claim(instance: Path, instead: str) -> IO[str]:
    """Lock a folder until the returned file is closed, or this process ends.

    Args:
        instance: The folder; created if missing.
        instead: What a person should do if it is taken.

    Raises:
        InUse: It is taken.
    """
    instance.mkdir(parents=True, exist_ok=True)
    held = (instance / "dev.lock").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        url = running.settings(instance).get("BASE_URL")
        where = f"at {url}" if url else "and is still starting"
        raise InUse(f"Already running, {where}; {instead}.") from None
    return held
