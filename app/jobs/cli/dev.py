"""`flask jobs dev`: the app, a local QStash server and its database, stopped by one Ctrl-C."""

import errno
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from socket import socket
from types import FrameType
from urllib.parse import urlsplit

import click
from click.core import ParameterSource
from flask.cli import ScriptInfo

from ... import dev_settings
from ...lifeline import Process, Processes
from ...ports import listen
from . import dev_database
from .group import Refused, jobs, needs_writing

HOST, PORT, QSTASH_PORT = "127.0.0.1", 5000, 8080
#: In development nobody installs the schedule that has QStash ask for a sweep.
_SWEEP_EVERY = "10"
#: What is closed elsewhere, and open to this machine in development.
_OPEN = {"JOBS_METRICS_OPEN": "true", "JOBS_DASHBOARD": "local"}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to run, by the options of the command.

    Attributes:
        flask: How `flask` is called for the app.
        app: Where the app will listen.
        qstash: A socket that the local QStash server takes over.
        server: The options of the local QStash server.
        postgres: Whether to run an embedded PostgreSQL; None where the app has no other.
    """

    flask: list[str]
    app: int
    qstash: socket
    server: list[str]
    postgres: bool | None


@jobs.command("dev", with_appcontext=False)
@click.option(
    "--port",
    default=PORT,
    show_default=True,
    envvar="FLASK_RUN_PORT",
    type=click.IntRange(1, 65535),
    help="Port of the app; where the default is taken, any other.",
)
@click.option(
    "--qstash-port",
    default=QSTASH_PORT,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port of the local QStash server; where the default is taken, any other.",
)
@click.option(
    "--postgres/--no-postgres",
    default=None,
    help="Run an embedded PostgreSQL, or never.  [default: where the app has no database address]",
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
    postgres: bool | None,
    speed: float,
    state: str | None,
    memory: bool,
) -> None:
    r"""Run the app and a local QStash server until Ctrl-C.

    It is `flask qstash dev` beside `flask run`. The app gets the settings for the local server as
    environment variables, which come before those in .env. An app without the address of a database
    gets an embedded PostgreSQL, as DATABASE_URL and SQLALCHEMY_DATABASE_URI; its data stays in
    instance/postgres.

    \b
    Examples:
      flask jobs dev
      flask --app shop --debug jobs dev --port 8000
    """
    if find_spec("aiohttp") is None:
        raise Refused("the local QStash server needs more: pip install 'flask-qstash-jobs[dev]'")
    app = ctx.ensure_object(ScriptInfo).app_import_path
    kept = [*(["--state", state] if state else []), *(["--memory"] if memory else [])]
    _check_folder()
    _stop_at_signals()
    dev_settings.leave()
    with _taken(ctx, "port", port) as one, _taken(ctx, "qstash_port", qstash_port) as qstash:
        wanted = Wanted(
            flask=[sys.executable, "-m", "flask", *(["--app", app] if app else [])],
            app=one.getsockname()[1],
            qstash=qstash,
            server=["--speed", str(speed), *kept],
            postgres=postgres,
        )
        one.close()
        sys.exit(_run(wanted, ctx.ensure_object(ScriptInfo)))


def _check_folder() -> None:
    """Create the folder for what stays.

    Raises:
        Refused: Nothing can be written there.
    """
    with needs_writing(f"{dev_settings.FOLDER}/"):
        if not os.access(dev_settings.make_folder(), os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def _taken(ctx: click.Context, name: str, port: int) -> Iterator[socket]:
    """Yield a socket that listens on a port: on another one where nobody has asked for this.

    Raises:
        Refused: Somebody has, and it is taken.
    """
    with listen(port) as made:
        asked = ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
        if asked and made.getsockname()[1] != port:
            option = f"--{name.replace('_', '-')}"
            raise Refused(f"port {port} is taken: give another as {option}, or leave it out")
        yield made


def _run(wanted: Wanted, info: ScriptInfo) -> int:
    """Run all that is wanted until the first of it ends, and return its exit code."""
    needed = settings(wanted.app, wanted.qstash.getsockname()[1])
    with ExitStack() as stack:
        if _is_embedded(wanted, info, needed):
            folder = dev_settings.make_folder()
            needed |= stack.enter_context(dev_database.embedded(folder))
            # What is wrong it has said; the app may start nevertheless.
            subprocess.run(  # noqa: S603 - ours
                [*wanted.flask, "jobs", "db", "upgrade"], env={**os.environ, **needed}, check=False
            )
        if published := dev_settings.publish(needed):
            stack.enter_context(published)
        processes = stack.enter_context(Processes())
        descriptor = wanted.qstash.fileno()
        command = [*wanted.flask, "qstash", "dev", "--listening", str(descriptor), *wanted.server]
        _await(processes.start(command, inherits=[descriptor], stdout=subprocess.PIPE))
        wanted.qstash.close()
        tell_others(needed, is_joined=published is not None)
        run = [*wanted.flask, "run", "--host", HOST, "--port", str(wanted.app)]
        processes.start(run, {**_OPEN, **os.environ, **needed})
        if dashboard := dashboard_address(info, needed):
            click.echo(f"Dashboard: {dashboard}")
        return processes.first_end()


def _is_embedded(wanted: Wanted, info: ScriptInfo, needed: dict[str, str]) -> bool:
    if wanted.postgres is not None:
        return wanted.postgres
    return dev_database.is_needed(info, needed)


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
        "the local QStash server did not start; beside another one in this folder, give --state "
        "(or --memory) of its own"
    )


def tell_others(needed: Mapping[str, str], *, is_joined: bool) -> None:
    """Print the settings that other programs, which get those of the shell and .env, lack.

    Args:
        needed: What the app gets.
        is_joined: Whether other `flask` commands in this folder find it by themselves.
    """
    lacking = {
        name: value
        for name, value in needed.items()
        if os.environ.get(name) != value and name not in dev_settings.DATABASE_NAMES[1:]
    }
    if not lacking:
        return
    if is_joined:
        click.echo("`flask` commands in this folder use these by themselves; other programs need:")
    else:
        click.echo("In other shells, for `flask jobs enqueue` and the like:")
    for name, value in lacking.items():
        click.echo(f"  export {name}={shlex.quote(value)}")


def dashboard_address(info: ScriptInfo, needed: Mapping[str, str]) -> str | None:
    """Return where the dashboard of the app is; None where it has none, or does not start yet."""
    before = dict(os.environ)
    os.environ.update({**_OPEN, **before, **needed})
    try:
        app = info.load_app()
    except (Exception, SystemExit):  # noqa: BLE001 - it says what is amiss when it is run
        return None
    finally:
        os.environ.clear()
        os.environ.update(before)
    if "jobs_dashboard" not in app.blueprints or app.config["JOBS_DASHBOARD"] == "off":
        return None
    return f"{needed['BASE_URL']}{app.config['JOBS_DASHBOARD_PREFIX']}"


def _stop_at_signals() -> None:
    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
