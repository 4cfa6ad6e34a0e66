"""One system at work: its workers, its queue server and its producer, from start to stop."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from app.ports import free_port
from benchmarks.peers.apps.note import NOTE
from benchmarks.peers.servers import PRODUCER, Postgres, Redis
from benchmarks.peers.systems import APPS, System
from benchmarks.support.processes import await_port, cpu_seconds, memory_mb, running, tail, tree

#: So many that each thread has connected before anything is measured.
WARM_UP = 100
_PATIENCE = 300


class Usage(NamedTuple):
    """What has been used so far: CPU in seconds, WAL in bytes, and the time."""

    workers: float
    server: float
    postgres: float
    producers: float
    wal: int
    time: float


class Executed(NamedTuple):
    """What the producer says of its part, and each job's milliseconds from its enqueue."""

    said: dict[str, Any]
    took: list[float]


class Team:
    """The processes of a system; `start` makes one.

    Attributes:
        system: What they run.
    """

    def __init__(
        self,
        system: System,
        folder: Path,
        postgres: Postgres,
        redis: Redis | None,
        env: dict[str, str],
    ) -> None:
        self.system = system
        self._notes = folder / f"{system.name}.notes"
        self._notes.write_bytes(b"")
        self._log = folder / f"{system.name}.log"
        self._postgres = postgres
        self._env = {**env, "BENCH_NOTES": str(self._notes)}
        self._workers: list[int] = []
        self._server = redis.pid if redis and system.needs_redis else 0

    def setup(self, database: str) -> None:
        """Create what the system needs in a database, or wherever it keeps its jobs."""
        with ExitStack() as stack:
            self._start_producer({**self._env, **addresses(database)}, stack)
            self.ask("setup")

    @contextmanager
    def at_work(
        self, database: str, producers_database: str = "", *, unhurried: bool = False
    ) -> Iterator[dict[str, str]]:
        """Run everything, warmed up, and yield the environment of its processes.

        Args:
            database: the URL of the system's database.
            producers_database: another way to it, for the producer alone.
            unhurried: what the producer may write later, it writes only at its end.
        """
        with ExitStack() as stack:
            env = {**self._env, **addresses(database)}
            if self.system.root:
                env |= self._qstash(env, stack)
            own = {"BENCH_UNHURRIED": "1"} if unhurried else {}
            self._start_producer({**env, **own, **addresses(producers_database or database)}, stack)
            for _ in range(self.system.processes if self.system.worker else 0):
                self._start_worker(env, stack)
            if self._workers:
                self.execute("bulk", count=WARM_UP, meanwhile=self.workers_stopped)
            yield env
        self._workers.clear()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have the producer do something, and return what it says."""
        asked = json.dumps({"do": do, **arguments})
        assert self._producer.stdin
        assert self._producer.stdout
        self._producer.stdin.write(f"{asked}\n".encode())
        self._producer.stdin.flush()
        answer = self._producer.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.system.label} could not {do}:\n{tail(self._log)}")
        return json.loads(answer)

    def execute(
        self,
        do: str,
        *,
        count: int,
        meanwhile: Callable[[], AbstractContextManager[object]] = nullcontext,
        **arguments: Any,
    ) -> Executed:
        """Enqueue jobs, in a context of the caller's, and wait until each is recorded."""
        noted, recorded = self._noted(), self.ask("recorded")
        with meanwhile():
            said = self.ask(do, count=count, **arguments)
        give_up_at = time.monotonic() + _PATIENCE
        while self._noted() < noted + count or self.ask("recorded") < recorded + count:
            if time.monotonic() > give_up_at:
                raise SystemExit(
                    f"{self.system.label} ran {self._noted() - noted} of {count} jobs and recorded"
                    f" {self.ask('recorded') - recorded} in {_PATIENCE} s:\n{tail(self._log)}"
                )
            time.sleep(0.01)
        return Executed(said, self._took(noted, count))

    @contextmanager
    def workers_stopped(self) -> Iterator[None]:
        """Keep the workers from doing anything, so that nothing runs before all is enqueued."""
        pids = [pid for worker in self._workers for pid in tree(worker)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def usage(self) -> Usage:
        postgres, producers = self._postgres.cpu()
        return Usage(
            sum(map(cpu_seconds, self._workers)),
            cpu_seconds(self._server) if self._server else 0,
            postgres,
            producers,
            self._postgres.wal(),
            time.monotonic(),
        )

    def memory(self) -> dict[str, float]:
        """Return the megabytes of the workers, all together, and of the queue server."""
        server = memory_mb(self._server) if self._server else 0
        return {"memory_workers": sum(map(memory_mb, self._workers)), "memory_server": server}

    def _noted(self) -> int:
        return self._notes.stat().st_size // NOTE.size

    def _took(self, noted: int, count: int) -> list[float]:
        notes = self._notes.read_bytes()[noted * NOTE.size : (noted + count) * NOTE.size]
        return [(ended - sent) / 1e6 for sent, ended in NOTE.iter_unpack(notes)]

    def _start_producer(self, env: dict[str, str], stack: ExitStack) -> None:
        command = [self.system.python, str(APPS / "producer.py"), self.system.module]
        env = {**env, "PGAPPNAME": PRODUCER}
        self._producer = stack.enter_context(
            running(command, self.system.folder, env, self._log, answers=True)
        )

    def _start_worker(self, env: dict[str, str], stack: ExitStack) -> None:
        command, folder = self.system.worker, self.system.folder
        process = stack.enter_context(running(command, folder, env, self._log))
        self._workers.append(process.pid)
        if self.system.root:
            await_port(int(env["PORT"]), process, self._log)

    def _qstash(self, env: dict[str, str], stack: ExitStack) -> dict[str, str]:
        """Start the local QStash server of the same build, which keeps its state on disk."""
        port = free_port()
        state = self._notes.with_suffix(".sqlite3")
        options = ["--port", str(port), "--state", str(state)]
        command = [sys.executable, "-m", "flask", "qstash", "dev", *options]
        process = stack.enter_context(running(command, self.system.folder, env, self._log))
        await_port(port, process, self._log)
        self._server = process.pid
        own = free_port()
        return {
            "QSTASH_URL": f"http://127.0.0.1:{port}",
            "BASE_URL": f"http://127.0.0.1:{own}",
            "PORT": str(own),
        }


def start(system: System, folder: Path, postgres: Postgres, redis: Redis | None) -> Team:
    """Return a team that is ready to work, with an environment that has nothing of this one's."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {"PGSSLMODE": "disable", "PGGSSENCMODE": "disable", **system.environment()}
    if redis:
        env |= {"BENCH_REDIS": redis.url, "RQ_REDIS_URL": f"{redis.url}/1"}
    return Team(system, folder, postgres, redis, env)


def addresses(database: str) -> dict[str, str]:
    """Return a database's address as the systems take it."""
    sqlalchemy = database.replace("postgresql://", "postgresql+psycopg://")
    return {"BENCH_DATABASE": database, "DATABASE_URL": sqlalchemy}
