"""Where a running stack can be reached, left for other commands in `instance/dev.json`."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def path(instance: Path) -> Path:
    return instance / "dev.json"


def publish(instance: Path, settings: Mapping[str, str]) -> None:
    """Write the settings, named as in the environment; they count while this process lives."""
    partial = path(instance).with_suffix(".new")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)  # the database's password is in it
    partial.write_text(json.dumps({**settings, "pid": os.getpid()}, indent=2) + "\n")
    partial.replace(path(instance))


def settings(instance: Path) -> dict[str, str]:
    """Return the settings of the running stack, or none if none runs."""
    with suppress(OSError, ValueError):
        found = json.loads(path(instance).read_text())
        os.kill(found.pop("pid"), 0)
        return dict(found)
    return {}
