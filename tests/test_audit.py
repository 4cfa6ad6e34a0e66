"""Who did what: of every action of every interface, the line that it leaves in the audit."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from flask import Flask
from flask.testing import FlaskCliRunner
from qstash import QStash

from app import artifacts
from app.api import keys
from app.db import db
from app.families.alerts import state
from app.families.email.models import EmailSuppression
from app.families.webhooks.models import WebhookEvent
from app.jobs import batch
from app.jobs.operate import Filter, audit, list_jobs, people
from tests.support.qstash import envelope
from tests.support.rows import add_row, change_row, row_of
from tests.support.sample_jobs import Sample, sample
from tests.support.waiting import wait_until

GOOD = '{"action": "none"}'

#: What each command leaves.
COMMANDS = {
    "admin create-user": "user create",
    "admin disable": "user disable",
    "admin enable": "user enable",
    "admin set-password": "user password",
    "admin remove": "user remove",
    "admin set-role": "user role",
    "artifacts delete": "artifact delete",
    "email suppressions remove": "suppression remove",
    "jobs alerts acknowledge": "alerts acknowledge",
    "jobs alerts silence": "alerts silence",
    "jobs alerts test": "alerts test",
    "jobs apikey create": "apikey create",
    "jobs apikey revoke": "apikey revoke",
    "jobs batches cancel": "batch cancel",
    "jobs batches retry": "retry",
    "jobs cancel": "cancel",
    "jobs delete": "delete",
    "jobs dlq delete": "letter delete",
    "jobs dlq retry": "letter redrive",
    "jobs enqueue": "enqueue",
    "jobs enqueue-again": "enqueue",
    "jobs pause": "pause",
    "jobs reconcile": "reconcile",
    "jobs resume": "resume",
    "jobs retry": "retry",
    "jobs run": "run",
    "jobs schedules create": "schedule create",
    "jobs schedules delete": "schedule delete",
    "jobs schedules pause": "schedule pause",
    "jobs schedules resume": "schedule resume",
    "jobs schedules run": "schedule run",
    "jobs schedules sync": "schedule sync",
    "jobs sweep": "sweep",
    "jobs workflows cancel": "batch cancel",
    "jobs workflows retry": "retry",
    "webhooks replay": "webhook replay",
}

#: Commands that change nothing of the app's, or come before it has an audit.
QUIET = {
    *("accounts seed", "admin list", "artifacts link", "artifacts list", "artifacts show"),
    *("email suppressions list", "exports entities", "jobs alerts list", "jobs apikey list"),
    *("jobs batches list", "jobs batches show", "jobs batches watch", "jobs check", "jobs dev"),
    *("jobs db current", "jobs db sql", "jobs db upgrade", "jobs dlq list", "jobs doctor"),
    *("jobs health", "jobs init", "jobs link", "jobs list", "jobs new", "jobs paused"),
    *(
        "jobs schedules list",
        "jobs schedules runs",
        "jobs show",
        "jobs stats",
        "jobs types",
        "jobs usage",
        "jobs watch",
    ),
    *("jobs workflows list", "jobs workflows show", "jobs workflows watch", "reports generate"),
    *("reports types", "stripe simulate", "stripe trigger", "webhooks list", "webhooks send"),
    "webhooks show",
}

#: What each action of the dashboard leaves; "" for one that changes nothing.
ACTIONS = {
    "batches_cancel": "batch cancel",
    "batches_retry": "retry",
    "bulk_act": "retry",
    "bulk_preview": "",
    "dead_letters_delete": "letter delete",
    "dead_letters_redrive": "letter redrive",
    "doctor_examine": "",
    "export_begin": "export",
    "job_cancel": "cancel",
    "job_delete": "delete",
    "job_retry": "retry",
    "new_create": "enqueue",
    "operations_resume": "operation resume",
    "operations_stop": "operation stop",
    "queues_pause": "pause",
    "queues_resume": "resume",
    "schedule_save": "schedule create",
    "schedules_delete": "schedule delete",
    "schedules_pause": "schedule pause",
    "schedules_resume": "schedule resume",
    "schedules_run": "schedule run",
    "schedules_sync": "schedule sync",
    "session_begin": "sign in",
    "session_change": "user password",
    "session_end": "sign out",
    "users_create": "user create",
    "users_disable": "user disable",
    "users_enable": "user enable",
    "users_password": "user password",
    "users_remove": "user remove",
    "users_role": "user role",
    "webhooks_replay": "webhook replay",
}

#: What each call of the job API leaves; jobs that a program enqueues, and signals, are its own
#: doing, as their log lines say, and not by hand.
CALLS = {
    "DELETE /api/jobs/<job_id:job_id>": "delete",
    "POST /api/batches/<batch_id>/cancel": "batch cancel",
    "POST /api/batches/<batch_id>/retry": "retry",
    "POST /api/signals": "",
    "DELETE /api/pauses/<kind>/<path:name>": "resume",
    "POST /api/jobs": "",
    "POST /api/jobs/<job_id:job_id>/cancel": "cancel",
    "POST /api/jobs/<job_id:job_id>/retry": "retry",
    "PUT /api/pauses/<kind>/<path:name>": "pause",
}


#: Where the calls are.
BLUEPRINTS = {"job_api", "job_actions", "job_batches", "job_signals", "job_pauses", "job_health"}

DEAD = {"status": "failed", "dead_at": datetime.now(UTC), "error": "ValueError"}


def leaves(command: click.Command, *path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from leaves(inner, *path, name)
    else:
        yield " ".join(path)


def noted() -> list[tuple[str, str]]:
    db.session.rollback()
    return [(row.actor, row.action) for row in reversed(audit.entries(limit=50))]


def test_every_command_is_known_here(app: Flask) -> None:
    ours = (name for name in app.cli.commands if name not in {"db", "qstash", "routes"})
    found = {leaf for name in ours for leaf in leaves(app.cli.commands[name], name)}

    assert found == COMMANDS.keys() | QUIET


def test_every_action_of_the_dashboard_is_known_here(app: Flask) -> None:
    found = {
        rule.endpoint.partition(".")[2]
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("jobs_dashboard.") and "POST" in (rule.methods or ())
    }

    assert found == ACTIONS.keys()


def test_every_call_of_the_api_is_known_here(app: Flask) -> None:
    found = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in BLUEPRINTS
        for method in (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}
    }

    assert found == CALLS.keys()


def test_an_enqueue_by_hand_is_on_record_with_its_job(cli: FlaskCliRunner, qstash: QStash) -> None:
    job_id = run(cli, "jobs enqueue sample", GOOD, "--by", "ann").strip()

    (entry,) = audit.entries_of(job_id)
    assert (entry.actor, entry.action, entry.filter) == ("ann", "enqueue", {"job_type": "sample"})
    wait_until(lambda: row_of(job_id).message_id, "it is published")


def test_what_cannot_be_enqueued_is_not_on_record(cli: FlaskCliRunner, qstash: QStash) -> None:
    assert cli.invoke(args=["jobs", "enqueue", "sample", "{}"]).exit_code == 2
    assert cli.invoke(args=["jobs", "run", "sample", "{}"]).exit_code == 2
    bad = ["jobs", "schedules", "create", "sample", "0 3 * * *", "{}"]
    assert cli.invoke(args=bad).exit_code == 2

    assert noted() == []


def test_what_is_done_to_jobs_is_on_record(cli: FlaskCliRunner, qstash: QStash) -> None:
    dead = add_row(job_type="sample", payload=envelope(json.loads(GOOD)), **DEAD)
    done = add_row(job_type="sample", status="completed")

    def commands() -> Iterator[tuple[str, ...]]:
        yield "jobs run sample", GOOD
        yield (f"jobs retry {dead}",)
        yield (f"jobs cancel {dead}",)
        yield (f"jobs enqueue-again {dead}",)
        yield (f"jobs delete {done} --yes",)
        yield ("jobs pause sample --reason down --yes",)
        yield ("jobs resume sample --yes",)
        yield ("jobs sweep",)
        yield ("jobs reconcile --grace 0",)
        yield ("jobs dlq retry gone",)
        yield ("jobs dlq delete gone --yes",)

    check(cli, commands())


def test_what_is_done_to_batches_is_on_record(cli: FlaskCliRunner, qstash: QStash) -> None:
    with batch("nightly") as made:
        for _ in range(2):
            made.enqueue(sample.s(Sample("none")))
    dead = list_jobs(Filter(batch_id=made.id)).jobs[0].job_id
    change_row(dead, **DEAD)

    run(cli, f"jobs batches retry {made.id}", "--by", "ann")
    run(cli, f"jobs batches cancel {made.id} --yes", "--by", "ann")

    assert [one for one in noted() if one[1] != "cancel"] == [
        ("ann", "retry"),
        ("ann", "batch cancel"),
    ]


def test_what_changes_nothing_is_not_on_record(
    app: Flask, cli: FlaskCliRunner, qstash: QStash
) -> None:
    done, waits = add_row(status="completed"), add_row()
    people.create("zoe", "a long password", "viewer", by="otto")
    key, _ = keys.create("ci", ("read",), by="otto")
    with batch("nightly") as made:
        made.enqueue(sample.s(Sample("none")))
    for line in (
        "jobs pause sample --reason down --yes",
        f"jobs apikey revoke {key} --yes",
        "admin disable zoe",
        "jobs alerts silence 1h",
        "jobs alerts silence 0",
    ):
        run(cli, line, "--by", "otto")
    run(cli, "jobs schedules create --id nightly sample", "0 3 * * *", GOOD, "--by", "otto")
    run(cli, "jobs schedules sync", "--by", "otto")
    before = noted()

    for line in (
        f"jobs cancel {done}",
        f"jobs retry {done}",
        f"jobs delete {waits} --yes",
        "jobs retry --type noop --yes",
        f"jobs batches retry {made.id}",
        "jobs pause sample --reason down --yes",
        "jobs schedules resume nightly",
        "jobs schedules sync",
        f"jobs apikey revoke {key} --yes",
        "admin disable zoe",
        "admin set-role zoe viewer",
        "jobs alerts silence 0",
    ):
        run(cli, line, "--by", "ann")

    assert noted() == before
    run(cli, "admin enable zoe", "--by", "ann")
    run(cli, "admin enable zoe", "--by", "ann")
    run(cli, "jobs schedules pause nightly", "--by", "ann")
    run(cli, "jobs schedules pause nightly", "--by", "ann")
    assert noted() == [*before, ("ann", "user enable"), ("ann", "schedule pause")]


def test_what_qstash_no_longer_has_is_on_record_as_no_change(
    cli: FlaskCliRunner, qstash: QStash
) -> None:
    run(cli, "jobs dlq delete gone --yes", "--by", "ann")

    (entry,) = audit.entries(limit=2)
    assert entry.filter == {"dead_letters": ["gone"], "changed": 0}


def test_what_is_done_to_schedules_is_on_record(cli: FlaskCliRunner, qstash: QStash) -> None:
    def commands() -> Iterator[tuple[str, ...]]:
        yield "jobs schedules create --id nightly sample", "0 3 * * *", GOOD
        yield ("jobs schedules pause nightly",)
        yield ("jobs schedules resume nightly",)
        yield ("jobs schedules run nightly",)
        yield ("jobs schedules delete nightly --yes",)
        yield ("jobs schedules sync",)

    check(cli, commands())


def test_what_is_done_to_keys_files_alerts_and_addresses_is_on_record(
    app: Flask, cli: FlaskCliRunner, qstash: QStash
) -> None:
    with artifacts.create("a.txt", media_type="text/plain") as file:
        file.write(b"a")
    db.session.add(EmailSuppression(address="ann@example.com", reason="bounced"))
    state.locked().told = "failing"
    db.session.commit()
    event = {"source": "github", "event": "push", "delivery_id": "1", "verified": True}
    db.session.add(WebhookEvent(**event, body=b"{}"))
    db.session.commit()
    app.config["ALERT_WEBHOOK_URL"] = "http://127.0.0.1:9/"
    key, _ = keys.create("ci", ("read",), by="otto")

    def commands() -> Iterator[tuple[str, ...]]:
        yield ("jobs apikey create ci --scope read",)
        yield (f"jobs apikey revoke {key} --yes",)
        yield (f"artifacts delete {file.artifact.id} --yes",)
        yield ("email suppressions remove ann@example.com",)
        yield ("jobs alerts silence 1h",)
        yield ("jobs alerts acknowledge",)
        yield ("jobs alerts test",)
        yield (f"webhooks replay {db.session.query(WebhookEvent).one().id}",)

    check(cli, commands(), before=[("otto", "apikey create")])


def check(
    cli: FlaskCliRunner, commands: Iterator[tuple[str, ...]], before: Sequence[Any] = ()
) -> None:
    """Run commands as Ann, and check that each leaves its line."""
    expected = list(before)
    for line, *more in commands:
        run(cli, line, *more, "--by", "ann")
        expected.append(("ann", next(COMMANDS[one] for one in COMMANDS if fits(line, one))))
        assert noted() == expected, line


def fits(line: str, command: str) -> bool:
    return f"{line} ".startswith(f"{command} ")


def run(cli: FlaskCliRunner, line: str, *more: str) -> str:
    """Run a command, which may find something to be wrong, but not with itself."""
    result = cli.invoke(args=[*line.split(), *more])
    assert result.exit_code in {0, 1}, result.output
    return result.stdout
