"""The files of one PostgreSQL cluster, and the programs that create, start and stop it."""

import secrets
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from os import kill
from pathlib import Path

from ..ports import free_port
from .account import Account
from .binaries import Binaries, PostgresError, find_binaries

SUPERUSER = "postgres"
START_SECONDS = 60
STOP_SECONDS = 20
TRIES = 40
# The server's message when another port may help, and when a killed predecessor still holds memory.
PORT_TAKEN = "could not create any TCP/IP sockets"
PREDECESSOR = "pre-existing shared memory block"


@dataclass(frozen=True)
class Cluster:
    """A cluster below `home`; the caller holds a lock, so no one else starts or stops it."""

    home: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.home / "cluster"

    @property
    def password(self) -> str:
        return (self.home / "password").read_text().strip()

    def create(self) -> None:
        """Create the cluster if it is missing; an incomplete one is never used."""
        if self.data.exists():
            return
        partial = self.home / "cluster.new"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        self.account.give(partial)
        self._write_password()
        self._initdb(partial)
        partial.rename(self.data)

    def running_port(self) -> int | None:
        """Return the port of the running server, or None.

        The pid file of a server that was killed is deleted: PostgreSQL would refuse to start
        if its process id now belonged to another program.
        """
        pid = self._recorded_pid()
        if pid is None:
            return None
        if not _is_postgres(pid):
            self._pid_file.unlink(missing_ok=True)
            return None
        # Line 4: https://www.postgresql.org/docs/current/storage-file-layout.html
        return int(self._pid_file.read_text().split("\n")[3])

    def launch(self, port: int, settings: Mapping[str, str]) -> int:
        """Start the server and return its port: `port`, or the last one or any when that is 0.

        Raises:
            PostgresError: it did not start; the message holds the end of its log.
        """
        binaries = self._binaries()
        said = ""
        for _, chosen in zip(range(TRIES), self._ports(port), strict=False):
            options = " ".join(f"-c {k}={v}" for k, v in {**settings, "port": chosen}.items())
            said = self._pg_ctl_start(binaries.folder, options)
            if not said:
                (self.home / "port").write_text(f"{chosen}\n")
                return chosen
            if PREDECESSOR not in said and (port or PORT_TAKEN not in said):
                break
            time.sleep(0.3)
        raise PostgresError(f"PostgreSQL in {self.home} did not start. The end of its log:\n{said}")

    def stop(self) -> None:
        """Stop the server if it runs: open transactions roll back, clients are disconnected."""
        # https://www.postgresql.org/docs/current/server-shutdown.html: fast, then immediate.
        for number in (signal.SIGINT, signal.SIGQUIT):
            pid = self._recorded_pid()
            if pid is None or not _is_postgres(pid):
                return
            with suppress(ProcessLookupError):
                kill(pid, number)
            _wait_until_gone(pid)

    @property
    def _pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def _write_password(self) -> None:
        password = self.home / "password"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(f"{secrets.token_hex(16)}\n")
        self.account.give(password)

    def _initdb(self, folder: Path) -> None:
        binaries = self.account.reachable_binaries(find_binaries())
        # macOS has no C.UTF-8.
        for locale in ("C.UTF-8", "C"):
            made = self.account.run(
                *(binaries.folder / "initdb", "--pgdata", folder, "--username", SUPERUSER),
                *("--encoding", "UTF8", "--locale", locale, "--no-sync"),
                *("--auth", "scram-sha-256", "--pwfile", self.home / "password"),
            )
            if made.returncode == 0:
                return
            if "locale" not in made.stderr:
                break
        raise PostgresError(f"initdb could not create a cluster in {folder}:\n{made.stderr}")

    def _binaries(self) -> Binaries:
        major = int((self.data / "PG_VERSION").read_text())
        try:
            return self.account.reachable_binaries(find_binaries(major))
        except PostgresError as error:
            raise PostgresError(
                f"The data in {self.home} was created by PostgreSQL {major}. {error} Or delete the"
                " folder: the next start creates a new one, and its data is lost."
            ) from error

    def _recorded_pid(self) -> int | None:
        try:
            return int(self._pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _ports(self, fixed: int) -> Iterator[int]:
        if not fixed:
            with suppress(FileNotFoundError, ValueError):
                yield int((self.home / "port").read_text())
        while True:
            yield fixed or free_port()

    def _pg_ctl_start(self, programs: Path, options: str) -> str:
        """Return the server's log if it did not start, otherwise an empty text."""
        log = self.data / "server.log"
        before = log.stat().st_size if log.exists() else 0
        started = self.account.run(
            *(programs / "pg_ctl", "start", "--pgdata", self.data, "--log", log),
            *("--wait", "--timeout", str(START_SECONDS), "--options", options),
        )
        if started.returncode == 0:
            return ""
        return started.stderr + log.read_bytes()[before:].decode(errors="replace")[-2000:]


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while _is_postgres(pid) and time.monotonic() < deadline:
        time.sleep(0.02)


def _is_postgres(pid: int) -> bool:
    """Tell whether this process is a running PostgreSQL server, not another with a reused id."""
    if Path("/proc/self/stat").exists():
        return _is_postgres_by_proc(pid)
    try:
        kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _is_postgres_by_proc(pid: int) -> bool:
    try:
        # proc(5): "pid (program) state …"; Z is a zombie, X is dead.
        program, state = Path(f"/proc/{pid}/stat").read_text().split(" (", 1)[1].rsplit(") ", 1)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return program in ("postgres", "postmaster") and state[0] not in "ZX"
