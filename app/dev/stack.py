"""The whole system on this machine: PostgreSQL, its tables, a QStash server and the app."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app import config
from app.dev import addresses
from app.dev.ports import free_port
from app.dev.postgres import DEVELOPMENT_DATABASE, Server
from app.dev.runner import Runner, RunnerError, answers
from app.local_qstash.settings import DEVELOPMENT as QSTASH

Report = Callable[[str, str, float], None]


@dataclass(frozen=True)
class Plan:
    """What to start and where it keeps what it writes.

    Attributes:
        report: told of each part that is ready, where it is, and the seconds it took.
        settings: settings of the app that stand above its environment's.
        isolated: whether a database and a queue given in the environment are left alone.
        reload: whether the app starts anew when its code changes.
        speed: how many times faster than QStash's the local server's delays and retries are.
    """

    instance: Path
    report: Report
    settings: Mapping[str, str] = field(default_factory=dict)
    isolated: bool = False
    reload: bool = False
    speed: float = 1


def start(runner: Runner, plan: Plan) -> dict[str, str]:
    """Start what is not given by the environment and return the settings that lead to it.

    Raises:
        RunnerError: a part did not start, or this stack runs already.
        PostgresError: no PostgreSQL was found, or it did not start.
        ConfigError: a setting in the environment or `.env` is wrong.
    """
    _refuse_a_second(plan.instance)
    plan.instance.mkdir(parents=True, exist_ok=True)
    os.environ["APP_ENV"] = "development"
    config.load(plan.instance)  # reads .env, and refuses what is wrong before anything starts
    given = {} if plan.isolated else os.environ
    port = free_port(int(given.get("PORT", "8000")))
    settings = {
        **plan.settings,
        **_database(runner, plan, given),
        **_queue_settings(given),
    }
    settings["BASE_URL"] = given.get("BASE_URL", f"http://127.0.0.1:{port}")
    env = {**os.environ, **settings, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    _migrate(runner, plan, env)
    # The app first: at once a queue delivers what fell due while it was stopped. And at the end
    # nothing is delivered any more while the app finishes what it has.
    _start_web(runner, plan, env)
    if "QSTASH_URL" not in given:
        _start_queue(runner, plan, env)
    runner.delete_at_exit(addresses.path(plan.instance))
    addresses.publish(plan.instance, settings)
    return settings


def _refuse_a_second(instance: Path) -> None:
    running = addresses.running(instance)
    if running:
        raise RunnerError(f"It runs already, at {running['BASE_URL']}; stop that one first.")


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


def _queue_settings(given: Mapping[str, str]) -> dict[str, str]:
    if "QSTASH_URL" in given:
        return {}
    return {
        "QSTASH_URL": f"http://127.0.0.1:{free_port(8080)}",
        "QSTASH_TOKEN": QSTASH.token,
        "QSTASH_CURRENT_SIGNING_KEY": QSTASH.current_signing_key,
        "QSTASH_NEXT_SIGNING_KEY": QSTASH.next_signing_key,
    }


def _migrate(runner: Runner, plan: Plan, env: Mapping[str, str]) -> None:
    began = time.monotonic()
    runner.run("migrate", [sys.executable, "-m", "flask", "db", "upgrade"], env=env)
    plan.report("Tables", "up to date", time.monotonic() - began)


def _start_web(runner: Runner, plan: Plan, env: Mapping[str, str]) -> None:
    began = time.monotonic()
    reload = ["--reload"] if plan.reload else []
    local = f"http://127.0.0.1:{env['PORT']}"
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *reload, "wsgi:app"]
    runner.start("web", command, env=env, ready=answers(f"{local}/"))
    plan.report("App", local, time.monotonic() - began)


def _start_queue(runner: Runner, plan: Plan, env: Mapping[str, str]) -> None:
    began = time.monotonic()
    url = env["QSTASH_URL"]
    host, port = url.removeprefix("http://").split(":")
    state = plan.instance / "qstash.sqlite3"
    command = [sys.executable, "-m", "flask", "qstash", "dev", "--host", host, "--port", port]
    options = ["--state", str(state), "--speed", f"{plan.speed:g}"]
    runner.start("qstash", [*command, *options], env=env, ready=answers(f"{url}/healthz"))
    plan.report("QStash", url, time.monotonic() - began)
