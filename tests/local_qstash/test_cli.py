"""`flask qstash dev` as a process."""

import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.local_qstash.command import announced, started
from tests.support.http_server import HttpServer


def test_it_prints_an_env_file_and_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with started("--memory", cwd=tmp_path) as process:
        told = announced(process)
        assert list(told) == [
            "QSTASH_URL",
            "QSTASH_TOKEN",
            "QSTASH_CURRENT_SIGNING_KEY",
            "QSTASH_NEXT_SIGNING_KEY",
        ]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", told["QSTASH_URL"])
        keys = _get(told, "keys")
        assert keys["current"] == told["QSTASH_CURRENT_SIGNING_KEY"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert list(tmp_path.iterdir()) == []


def _get(told: dict[str, str], path: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {told['QSTASH_TOKEN']}"}
    answer: dict[str, str] = httpx.get(f"{told['QSTASH_URL']}/v2/{path}", headers=headers).json()
    return answer


def test_it_keeps_its_state_in_the_instance_folder_over_an_interrupt(
    tmp_path: Path, destination: HttpServer
) -> None:
    with started(cwd=tmp_path) as process:
        told = announced(process)
        headers = {"Authorization": f"Bearer {told['QSTASH_TOKEN']}", "Upstash-Delay": "1s"}
        url = f"{told['QSTASH_URL']}/v2/publish/{destination.url}"
        assert httpx.post(url, headers=headers).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert (tmp_path / "instance" / "qstash.sqlite3").exists()
    with started(cwd=tmp_path):
        destination.wait()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--host", "0.0.0.0"], "the development token and keys are public"),  # noqa: S104
        (["--host", "0.0.0.0", "--token", "mine"], "and keys are public"),  # noqa: S104
        (["--memory", "--state", "x"], "cannot be used together"),
        (["--map-origin", "https://a.test"], "use origins"),
        (["--map-origin", "https://a.test/path=http://b.test"], "use origins"),
        (["--fault", "drop=2"], "the share must be from 0 to 1"),
        (["--fault", "fail=0.1:200"], "fail takes a status from 300 to 599"),
        (["--speed", "0"], "Invalid value for '--speed'"),
        (["--state", "broken"], "Cannot use the state file broken"),
        (["--memory", "--host", "192.0.2.1", "--token", "t", "--signing-keys", "a", "b"], "listen"),
    ],
)
def test_what_it_cannot_do_it_says_in_a_line(tmp_path: Path, options: list[str], word: str) -> None:
    (tmp_path / "broken").write_text("no database" * 100)
    with started(*options, cwd=tmp_path) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode not in (0, None)
    assert word in errors
    assert "Traceback" not in errors


def test_faults_and_their_seed_are_told_in_the_log(tmp_path: Path) -> None:
    options = ("--memory", "--fault", "publish-fail=1", "--fault", "drop=0", "--fault-seed", "7")
    with started(*options, cwd=tmp_path) as process:
        told = announced(process)
        headers = {"Authorization": f"Bearer {told['QSTASH_TOKEN']}"}
        url = f"{told['QSTASH_URL']}/v2/publish/http://127.0.0.1:1"
        assert httpx.post(url, headers=headers).status_code == 500
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert "Faults, seed 7: drop=0, publish-fail=1:500" in errors


def test_it_can_be_shown_to_others_with_credentials_of_ones_own(tmp_path: Path) -> None:
    environment = {"QSTASH_DEV_TOKEN": "mine", "QSTASH_DEV_SIGNING_KEYS": "sig_a sig_b"}
    options = ("--memory", "--host", "0.0.0.0")  # noqa: S104
    with started(*options, cwd=tmp_path, environment=environment) as process:
        told = announced(process)
        assert told["QSTASH_TOKEN"] == "mine"
        assert _get(told, "keys") == {"current": "sig_a", "next": "sig_b"}
