"""`flask jobs dev`: the app and a local QStash server, stopped by one Ctrl-C."""

import os
import shlex
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec
from types import FrameType
from urllib.parse import urlsplit

import click
from flask.cli import ScriptInfo

from .group import Refused, jobs

HOST, PORT, QSTASH_PORT = "127.0.0.1", 5000, 8080
#: In development nobody installs the schedule that has QStash ask for a sweep.
_SWEEP_EVERY = "10"
_READY = "Local QStash is running"

Process = subprocess.Popen[str]


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
    environment = {**os.environ, **settings(port, qstash_port)}
    server = [*flask, "qstash", "dev", "--port", str(qstash_port), "--speed", str(speed)]
    processes: list[Process] = []
    _stop_at_sigterm()
    try:
        kept = [*(["--state", state] if state else []), *(["--memory"] if memory else [])]
        processes.append(_started([*server, *kept]))
        tell_others(settings(port, qstash_port))
        run = [*flask, *path, "run", "--host", HOST, "--port", str(port)]
        processes.append(subprocess.Popen(run, env=environment, text=True))  # noqa: S603 - ours
        code = _first_end(processes)
    except KeyboardInterrupt:
        code = 0
    finally:
        _end(processes)
    sys.exit(code)


def _started(command: list[str]) -> Process:
    """Start the QStash server, and return once it listens.

    Raises:
        Refused: It has ended instead, and has said why.
    """
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    for line in server.stdout or ():
        if line.startswith(_READY):
            click.echo(line, nl=False)
            return server
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


def _first_end(processes: list[Process]) -> int:
    """Wait until one of them ends, and return its exit code."""
    ended = threading.Event()

    def wait(process: Process) -> None:
        process.wait()
        ended.set()

    for process in processes:
        threading.Thread(target=wait, args=(process,), daemon=True).start()
    ended.wait()
    return next((one.returncode for one in processes if one.returncode is not None), 0)


def _end(processes: list[Process]) -> None:
    # At a Ctrl-C the terminal has told them already.
    for process in reversed(processes):
        if process.poll() is None:
            process.terminate()
    for process in processes:
        process.wait()


def _stop_at_sigterm() -> None:
    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
