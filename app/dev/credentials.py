"""The local queue's token and keys: each instance has its own, and keeps them across restarts.

So one checkout can never publish to another's queue. Clients that only know the
credentials of Upstash's development server are served with `QSTASH_DEV_CREDENTIALS=published`.
"""

import json
import secrets
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from app.dev.runner import RunnerError
from app.local_qstash.settings import DEVELOPMENT, Credentials

SETTING = "QSTASH_DEV_CREDENTIALS"


def settings(instance: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return them by their names in the environment, and the instance's name.

    Raises:
        RunnerError: The setting is neither `own` nor `published`.
    """
    wanted = given.get(SETTING) or "own"
    if wanted not in ("own", "published"):
        raise RunnerError(f"{SETTING}={wanted}: must be own (the default) or published.")
    name, own = _kept(instance / "credentials.json")
    found = _by_name(DEVELOPMENT) if wanted == "published" else own
    # Setting one of these without QSTASH_URL means the local queue.
    return {"DEV_INSTANCE": name, **{key: given.get(key) or found[key] for key in found}}


def _kept(file: Path) -> tuple[str, dict[str, str]]:
    """Return the instance's name and its credentials, creating them if missing."""
    try:
        kept = json.loads(file.read_text())
        return kept["name"], kept["qstash"]
    except (OSError, ValueError, KeyError):
        name, own = _made()
    partial = file.with_suffix(".new")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(json.dumps({"name": name, "qstash": own}, indent=2) + "\n")
    partial.replace(file)
    return name, own


def _made() -> tuple[str, dict[str, str]]:
    name = f"dev-{secrets.token_hex(4)}"
    # In QStash's format.
    user = json.dumps({"UserID": name, "Password": secrets.token_hex(16)})
    keys = (f"sig_{secrets.token_hex(14)}" for _ in range(2))
    return name, _by_name(Credentials(b64encode(user.encode()).decode(), *keys))


def _by_name(credentials: Credentials) -> dict[str, str]:
    return {
        "QSTASH_TOKEN": credentials.token,
        "QSTASH_CURRENT_SIGNING_KEY": credentials.current_signing_key,
        "QSTASH_NEXT_SIGNING_KEY": credentials.next_signing_key,
    }
