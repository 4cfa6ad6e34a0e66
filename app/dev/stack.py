"""The whole system on this machine: PostgreSQL, its tables, a QStash server and the app."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

from app import config
from app.config import running
from app.dev import credentials
from app.dev.claim import claim
from app.dev.runner import Runner, answers
from app.dev.web import Web
from app.embedded_postgres.server import DEVELOPMENT_DATABASE, Server
from app.ports import listen

Report = Callable[[str, str, float], None]


@dataclass(frozen=True)
class Plan:
    """What to start and where it keeps what it writes.

    Attributes:
        report: called for each part that is ready, with its address and the seconds it took.
        settings: settings of the app that override its environment.
        isolated: whether to ignore a database and a queue given in the environment.
        speed: how many times faster than real time the local server's delays and retries are.
    """

    instance: Path
    report: Report
    settings: Mapping[str, str] = field(default_factory=dict)
    isolated: bool = False
    speed: float = 1


@dataclass(frozen=True)
class Stack:
    """The running stack: the settings to reach it, and the app's process."""

    settings: dict[str, str]
    web: Web


def start(runner: Runner, plan: Plan) -> Stack:
    """Start the parts that the environment does not provide.

    Raises:
        InUse: A stack is already running in this folder.
        RunnerError: A part did not start.
        PostgresError: No PostgreSQL was found, or it did not start.
        ConfigError: A setting in the environment or `.env` is invalid.
    """
    runner.hold(claim(plan.instance, "stop that one first"))
    os.environ["APP_ENV"] = "development"
    config.load(plan.instance)  # reads .env, and rejects bad settings before anything starts
    given = {} if plan.isolated else os.environ
    web = runner.hold(listen(int(given.get("PORT", "8000")), given.get("HOST", "127.0.0.1")))
    queue = None if "QSTASH_URL" in given else runner.hold(listen(8080))
    port = web.getsockname()[1]
    settings = {
        "BASE_URL": given.get("BASE_URL", f"http://127.0.0.1:{port}"),
        **plan.settings,
        **_database(runner, plan, given),
        **_queue_settings(plan.instance, given, queue),
    }
    env = {**os.environ, **settings, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    _migrate(runner, plan, env)
    # The app first: the queue delivers at once what fell due while it was stopped. And at the end
    # it delivers nothing more while the app finishes.
    started = _start_web(plan, Web(runner, env, web))
    if queue is not None:
        _start_queue(runner, plan, env, queue)
    runner.delete_at_exit(running.path(plan.instance))
    running.publish(plan.instance, settings)
    return Stack(settings, started)


def _database(runner: Runner, plan: Plan, given: Mapping[str, str]) -> dict[str, str]:
    url = given.get("POSTGRES_URL") or given.get("DATABASE_URL")
    began = time.monotonic()
    if not url:
        server = Server(plan.instance / "postgres")
        if not server.is_running():
            runner.stop_postgres_at_exit(plan.instance / "postgres")
        server.start()
        url = server.create_database(DEVELOPMENT_DATABASE)
        plan.report("PostgreSQL", f"127.0.0.1:{server.port}", time.monotonic() - began)
    return {"DATABASE_URL": url, "POSTGRES_URL": url}


def _queue_settings(
    instance: Path, given: Mapping[str, str], queue: socket | None
) -> dict[str, str]:
    ours = credentials.settings(instance, given)
    if queue is None:
        return {"DEV_INSTANCE": ours["DEV_INSTANCE"]}
    return {"QSTASH_URL": f"http://127.0.0.1:{queue.getsockname()[1]}", **ours}


def _migrate(runner: Runner, plan: Plan, env: Mapping[str, str]) -> None:
    began = time.monotonic()
    command = [sys.executable, "-m", "flask", "db", "upgrade"]
    runner.run("migrate", command, env=env, doing="making or updating the tables …")
    plan.report("Tables", "up to date", time.monotonic() - began)


def _start_web(plan: Plan, web: Web) -> Web:
    began = time.monotonic()
    web.start()
    plan.report("App", web.url, time.monotonic() - began)
    return web


def _start_queue(runner: Runner, plan: Plan, env: Mapping[str, str], queue: socket) -> None:
    began = time.monotonic()
    url, instance = env["QSTASH_URL"], env["DEV_INSTANCE"]
    keys = f"{env['QSTASH_CURRENT_SIGNING_KEY']} {env['QSTASH_NEXT_SIGNING_KEY']}"
    # In its environment, as everyone can see arguments.
    secrets = {"QSTASH_DEV_TOKEN": env["QSTASH_TOKEN"], "QSTASH_DEV_SIGNING_KEYS": keys}
    state = plan.instance / "qstash.sqlite3"
    command = [sys.executable, "-m", "flask", "qstash", "dev", "--listening", str(queue.fileno())]
    options = ["--state", str(state), "--speed", f"{plan.speed:g}", "--instance", instance]
    runner.start(
        "qstash",
        [*command, *options],
        env={**env, **secrets},
        ready=answers(f"{url}/healthz", instance),
        inherits=[queue.fileno()],
    )
    plan.report("QStash", url, time.monotonic() - began)
