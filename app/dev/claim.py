"""One stack for each folder: who runs in it holds a lock, however that process ends."""

import fcntl
from pathlib import Path
from typing import IO

from click import ClickException

from app.config import running


class InUse(ClickException):
    """Another process works in this folder; the message says where it can be found."""


def claim(instance: Path, instead: str) -> IO[str]:
    """Take a folder for oneself until the returned file is closed, or this process ends.

    Args:
        instance: The folder; made if missing.
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
        raise InUse(f"It runs already, {where}; {instead}.") from None
    return held
