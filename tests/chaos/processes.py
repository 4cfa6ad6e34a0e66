"""The stack as processes that can be killed and started again at the same addresses."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg

from app.config import DEV_QSTASH
from app.embedded_postgres.server import Server
from tests.support.ports import reserved_port
from tests.support.processes import answers
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
FAULTS = (
    "drop=0.02",
    "lose-answer=0.02",
    "duplicate=0.03",
    "reorder=0.03",
    "fail=0.02:503",
    "publish-drop=0.02",
    "publish-fail=0.02:500",
)


class Processes:
    """PostgreSQL, the QStash server with its faults, gunicorn and a sweeping process."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.postgres = Server(folder / "postgres", durable=False)
        self.postgres.start()
        self.database_url = self.postgres.create_database("chaos")
        web, queue = reserved_port(), reserved_port()
        self.web_url, self.queue_url = f"http://127.0.0.1:{web}", f"http://127.0.0.1:{queue}"
        self.env = {
            **os.environ,
            **DEV_QSTASH,
            "APP_ENV": "test",
            "DATABASE_URL": self.database_url,
            "BASE_URL": self.web_url,
            "QSTASH_URL": self.queue_url,
            "PORT": str(web),
            "FLASK_APP": "tests.chaos.wsgi:app",
            "WEB_CONCURRENCY": "2",
            "LOG_LEVEL": "WARNING",
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start_all(self) -> None:
        self._run("flask", "db", "upgrade")
        self.start_queue()
        self.start_web()
        self._start("sweep", "flask", "jobs", "sweep", "--every", "2s", "--grace", "5s")

    def stop_all(self) -> None:
        for name in list(self._running):
            self._end(name, signal.SIGTERM)
        self.postgres.destroy()

    def start_web(self) -> None:
        self._start("web", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "tests.chaos.wsgi:app")
        wait_until(lambda: answers(self.web_url), "a process that starts again", 60)

    def start_queue(self) -> None:
        state = ["--state", str(self.folder / "qstash.sqlite3")]
        faults = [word for fault in FAULTS for word in ("--fault", fault)]
        port = self.queue_url.rpartition(":")[2]
        seed = ["--fault-seed", str(self.seed)]
        self._start("queue", "flask", "qstash", "dev", "--port", port, *state, *faults, *seed)
        wait_until(lambda: answers(f"{self.queue_url}/healthz"), "a process that starts again", 60)

    def kill_web(self) -> None:
        """Kill the master and all its workers at once."""
        os.killpg(self._running["web"].pid, signal.SIGKILL)
        self._end("web", signal.SIGKILL)
        self.start_web()

    def kill_worker(self) -> None:
        """Kill one worker; gunicorn starts another."""
        master = self._running["web"].pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        if children:
            os.kill(int(children[0]), signal.SIGKILL)

    def drain_web(self) -> None:
        """Stop gunicorn as a deployment does, and start it again."""
        self._end("web", signal.SIGTERM)
        self.start_web()

    def kill_queue(self) -> None:
        self._end("queue", signal.SIGKILL)
        self.start_queue()

    def kill_postgres(self) -> None:
        pid = (self.postgres.home / "cluster" / "postmaster.pid").read_text().split()[0]
        os.kill(int(pid), signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "a process that starts again", 60)
        self.postgres.start()

    def cut_connections(self) -> None:
        """End every connection to the database, as a failover does."""
        url = self.database_url.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def _run(self, *command: str) -> None:
        subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=self.env,
            check=True,
            capture_output=True,
        )

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end(self, name: str, how: signal.Signals) -> None:
        process = self._running.pop(name)
        process.send_signal(how)
        process.wait(60)
