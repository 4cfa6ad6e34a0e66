"""Node with packages of npm's, which tests install as locked the first time."""

import fcntl
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

#: Where the JavaScript SDK's tests and its lock are.
SUITE = Path(__file__).parent.parent / "local_qstash" / "js"
MODULES = SUITE / "node_modules"
# What npm says when there is no registry to be reached; anything else is a failure of ours.
_OFFLINE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED"
)


@pytest.fixture(scope="session")
def node() -> str:
    """Return the path of Node, after the SDK has been installed as locked if it is missing."""
    return node_with(SUITE)


def node_with(folder: Path) -> str:
    """Return the path of Node, after what a folder's lock names has been installed in it."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("Node and npm are not on this machine: nothing in JavaScript is tried")
    with (folder / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of pytest-xdist come at the same time
        if not _is_installed(folder):
            _install(npm, folder)
    return found


def _is_installed(folder: Path) -> bool:
    wanted = json.loads((folder / "package.json").read_text())["devDependencies"]
    return all(_version(folder, name) == version for name, version in wanted.items())


def _version(folder: Path, package: str) -> str | None:
    described = folder / "node_modules" / package / "package.json"
    return str(json.loads(described.read_text())["version"]) if described.exists() else None


def _install(npm: str, folder: Path) -> None:
    command = [npm, "ci", "--fetch-retries=0", "--fetch-timeout=20000"]
    done = subprocess.run(  # noqa: S603 - npm with our own lock
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    if done.returncode and _OFFLINE.search(done.stderr):
        pytest.skip(f"what {folder.name} needs cannot be installed: npm reaches no registry")
    assert done.returncode == 0, done.stderr
