"""What a running `flask jobs dev` leaves for other commands of its folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import dev_settings

RUNNING = {"BASE_URL": "http://127.0.0.1:5001", "DATABASE_URL": "postgresql://of-dev/app"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in RUNNING:
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    dev_settings.leave()


def joined(**environment: str) -> dict[str, str]:
    """Join in another process, and return what it then has."""
    code = (
        "import os; from app import dev_settings; dev_settings.join(); "
        f"print({{n: os.environ.get(n, '') for n in {list(RUNNING)}}})"
    )
    root = str(Path(__file__).parents[1])
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(eval(done.stdout))  # noqa: S307 - ours


def test_others_have_them_while_it_runs(folder: Path) -> None:
    held = dev_settings.publish(RUNNING)
    assert held
    with held:
        assert joined() == RUNNING
        assert (folder / dev_settings.FILE).stat().st_mode & 0o077 == 0
        assert (folder / "instance/.gitignore").read_text() == "*\n"

    assert set(joined().values()) == {""}


def test_they_come_before_those_of_the_env_file_and_after_the_shell_s(folder: Path) -> None:
    (folder / ".env").write_text("BASE_URL=http://127.0.0.1:5000\n")
    held = dev_settings.publish(RUNNING)
    assert held
    with held:
        assert joined(BASE_URL="http://127.0.0.1:5000") == RUNNING
        of_shell = {"BASE_URL": "https://example.com", "DATABASE_URL": ""}
        assert joined(BASE_URL="https://example.com") == of_shell


def test_a_second_one_leaves_the_first_one_s(folder: Path) -> None:
    code = (
        "import sys; from app import dev_settings; held = dev_settings.publish({'BASE_URL': 'x'});"
        "print('there', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as first:
        assert first.stdout
        assert first.stdout.readline()
        assert dev_settings.publish(RUNNING) is None
        dev_settings.join()
        assert os.environ["BASE_URL"] == "x"
        dev_settings.leave()
        assert "BASE_URL" not in os.environ
