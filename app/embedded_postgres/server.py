"""A PostgreSQL server with its data in a folder, for development and tests."""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from .account import Account
from .binaries import PostgresError
from .cluster import SUPERUSER, Cluster

__all__ = ["DEVELOPMENT_DATABASE", "PostgresError", "Server"]

DEVELOPMENT_DATABASE = "app"
ANSWER_SECONDS = 30
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
# Tests need not survive a crash of the machine, but they must survive `kill -9`, so
# synchronous_commit stays on; without fsync it costs next to nothing.
FORGETFUL = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB"}


class Server:
    """A PostgreSQL server with its data in a folder; start and stop it as often as you like.

    Several processes may use the same folder at once: a lock file makes them take turns.

    Args:
        data_dir: its folder; created if missing. As root it may have to move (see `home`).
        port: a fixed port of 127.0.0.1; 0 means the one used last time if free, else any.
        durable: False trades safety against machine crashes for speed, for tests.

    Attributes:
        home: the folder that actually has the data, the password and the log.
        started: whether `start` started the server, rather than finding it running.
    """

    def __init__(self, data_dir: Path, *, port: int = 0, durable: bool = True) -> None:
        account = Account.current()
        self.home = account.reachable_home(data_dir)
        self.port = port
        self.started = False
        self._settings = SETTINGS if durable else SETTINGS | FORGETFUL
        self._cluster = Cluster(self.home, account)

    def start(self) -> str:
        """Ensure that the server runs and return the URL of its maintenance database.

        Raises:
            PostgresError: it could not be started; the message holds the end of its log.
        """
        with self._lock():
            running = self._cluster.running_port()
            if running is None:
                self._cluster.create()
                self.port = self._cluster.launch(self.port, self._settings)
                self.started = True
            else:
                self.port = running
                self._await_answer()
        return self.url()

    def is_running(self) -> bool:
        with self._lock():
            return self._cluster.running_port() is not None

    def stop(self) -> None:
        """Stop the server if it runs: open transactions roll back, clients are disconnected."""
        with self._lock():
            self._cluster.stop()

    def destroy(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self.home)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Have the server run; the last process that uses it in this way stops it.

        Raises:
            PostgresError: As for `start`.
        """
        with (self.home / "in-use").open("w") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            self.start()
            try:
                yield
            finally:
                # Kept until it has stopped, so that who comes meanwhile waits, and starts it again.
                with suppress(BlockingIOError):
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database of the started server."""
        credentials = f"{SUPERUSER}:{self._cluster.password}"
        return f"postgresql+psycopg://{credentials}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create a database unless it exists, and return its URL."""
        exists = "SELECT FROM pg_database WHERE datname = %s"
        # With two commands at once, the slower one finds the name taken, or violates an index.
        taken = (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation)
        with suppress(*taken), self._connect() as connection:
            if not connection.execute(exists, [name]).rowcount:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.home / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _await_answer(self) -> None:
        """Wait for a running server that is still starting up or recovering from a crash."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise PostgresError(self._silence(error)) from error
                time.sleep(0.1)
            else:
                return

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=self._cluster.password,
            dbname="postgres",
            autocommit=True,
        )

    def _silence(self, error: psycopg.OperationalError) -> str:
        return (
            f"PostgreSQL in {self.home} runs but does not answer on port {self.port}: {error}."
            f" If it is not this server, delete {self.home}/cluster/postmaster.pid and try again."
        )
