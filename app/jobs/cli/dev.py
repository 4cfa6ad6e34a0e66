"""`flask jobs dev`: the app and a local QStash server, stopped by one Ctrl-C."""

import os
import shlex
import signal
import subprocess
import sys
from importlib.util import find_spec
from types import FrameType
from urllib.parse import urlsplit

import click
from flask.cli import ScriptInfo

from ...lifeline import Process, Processes
from .group import Refused, jobs

HOST, PORT, QSTASH_PORT = "127.0.0.1", 5000, 8080
#: In development nobody installs the schedule that has QStash ask for a sweep.
_SWEEP_EVERY = "10"
_READY = "Local QStash is running"


def settings(port: int = PORT, qstash_port: int = QSTASH_PORT) -> dict[str, str]:
    """Return what an app needs to work with the local server; the credentials are public.

    The path of BASE_URL stays: it is that of an app below a prefix.
    """
    from ...local_qstash.settings import DEVELOPMENT  # noqa: PLC0415 - an app itself has no server

    path = urlsplit(os.environ.get("BASE_URL", "")).path.rstrip("/")
    return {
        "BASE_URL": f"http://{HOST}:{port}{path}",
        "QSTASH_URL": f"http://{HOST}:{qstash_port}",
        "QSTASH_TOKEN": DEVELOPMENT.token,
        "QSTASH_CURRENT_SIGNING_KEY": DEVELOPMENT.current_signing_key,
        "QSTASH_NEXT_SIGNING_KEY": DEVELOPMENT.next_signing_key,
        "JOBS_SWEEP_EVERY": os.environ.get("JOBS_SWEEP_EVERY", _SWEEP_EVERY),
    }


@jobs.command("dev", with_appcontext=False)
@click.option(
    "--port",
    default=PORT,
    show_default=True,
    envvar="FLASK_RUN_PORT",
    type=click.IntRange(1, 65535),
    help="Port of the app.",
)
@click.option(
    "--qstash-port",
    default=QSTASH_PORT,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port of the local QStash server.",
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.001, 1_000_000),
    help="Run delays, backoff and cron this many times faster.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False),
    help="SQLite file with QStash's state; a second server in a folder needs another.",
)
@click.option("--memory", is_flag=True, help="Keep QStash's state in memory only.")
@click.pass_context
def dev(
    ctx: click.Context,
    port: int,
    qstash_port: int,
    *,
    speed: float,
    state: str | None,
    memory: bool,
) -> None:
    r"""Run the app and a local QStash server until Ctrl-C.

    It is `flask qstash dev` beside `flask run`. The app gets the settings for the local server as
    environment variables, which come before those in .env.

    \b
    Examples:
      flask jobs dev
      flask --app shop --debug jobs dev --port 8000
    """
    if find_spec("aiohttp") is None:
        raise Refused("the local QStash server needs more: pip install 'flask-qstash-jobs[dev]'")
    flask = [sys.executable, "-m", "flask"]
    app = ctx.ensure_object(ScriptInfo).app_import_path
    path = ["--app", app] if app else []
    server = [*flask, "qstash", "dev", "--port", str(qstash_port), "--speed", str(speed)]
    kept = [*(["--state", state] if state else []), *(["--memory"] if memory else [])]
    _stop_at_signals()
    with Processes() as processes:
        _await(processes.start([*server, *kept], stdout=subprocess.PIPE))
        tell_others(settings(port, qstash_port))
        run = [*flask, *path, "run", "--host", HOST, "--port", str(port)]
        processes.start(run, settings(port, qstash_port))
        sys.exit(processes.first_end())


def _await(server: Process) -> None:
    """Return once the QStash server listens.

    Raises:
        Refused: It has ended instead, and has said why.
    """
    for line in server.stdout or ():
        if line.startswith(_READY):
            click.echo(line, nl=False)
            return
    server.communicate()
    raise Refused(
        "the local QStash server did not start; beside another one, give --port, --qstash-port and "
        "--state (or --memory) of its own"
    )


def tell_others(needed: dict[str, str]) -> None:
    """Print the settings that other commands, which get those of the shell and .env, lack."""
    lacking = {name: value for name, value in needed.items() if os.environ.get(name) != value}
    if lacking:
        click.echo("In other shells, for `flask jobs enqueue` and the like:")
        for name, value in lacking.items():
            click.echo(f"  export {name}={shlex.quote(value)}")


def _stop_at_signals() -> None:
    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
