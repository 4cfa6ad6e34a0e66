"""Every command of `flask jobs`, those yet to come included: no mistake and no outage is a trace.

The commands are found in the tree, so a new one is tested by being there.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any
from uuid import uuid4

import click
import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskCliRunner
from qstash import QStash

from app.db import db
from app.jobs import JobExecution
from app.jobs.cli import jobs
from tests.support.publishing import publishing

#: What a required argument is given, by name.
ARGUMENTS = {
    "job_id": str(uuid4()),
    "batch_id": str(uuid4()),
    "job_type": "sample",
    "payload": '{"action": "none"}',
    "schedule_id": "nightly",
    "cron": "0 6 * * 1",
    "duration": "1m",
    "family": "samples",
    "name": "ci",
    "prefix": "jobs_0000",
}
#: What makes a command short, harmless or its arguments enough.
OPTIONS = {
    "watch": ["--timeout", "0"],
    "new": ["--dry-run"],
    "pause": ["sample", "--reason", "its provider is down", "--yes"],
    "resume": ["sample"],
    "apikey create": ["--scope", "read"],
    "apikey revoke": ["--yes"],
    "dlq retry": ["--all", "--yes"],
    "dlq delete": ["--all", "--yes"],
    **{action: ["--all", "--yes"] for action in ("retry", "cancel", "delete")},
}
#: Those that say what is wrong instead of failing over it.
DIAGNOSES = {"doctor"}
#: Types whose values can be wrong.
CHECKED = (click.Choice, click.IntRange, click.FloatRange)
CHECKED_NAMES = {"duration", "type", "payload", "uuid", "integer", "float"}


def commands(
    group: click.Group = jobs, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


# Commands of other parts hang below the group as soon as those are imported.
for module in ("app.api.cli", "app.families.alerts.cli"):
    import_module(module)
#: All but the one that serves until Ctrl-C.
COMMANDS = {name: command for name, command in commands() if name != "dev"}


def arguments(command: click.Command, **instead: str) -> list[str]:
    needed = [p.name for p in command.params if p.param_type_name == "argument" and p.required]
    return [{**ARGUMENTS, **instead}[name or ""] for name in needed]


def invoke(cli: FlaskCliRunner, name: str) -> Result:
    cli.app.config["ALERT_SLACK_URL"] = "http://127.0.0.1:9/"  # a channel, so that one can be tried
    instead = {"job_type": "brand-new"} if name == "new" else {}
    args = [*name.split(), *arguments(COMMANDS[name], **instead), *OPTIONS.get(name, [])]
    return cli.invoke(args=["jobs", *args])


def error_of(result: Result) -> str:
    """Return what was said, which must be one line."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    return line


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_to_be_reached_is_one_line(
    cli: FlaskCliRunner, no_database: None, name: str
) -> None:
    """Neither the database nor QStash."""
    result = invoke(cli, name)

    if result.exit_code == 0 or name in DIAGNOSES:
        assert "Traceback" not in result.output
    else:
        assert result.exit_code == 2
        assert "cannot be reached" in error_of(result)
        assert "; check " in error_of(result)


@pytest.fixture
def refusing_qstash(app: Flask, qstash: QStash) -> Iterator[None]:
    """A QStash that does not know our token."""
    with publishing(app, QSTASH_TOKEN="of-another"):
        yield


@pytest.mark.parametrize("name", COMMANDS)
def test_no_rights_at_qstash_is_one_line(
    cli: FlaskCliRunner, refusing_qstash: None, name: str
) -> None:
    result = invoke(cli, name)

    asks_qstash = name.startswith(("schedules", "dlq")) or name == "reconcile"
    if asks_qstash:
        assert result.exit_code == 2
        assert "check QSTASH_TOKEN" in error_of(result)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def can_be_wrong() -> Iterator[Any]:
    for name, command in COMMANDS.items():
        for param in command.params:
            if isinstance(param.type, CHECKED) or param.type.name in CHECKED_NAMES:
                yield pytest.param(name, param, id=f"{name} {param.name}")


@pytest.mark.parametrize(("name", "param"), list(can_be_wrong()))
def test_a_wrong_value_is_named_and_changes_nothing(
    cli: FlaskCliRunner, name: str, param: click.Parameter
) -> None:
    command = COMMANDS[name]
    if isinstance(param, click.Option):
        args = [*arguments(command), param.opts[0], "no-such"]
    elif param.required:
        args = arguments(command, **{param.name or "": "no-such"})
    else:
        args = ["no-such"]
    result = cli.invoke(args=["jobs", *name.split(), *args])

    assert result.exit_code == 2
    assert "no-such" in error_of(result) or "not JSON" in error_of(result)
    assert db.session.query(JobExecution).count() == 0


def test_every_command_and_option_is_explained() -> None:
    unexplained = [
        f"{name} {param.name}"
        for name, command in COMMANDS.items()
        for param in command.params
        if isinstance(param, click.Option) and not param.help
    ]

    assert [name for name, command in COMMANDS.items() if not command.help] == []
    assert unexplained == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["list", "--after", "x"], "'x' is not a cursor"),
        (["list", "--after", "MTIzIDQ"], "is not a cursor"),
        (["list", "--user-id", "9" * 30], "is not a valid integer from"),
        (["enqueue", "sample", "{}", "--user-id", "9" * 30], "is not a valid integer from"),
        (["enqueue", "sample", '{"action": "\\u0000"}', "--retries", "-1"], "retries: -1"),
        (["enqueue", "sample", '{"action": "none"}', "--delay", "9" * 30 + "d"], "delay"),
        (["enqueue", "sample", '{"action": "none"}', "--idempotency-key", "x" * 300], "key"),
        (["list", "--older-than", "9" * 400], "is not a time from now on"),
        (["stats", "--type", "simple"], "did you mean: sample"),
        (["retry"], "No filter was given"),
        (["dlq", "retry"], "no dead letters selected"),
    ],
)
def test_a_mistake_names_its_fix(cli: FlaskCliRunner, args: list[str], said: str) -> None:
    result = cli.invoke(args=["jobs", *args])

    assert result.exit_code == 2
    assert said in error_of(result)


def test_a_schedule_that_is_not_there_is_one_line(cli: FlaskCliRunner, qstash: QStash) -> None:
    for command in ("run", "pause", "resume", "delete"):
        result = cli.invoke(args=["jobs", "schedules", command, "nightly"])
        assert (result.exit_code, "flask jobs schedules list" in error_of(result)) == (2, True)
