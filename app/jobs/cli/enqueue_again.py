"""`flask jobs enqueue-again`."""

import json
from typing import Any

import click

from ..enqueue import enqueuer
from ..errors import ActionRefused, InvalidPayload
from ..operate import again
from ..table.models import JobExecution
from . import formatting
from .enqueue import reasons_of_waiting, tell
from .group import Refused, acting_as, as_json, find_job, is_terminal, jobs
from .params import JobId, Payload
from .publishing import given, publishing, tags

_HINT = (
    "Nothing was enqueued. What is shown as (hidden) or (sealed) stays as it was where you leave it"
)


class Assignment(click.ParamType[tuple[str, str]]):
    """`field=value`; a dot leads into an object or, by number, into a list."""

    name = "assignment"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        path, equals, text = value.partition("=")
        if not equals or not all(path.split(".")):
            self.fail(f"{value!r}: write it like to=ann@example.com or data.plan=pro", param, ctx)
        return path, text


@jobs.command("enqueue-again")
@click.argument("job_id", metavar="ID", type=JobId())
@click.option("--edit", is_flag=True, help="Edit the payload in your editor ($EDITOR) before.")
@click.option(
    "--set",
    "changes",
    type=Assignment(),
    multiple=True,
    metavar="FIELD=VALUE",
    help="Set a field of the payload (repeatable).",
)
@click.option("--payload", type=Payload(), help="Take this payload: JSON, or @FILE.")
@publishing
@tags
@acting_as
@as_json
def enqueue_again(  # noqa: PLR0917 - click passes them by name
    job_id: str,
    changes: tuple[tuple[str, str], ...],
    payload: Any,
    by: str,
    edit: bool,
    as_json: bool,
    **options: Any,
) -> None:
    r"""Enqueue a job's payload as another job, as it is or edited.

    The old job stays as it is. The new one is of the same user, organization and tags unless you
    name others. A VALUE is JSON, or text where it is none or where the field has a text now.

    \b
    Examples:
      flask jobs enqueue-again 5f0c --edit
      flask jobs enqueue-again 5f0c --set to=ann@example.com --set data.plan=pro
      flask jobs enqueue-again 5f0c --payload @email.json --delay 10m
    """
    row, reasons = find_job(job_id), reasons_of_waiting()
    options = _same_owner(row) | given(options)
    wanted = again.payload_of(row) if payload is None else payload
    for path, text in changes:
        wanted = _with(wanted, path.split("."), text, path)
    made = (
        _edited(row, wanted, by, options)
        if edit
        else again.enqueue_again(row, wanted, by=by, **options)
    )
    tell(made, reasons, as_json=as_json)


def _same_owner(row: JobExecution) -> dict[str, Any]:
    owner = {"user_id": row.user_id, "organization_id": row.organization_id}
    return {**owner, "tags": row.tags or []}


def _with(value: Any, path: list[str], text: str, whole: str) -> Any:
    """Return a copy of a payload in which what stands at a path is set."""
    first, *rest = path
    if isinstance(value, list):
        if not first.isascii() or not first.isdigit() or int(first[:9]) >= len(value):
            raise Refused(f"--set {whole}: the list has no item {first}")
        index = int(first[:9])
        new = _with(value[index], rest, text, whole) if rest else _read(text, value[index])
        return [*value[:index], new, *value[index + 1 :]]
    if not isinstance(value, dict) or (rest and first not in value):
        raise Refused(f"--set {whole}: the payload has no object or list at {first!r}")
    before = value.get(first)
    return {**value, first: _with(before, rest, text, whole) if rest else _read(text, before)}


def _read(text: str, before: Any) -> Any:
    if isinstance(before, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _edited(row: JobExecution, payload: Any, by: str, options: dict[str, Any]) -> enqueuer.JobId:
    """Have somebody edit the payload until it can be enqueued, or they give up."""
    text = json.dumps(again.shown(row.job_type, payload), indent=2, ensure_ascii=False)
    while True:
        found = click.edit(f"{text}\n", extension=".json")
        if found is None:
            raise Refused("nothing was enqueued: the editor saved nothing")
        text = found.rstrip("\n")
        try:
            wanted = again.restored(json.loads(text), payload)
            return again.enqueue_again(row, wanted, by=by, **options)
        except (ValueError, RecursionError) as error:
            said = f"not JSON: {error}"
        except (InvalidPayload, ActionRefused) as error:
            said = str(error)
        if not is_terminal():
            raise Refused(said)
        click.echo(f"{formatting.short(said, 500)}\n{_HINT}.", err=True)
        click.confirm("Edit it again?", default=True, abort=True, err=True)
