"""gunicorn with the project's settings and an app that misbehaves, and deliveries to it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.config import DEV_QSTASH
from app.dev.reaper import ROOT
from tests.support.ports import reserved_port
from tests.support.processes import answers
from tests.support.qstash import claims_for, envelope, token
from tests.support.waiting import wait_until

PATIENCE = 60


@dataclass
class Server:
    process: "subprocess.Popen[bytes]"
    url: str
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def workers(self) -> list[int]:
        """The processes that were started, the newest last."""
        return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", self.log)]

    def deliver(self, body: dict[str, Any], *, timeout: float = 90, **headers: str) -> int | None:
        """Post as QStash does; None where the connection is closed without an answer."""
        url = f"{self.url}/api/jobs/{body['type']}"
        raw = json.dumps(body).encode()
        sent = {"Upstash-Signature": token(claims_for(raw, url)), "Upstash-Message-Id": "msg_1"}
        sent |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        request = urllib.request.Request(url, raw, {**sent, "Content-Type": "application/json"})  # noqa: S310 - our own URL
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - likewise
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, http.client.HTTPException):
            return None

    def do(self, action: str, times: int = 1, **payload: Any) -> tuple[list[str], list[int | None]]:
        """Deliver so many deeds at once; return the jobs' ids and the answers."""
        jobs = [envelope({"action": action, **payload}, job_type="deed") for _ in range(times)]
        with ThreadPoolExecutor(times) as threads:
            return [job["jobId"] for job in jobs], list(threads.map(self.deliver, jobs))

    def is_well(self) -> bool:
        """Tell whether as many deliveries as it has threads are answered at once."""
        return self.do("nothing", 8)[1] == [200] * 8

    def await_that(self, condition: Callable[[], object], what: str) -> None:
        wait_until(condition, lambda: f"{what}:\n{self.log[-9000:]}", PATIENCE)


@contextmanager
def gunicorn(folder: Path, database_url: str, **settings: str) -> Iterator[Server]:
    port = reserved_port()
    url = f"http://127.0.0.1:{port}"
    env = {
        **os.environ,
        **DEV_QSTASH,
        "APP_ENV": "test",
        "DATABASE_URL": database_url,
        "BASE_URL": url,
        "QSTASH_URL": "http://127.0.0.1:9",
        "RESEND_API_KEY": "",
        "WEB_CONCURRENCY": "1",
        "GUNICORN_THREADS": "8",
        "PORT": str(port),
        **settings,
    }
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py")]
    log_file = folder / "gunicorn.log"
    with log_file.open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "tests.support.ill_behaved:served()"],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = Server(process, url, log_file)
    try:
        server.await_that(lambda: answers(f"{url}/healthz"), "gunicorn")
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
