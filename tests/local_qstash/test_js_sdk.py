"""Every noun of the official JavaScript SDK: js/*.test.mjs, run by Node against a server."""

import fcntl
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.local_qstash.testing import LocalQStash

SUITE = Path(__file__).parent / "js"
_SDK = SUITE / "node_modules" / "@upstash" / "qstash"
# What npm says when there is no registry to be reached; anything else is a failure of ours.
_OFFLINE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED"
)
_SECONDS = 60  # for the tests of one noun, which take about one


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


@pytest.mark.parametrize("noun", sorted(path.name for path in SUITE.glob("*.test.mjs")))
def test_the_javascript_sdk_cannot_tell_the_server_from_qstash(
    node: str, server: LocalQStash, noun: str
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "QSTASH_URL": server.url,
        "QSTASH_TOKEN": server.token,
        "QSTASH_CURRENT_SIGNING_KEY": server.current_signing_key,
        "QSTASH_NEXT_SIGNING_KEY": server.next_signing_key,
    }
    done = subprocess.run(  # noqa: S603 - Node with our own file
        [node, noun], cwd=SUITE, env=environment, capture_output=True, text=True,
        timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
