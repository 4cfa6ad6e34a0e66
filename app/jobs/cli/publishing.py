"""The options that `enqueue` and `schedules create` share."""

import re
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import click

from ..values.options import FlowControl
from .params import Id, Tag

# Only these digits, and fewer than Python refuses to read.
_NUMBER = re.compile("[0-9]{1,12}")


class Moment(click.ParamType[datetime]):
    """A time in ISO-8601 with its zone, or in seconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if _NUMBER.fullmatch(value):
                return datetime.fromtimestamp(int(value), UTC)
            moment = datetime.fromisoformat(value)
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is not a time; write it like 2026-12-24T18:00+01:00", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no time zone; write it like {value}+01:00", param, ctx)
        return moment


class Header(click.ParamType[tuple[str, str]]):
    name = "header"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, colon, content = value.partition(":")
        if not colon:
            self.fail(f"{value!r}: write it like 'X-Tenant: acme'", param, ctx)
        return name.strip(), content.strip()


class Flow(click.ParamType[FlowControl]):
    """`KEY,rate=10,period=1m,parallelism=2`; only the key is required."""

    name = "flow"

    def convert(self, value: Any, param: Any, ctx: Any) -> FlowControl:
        if isinstance(value, FlowControl):
            return value
        key, *rest = value.split(",")
        limits = dict(part.partition("=")[::2] for part in rest)
        known = {field.name for field in fields(FlowControl)} - {"key"}
        for name, number in limits.items():
            if name not in known or not (_NUMBER.fullmatch(number) or name == "period"):
                said = "write it like emails,rate=10,period=1m,parallelism=2"
                self.fail(f"{name}={number}: {said}", param, ctx)
        return FlowControl(
            key=key,
            **{
                name: int(number) if _NUMBER.fullmatch(number) else number
                for name, number in limits.items()
            },
        )


_OPTIONS = (
    click.option("--user-id", type=Id(), metavar="ID", help="User that the job belongs to."),
    click.option(
        "--organization-id",
        type=Id(),
        metavar="ID",
        help="Organization that the job belongs to.",
    ),
    click.option("--delay", metavar="TIME", help="Deliver after this time, e.g. 90 or 1m30s."),
    click.option("--retries", type=int, help="Number of retries after a failure."),
    click.option(
        "--retry-delay",
        metavar="EXPR",
        help='Time before a retry, e.g. 5m, or milliseconds: "1000 * (1 + retried)".',
    ),
    click.option("--timeout", metavar="TIME", help="Time limit of an attempt, e.g. 90 or 5m."),
    click.option("--callback", metavar="URL", help="URL to call with each attempt's response."),
    click.option("--failure-callback", metavar="URL", help="URL to call when QStash gives up."),
    click.option(
        "--header",
        "headers",
        type=Header(),
        metavar="'NAME: VALUE'",
        multiple=True,
        help="Header to forward with the delivery (repeatable).",
    ),
    click.option("--queue", metavar="NAME", help="Deliver in order, through this queue."),
    click.option(
        "--flow-control",
        type=Flow(),
        metavar="KEY,rate=N",
        help="Limits for all messages with this KEY: rate, period (e.g. 1m), parallelism.",
    ),
    click.option("--expires", metavar="TIME", help="Do not run it later than this, e.g. 2h."),
    click.option(
        "--label", multiple=True, metavar="NAME", help="Label to find it by at QStash (repeatable)."
    ),
)


tags = click.option(
    "--tag", "tags", type=Tag(), multiple=True, help="Tag to find the job by (repeatable)."
)


def publishing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that `enqueue` and `schedules create` share."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, in the form that the Python call takes."""
    found = {name: value for name, value in options.items() if value not in (None, ())}
    for name in ("delay", "timeout", "expires", "jitter", "idempotency_ttl"):
        if _NUMBER.fullmatch(found.get(name, "")):
            found[name] = int(found[name])
    if "headers" in found:
        found["headers"] = dict(found["headers"])
    if "label" in found:
        found["label"] = list(found["label"])
    return found
