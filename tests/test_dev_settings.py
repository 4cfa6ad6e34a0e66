"""What a running `flask jobs dev` leaves for other commands of its folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import dev_settings

RUNNING = {"BASE_URL": "http://127.0.0.1:5001", "DATABASE_URL": "postgresql://of-dev/app"}

#: What `flask` does, and what it finds where there is no Linux.
READ_ENV_FILE = "import dotenv; dotenv.load_dotenv('.env')"
NOT_LINUX = "from app import dev_settings as s; s._BEGUN_WITH = s.Path('nowhere')"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in RUNNING:
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    dev_settings.leave()


def joined(*before: str, **environment: str) -> dict[str, str]:
    """Join in another process, after some statements there, and return what it then has."""
    reading = "".join(f"{one}; " for one in before)
    code = (
        f"import os; {reading}from app import dev_settings; dev_settings.join(); "
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


def test_they_come_before_those_of_the_env_file(folder: Path) -> None:
    (folder / ".env").write_text("BASE_URL=http://127.0.0.1:5000\n")
    held = dev_settings.publish(RUNNING)
    assert held
    with held:
        assert joined(READ_ENV_FILE) == RUNNING


@pytest.mark.parametrize("own", ["https://example.com", "http://127.0.0.1:5000"])
def test_what_the_shell_exports_keeps_its_value_and_the_others_are_taken_over(
    folder: Path, own: str
) -> None:
    (folder / ".env").write_text("BASE_URL=http://127.0.0.1:5000\n")
    held = dev_settings.publish(RUNNING)
    assert held
    with held:
        assert joined(READ_ENV_FILE, BASE_URL=own) == {**RUNNING, "BASE_URL": own}


def test_where_nothing_tells_what_is_exported_it_is_what_the_env_file_has_not(
    folder: Path,
) -> None:
    (folder / ".env").write_text("BASE_URL=http://127.0.0.1:5000\n")
    held = dev_settings.publish(RUNNING)
    assert held
    with held:
        assert joined(NOT_LINUX, READ_ENV_FILE) == RUNNING
        own = "https://example.com"
        assert joined(NOT_LINUX, READ_ENV_FILE, BASE_URL=own) == {**RUNNING, "BASE_URL": own}


def test_the_address_of_a_database_is_kept_by_whatever_name(folder: Path) -> None:
    held = dev_settings.publish({**RUNNING, "SQLALCHEMY_DATABASE_URI": RUNNING["DATABASE_URL"]})
    assert held
    with held:
        found = joined(SQLALCHEMY_DATABASE_URI="postgresql://mine/app")
    assert found == {"BASE_URL": RUNNING["BASE_URL"], "DATABASE_URL": ""}


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
