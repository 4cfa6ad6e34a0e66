"""`flask qstash dev`: needs neither the app's settings nor its database."""

import asyncio
import gc
import json
import logging
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..cron import CronError, NeverFiresError, Schedule, in_words, parse
from .errors import InvalidFaultError, StateFileError
from .faults import Fault, parse_faults
from .protocol.destinations import is_url, origin_of
from .settings import DEVELOPMENT, QUOTAS, Credentials, Settings, is_loopback

if TYPE_CHECKING:
    from .server import Server

DEFAULT_STATE = Path("instance/qstash.sqlite3")


@click.group("qstash", help="Run a local QStash server, and preview cron schedules.")
def qstash() -> None:
    pass


@qstash.command("dev")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"SQLite file that keeps state across restarts.  [default: {DEFAULT_STATE}]",
)
@click.option("--memory", is_flag=True, help="Keep state in memory only; it is lost at the end.")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.001, 1_000_000),
    help="Run delays, backoff and cron this many times faster.",
)
@click.option(
    "--map-origin",
    "origins",
    multiple=True,
    metavar="FROM=TO",
    help="Deliver messages for origin FROM to origin TO instead (repeatable).",
)
@click.option(
    "--quota",
    default="none",
    show_default=True,
    envvar="QSTASH_DEV_QUOTA",
    show_envvar=True,
    type=click.Choice(tuple(QUOTAS)),
    help="Enforce a plan's limits, such as 1,000 messages a day and 10 schedules of `free`.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND=SHARE[:DETAIL]",
    help="Inject faults into a share of deliveries (drop, fail:STATUS, lose-answer, duplicate,"
    " delay:TIME, reorder) or publishes (publish-fail:STATUS, publish-drop) (repeatable).",
)
@click.option(
    "--fault-seed",
    type=click.IntRange(0),
    help="Seed for --fault: the same seed hits the same requests.  [default: random]",
)
@click.option(
    "--token",
    default=DEVELOPMENT.token,
    envvar="QSTASH_DEV_TOKEN",
    show_envvar=True,
    help="Token that clients must send.  [default: the development token]",
)
@click.option(
    "--signing-keys",
    nargs=2,
    default=(DEVELOPMENT.current_signing_key, DEVELOPMENT.next_signing_key),
    envvar="QSTASH_DEV_SIGNING_KEYS",
    show_envvar=True,
    metavar="CURRENT NEXT",
    help="Keys to sign deliveries with.  [default: the development keys]",
)
@click.option("--listening", type=int, hidden=True, help="An inherited open socket.")
@click.option("--instance", hidden=True, help="Identifies this server in /healthz.")
def dev(
    host: str,
    port: int,
    *,
    state: Path | None,
    memory: bool,
    speed: float,
    origins: tuple[str, ...],
    quota: str,
    faults: tuple[str, ...],
    fault_seed: int | None,
    token: str,
    signing_keys: tuple[str, str],
    listening: int | None,
    instance: str | None,
) -> None:
    """Run a QStash server on this machine, for development and tests.

    It prints the settings that clients need, in the format of an env file, and serves until Ctrl-C
    or SIGTERM. Its page at the same address shows messages, schedules and dead letters.

    With --quota it answers as QStash does at a plan's end: 429 with RateLimit-Reset once the day's
    messages are used up, 429 with Burst-RateLimit-Reset for too many other requests in a second,
    412 for one more schedule, queue or URL group than the plan has, and 413 for a message that is
    too large. With --speed the days pass faster, too. GET /local/usage tells what was counted.

    \b
    Examples:
      flask qstash dev
      flask qstash dev --memory --port 0
      flask qstash dev --fault drop=0.05 --fault fail:503=0.1 --fault-seed 7
      flask qstash dev --quota free --speed 60
    """  # noqa: D301 - click wants the character \b
    if memory and state is not None:
        raise click.UsageError("--memory and --state cannot be used together.")
    settings = Settings(
        state=None if memory else (state or DEFAULT_STATE),
        host=host,
        port=port,
        listening=listening,
        instance=instance,
        credentials=Credentials(token, *signing_keys),
        speed=speed,
        origins=dict(_origin(pair) for pair in origins),
        limits=QUOTAS[quota],
        faults=_faults(faults),
        fault_seed=fault_seed,
    )
    _check_exposure(settings)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(_serve(settings))
    except StateFileError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {error}") from None


