"""PostgreSQL and Redis for one session, with the settings that reports state."""

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import psycopg

from app.embedded_postgres.server import Server
from app.ports import free_port
from benchmarks.support.processes import await_port, cpu_seconds, own_cpu_seconds, parent, running

#: A checkpoint has each page written to the WAL whole at its next change, which would fall on
#: whoever comes next; so there is none during the session.
POSTGRES_SETTINGS = {"checkpoint_timeout": "1d", "max_wal_size": "16GB"}
REDIS_SETTINGS = {"save": "", "appendonly": "yes", "appendfsync": "everysec"}
NO_REDIS = (
    "redis-server is not installed (Debian: apt-get install redis-server), so the systems that need"
    " it are skipped: "
)
#: What producers and this program call their connections, so that they are not counted as workers'.
PRODUCER, OBSERVER = "bench-producer", "bench-observer"


class Postgres:
    """An embedded PostgreSQL, durable as in production."""

    def __init__(
        self, folder: Path, stack: ExitStack, settings: Mapping[str, str] = POSTGRES_SETTINGS
    ) -> None:
        self._server = Server(folder / "postgres")
        self._server.start()
        stack.callback(self._server.destroy)
        self._admin = self._observer("postgres", stack)
        for name, value in settings.items():
            self._admin.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        self._admin.execute("SELECT pg_reload_conf()")
        self._postmaster = parent(self._admin.info.backend_pid)

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def version(self) -> str:
        version = self._admin.info.server_version
        return f"{version // 10_000}.{version % 10_000}"

    def create_database(self, name: str) -> str:
        """Create a database and return its URL, as libpq reads it."""
        return self._server.create_database(name).replace("+psycopg", "")

    def create_sqlalchemy_database(self, name: str) -> str:
        """Create a database and return its URL, as SQLAlchemy reads it."""
        return self._server.create_database(name)

    def through(self, url: str, port: int) -> str:
        """Return the URL of a database as it is reached by another port."""
        return url.replace(f":{self.port}/", f":{port}/")

    def wal(self) -> int:
        """Return how many bytes of WAL there have been."""
        return int(self._one("SELECT pg_current_wal_insert_lsn() - '0/0'"))

    def cpu(self) -> tuple[float, float]:
        """Return the CPU seconds of all its processes but producers', and of producers' alone.

        The first has connections that are closed, and the background processes, too.
        """
        backends = self._admin.execute(
            "SELECT pid, application_name FROM pg_stat_activity WHERE application_name = ANY(%s)",
            [[PRODUCER, OBSERVER]],
        ).fetchall()
        total = cpu_seconds(self._postmaster)
        spent = {pid: own_cpu_seconds(pid) for pid, _ in backends}
        producers = sum(spent[pid] for pid, name in backends if name == PRODUCER)
        return total - sum(spent.values()), producers

    def tables(self, database: str) -> dict[str, int]:
        """Return what the tables of a database hold, and what has been done to their rows.

        Complete only when the workers have ended: a connection reports with delay, or at its end.
        """
        with ExitStack() as stack:
            row = (
                self._observer(database, stack)
                .execute(
                    "SELECT coalesce(sum(pg_table_size(relid)), 0)::bigint,"
                    " coalesce(sum(pg_indexes_size(relid)), 0)::bigint,"
                    " coalesce(sum(n_tup_upd), 0)::bigint, coalesce(sum(n_tup_hot_upd), 0)::bigint,"
                    " coalesce(sum(n_tup_del), 0)::bigint FROM pg_stat_user_tables"
                )
                .fetchone()
            )
        assert row
        return dict(zip(("table", "indexes", "updates", "hot", "deletes"), row, strict=True))

    def _observer(self, database: str, stack: ExitStack) -> psycopg.Connection[tuple[object, ...]]:
        url = self._server.url(database).replace("+psycopg", "")
        connected = psycopg.connect(url, autocommit=True, application_name=OBSERVER)
        return stack.enter_context(connected)

    def _one(self, query: str) -> int:
        row = self._admin.execute(query.encode()).fetchone()
        assert row
        return int(str(row[0]))


class Redis:
    """The system's Redis on a free port, with an append-only file."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        port = free_port()
        options = [f"--{name}={value}" for name, value in REDIS_SETTINGS.items()]
        where = [f"--port={port}", "--bind=127.0.0.1", f"--dir={folder}"]
        command = ["redis-server", *(part for one in where + options for part in one.split("=", 1))]
        log = folder / "redis.log"
        process = stack.enter_context(running(command, folder, dict(os.environ), log))
        await_port(port, process, log)
        self.pid = process.pid
        self.port = port
        self.url = f"redis://127.0.0.1:{port}"

    @staticmethod
    def is_installed() -> bool:
        return shutil.which("redis-server") is not None
