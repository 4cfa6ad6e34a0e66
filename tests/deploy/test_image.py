"""The files of the image, served as it serves them, from a folder that cannot be written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT, in_context, instructions
from tests.support.apps import PRODUCTION
from tests.support.ports import reserved_port
from tests.support.waiting import wait_until

# root may write everywhere, unless it gives that up.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The folder /app of the image, which nobody may write to."""
    tree = tmp_path / "app"
    tree.mkdir()
    for name in in_context():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    for path in (tree, *tree.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    return tree


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    port = str(reserved_port())
    given = {"DATABASE_URL": database_url, "PORT": port, "WEB_CONCURRENCY": "1"}
    return {**PRODUCTION, **given, "HOST": "127.0.0.1", "PATH": os.defpath}


def command(name: str) -> list[str]:
    """Return what the Dockerfile has run, by this Python."""
    (found,) = (one.exec_form for one in instructions() if one.name == name)
    runs = found[1:] if found[0] == "python" else ["-m", *found]
    return [sys.executable, *runs]


def test_the_image_serves_and_its_health_check_passes(
    tree: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"

    def is_healthy() -> bool:
        check = command("HEALTHCHECK")
        run = subprocess.run(check, env=environment, stderr=subprocess.DEVNULL, check=False)  # noqa: S603 - ours
        return run.returncode == 0

    assert not is_healthy()
    serve = [*POWERLESS, *command("CMD")]
    with (
        log.open("w") as file,
        subprocess.Popen(serve, cwd=tree, env=environment, stdout=file, stderr=file) as server,  # noqa: S603 - ours
    ):
        try:
            wait_until(is_healthy, "a healthy image")
        finally:
            server.terminate()
    assert "Traceback" not in log.read_text()
    assert server.returncode == 0