@qstash.command("next")
@click.argument("cron")
@click.option(
    "--after", metavar="TIME", help="Start from this ISO 8601 time (UTC unless it has an offset)."
)
@click.option(
    "--count",
    default=5,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Number of times to print.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with times in UTC.")
def next_firings(cron: str, after: str | None, count: int, *, as_json: bool) -> None:
    """Print when a cron expression fires next, as QStash interprets it.

    CRON has five fields (minute, hour, day of month, month, day of week), or is a shorthand such as
    @daily or @every 90m. A time zone can come first.

    \b
    Examples:
      flask qstash next '30 3 * * *'
      flask qstash next 'CRON_TZ=Europe/Berlin 0 9 * * MON-FRI' --count 3
    """  # noqa: D301 - click wants the character \b
    try:
        schedule = parse(cron)
    except CronError as error:
        raise click.ClickException(f"Invalid cron expression {cron}: {error}") from None
    found = _firings(schedule, _moment(after), count)
    if as_json:
        times = [f"{one.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for one in found]
        click.echo(json.dumps({"cron": cron, "when": in_words(schedule), "next": times}))
    elif found:
        click.echo(f"{in_words(schedule)} ({schedule.zone})")
        click.echo("\n".join(f"{one:%a %Y-%m-%d %H:%M:%S %Z}" for one in found))
    if not found:
        raise click.ClickException(f"{cron} does not fire within the next five years.")


def _firings(schedule: Schedule, after: datetime, count: int) -> list[datetime]:
    found = [after]
    with suppress(NeverFiresError):
        while len(found) <= count:
            found.append(schedule.next(found[-1]))
    return found[1:]


def _moment(text: str | None) -> datetime:
    try:
        moment = datetime.now(UTC) if text is None else datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is not a time; write it like 2026-10-25T00:30Z", param_hint="--after"
        ) from None


async def _serve(settings: Settings) -> None:
    # Slow to import, and every `flask` command imports this module.
    try:
        from .server import serve_until, start_server  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"No module {error.name}: pip install 'flask-qstash-jobs[dev]'"
        ) from None

    server = await start_server(settings)
    # A server keeps thousands of messages for long, none of them in a cycle: scanning them as often
    # as Python does by default costs a tenth of the throughput.
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _announce(server, settings)
    await serve_until(server, stop)


def _announce(server: "Server", settings: Settings) -> None:
    credentials = settings.credentials
    click.echo(f"QSTASH_URL={server.url}")
    click.echo(f"QSTASH_TOKEN={credentials.token}")
    click.echo(f"QSTASH_CURRENT_SIGNING_KEY={credentials.current_signing_key}")
    click.echo(f"QSTASH_NEXT_SIGNING_KEY={credentials.next_signing_key}")
    kept = f"state in {settings.state}" if settings.state else "state in memory"
    plan = next((name for name, limits in QUOTAS.items() if limits == settings.limits), "none")
    held = "" if plan == "none" else f", with the limits of the plan {plan}"
    click.echo(f"Local QStash is running at {server.url} ({kept}{held})")


def _origin(pair: str) -> tuple[str, str]:
    source, _, target = pair.partition("=")
    for url in (source, target):
        if not is_url(url) or origin_of(url) != url.rstrip("/").lower():
            raise click.BadParameter(
                f"{pair!r}: use origins, such as https://staging.example.com=http://127.0.0.1:8000",
                param_hint="--map-origin",
            )
    return source, target


def _faults(texts: tuple[str, ...]) -> tuple[Fault, ...]:
    try:
        return parse_faults(texts)
    except InvalidFaultError as error:
        raise click.BadParameter(str(error), param_hint="--fault") from None


def _check_exposure(settings: Settings) -> None:
    """Refuse to accept the public token from other machines."""
    ours = settings.credentials
    known = ours.token == DEVELOPMENT.token or (
        ours.current_signing_key == DEVELOPMENT.current_signing_key
    )
    if known and not is_loopback(settings.host):
        raise click.UsageError(
            f"--host {settings.host} is reachable from other machines, and the development token "
            "and keys are public. First set QSTASH_DEV_TOKEN and QSTASH_DEV_SIGNING_KEYS (two keys "
            "separated by a space) to secrets of your own."
        )
