"""Node with QStash's JavaScript SDK, which tests install as locked the first time."""

import fcntl
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

#: Where the SDK's tests and its lock are.
SUITE = Path(__file__).parent.parent / "local_qstash" / "js"
MODULES = SUITE / "node_modules"
_SDK = MODULES / "@upstash" / "qstash"
# What npm says when there is no registry to be reached; anything else is a failure of ours.
_OFFLINE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED"
)


@pytest.fixture(scope="session")
def node() -> str:
    """Return the path of Node, after the SDK has been installed as locked if it is missing."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("Node and npm are not on this machine: the JavaScript SDK is not tried")
    with (SUITE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of pytest-xdist come at the same time
        if not _is_installed():
            _install(npm)
    return found


def _is_installed() -> bool:
    if not _SDK.exists():
        return False
    installed, wanted = (json.loads((path / "package.json").read_text()) for path in (_SDK, SUITE))
    return bool(installed["version"] == wanted["devDependencies"]["@upstash/qstash"])


def _install(npm: str) -> None:
    command = [npm, "ci", "--fetch-retries=0", "--fetch-timeout=20000"]
    done = subprocess.run(  # noqa: S603 - npm with our own lock
        command, cwd=SUITE, capture_output=True, text=True, timeout=100, check=False
    )
    if done.returncode and _OFFLINE.search(done.stderr):
        pytest.skip("@upstash/qstash cannot be installed: npm reaches no registry")
    assert done.returncode == 0, done.stderr
