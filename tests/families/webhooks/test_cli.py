"""`flask webhooks …`: looking at what came in, replaying it, sending some."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.db import db
from app.families.webhooks import inbox
from app.families.webhooks.samples import samples
from app.jobs.message import Message
from app.jobs.testing import drain
from tests.support.http_server import serving
from tests.support.webhooks import EVENTS, Post, leave_effect, notes, stored


@pytest.fixture
def served(app: Flask, published: list[Message]) -> Iterator[Flask]:
    """The app answers at its BASE_URL."""
    with serving(app) as app.config["BASE_URL"]:
        yield app


def refused(cli: FlaskCliRunner, *args: str) -> str:
    """Check that a command ends with exit code 2 and one line; return that."""
    done = cli.invoke(args=["webhooks", *args])
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    return done.output


def test_what_came_in_is_listed_newest_first(post: Post, cli: FlaskCliRunner) -> None:
    post("github")
    post("resend")

    lines = cli.invoke(args=["webhooks", "list"]).output.splitlines()
    github = cli.invoke(
        args=["webhooks", "list", "--source", "github", "--event", "pull_request", "--json"]
    )

    assert [line.split()[3:] for line in lines[1:]] == [
        ["resend", "email.bounced", "pending"],
        ["github", "pull_request", "pending"],
    ]
    assert [row["source"] for row in json.loads(github.output)] == ["github"]
    none = cli.invoke(args=["webhooks", "list", "--event", "push", "--since", "1h"])
    assert none.output == "No webhooks.\n"


def test_a_webhook_is_shown_with_its_body_unless_that_is_sealed(
    post: Post, cli: FlaskCliRunner
) -> None:
    post("github")
    post("resend")
    github, resend = stored()

    shown = cli.invoke(args=["webhooks", "show", str(github.id)]).output
    sealed = cli.invoke(args=["webhooks", "show", str(resend.id)]).output
    as_json = json.loads(cli.invoke(args=["webhooks", "show", str(github.id), "--json"]).output)

    assert '"full_name": "acme/app"' in shown
    assert '"(sealed)"' in sealed
    assert (as_json["body"], as_json["job_status"]) == (EVENTS["github"], "pending")


@pytest.mark.parametrize("name", ["github", "resend"])
def test_a_replay_is_a_new_job_on_the_same_row(post: Post, cli: FlaskCliRunner, name: str) -> None:
    seen = leave_effect("effect", source=name)
    post(name)
    drain()
    (before,) = stored()
    first = before.job_id

    done = cli.invoke(args=["webhooks", "replay", str(before.id), "--json"])
    drain()

    (after,) = stored()
    assert after.job_id not in {None, first}
    assert json.loads(done.output) == {"id": after.id, "job_id": after.job_id}
    assert [webhook.data for webhook in seen] == [EVENTS[name]] * 2
    assert notes() == ["effect"] * 2


def test_stripes_events_are_replayed_by_their_own_job(post: Post, cli: FlaskCliRunner) -> None:
    post("stripe")
    done = cli.invoke(args=["webhooks", "replay", str(stored()[0].id)])

    job_id = done.output.splitlines()[0]
    assert {one.job_id: one.job_type for one in drain()}[job_id] == "process-stripe-webhook"


def test_a_deleted_webhook_cannot_be_replayed(post: Post, cli: FlaskCliRunner) -> None:
    post("github")
    (row,) = stored()
    number = row.id
    db.session.delete(row)
    db.session.commit()

    assert "in the inbox; it may have been deleted" in refused(cli, "replay", str(number))
    assert "flask webhooks list" in refused(cli, "show", str(number))


def test_a_webhook_of_a_source_that_is_gone_cannot_be_replayed(
    post: Post, cli: FlaskCliRunner
) -> None:
    post("github")
    (row,) = stored()
    row.source = "gone"
    db.session.commit()

    assert "'gone', which is no longer a source" in refused(cli, "replay", str(row.id))


def test_a_sealed_webhook_whose_key_is_lost_is_told_so(
    post: Post, cli: FlaskCliRunner, app: Flask
) -> None:
    post("resend")
    app.config["JOBS_ENCRYPTION_KEYS"] = "YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE="

    assert "not in JOBS_ENCRYPTION_KEYS" in refused(cli, "replay", str(stored()[0].id))


@pytest.mark.parametrize(
    ("source", "event"), [(name, event) for name in ("github", "resend") for event in samples(name)]
)
@pytest.mark.usefixtures("served")
def test_a_sample_is_signed_and_taken(cli: FlaskCliRunner, source: str, event: str) -> None:
    done = cli.invoke(args=["webhooks", "send", source, event])

    assert done.exit_code == 0, done.output
    (row,) = stored()
    assert (row.source, row.event, row.verified) == (source, event, True)
    assert done.output.startswith(f"Received as webhook {row.id}; follow its job: flask jobs watch")
    assert [one.answer.status_code for one in drain()] == [200]


@pytest.mark.usefixtures("served")
def test_a_file_is_sent_and_the_same_id_is_a_repeat(cli: FlaskCliRunner, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text('{"action": "closed"}')

    for _ in range(2):
        options = ["--delivery-id", "1", "--event-file", str(file)]
        cli.invoke(args=["webhooks", "send", "github", "issues", *options])

    (row,) = stored()
    assert inbox.body_of(row) == b'{"action": "closed"}'


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["gitlab", "push"], "unknown source 'gitlab'; known sources: github, resend, stripe"),
        (["stripe", "x"], "see `flask stripe --help`"),
        (["github", "pus"], "no sample of 'pus'; samples: ping, push"),
        (["github", "push"], "cannot be reached"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_a_line(
    cli: FlaskCliRunner, app: Flask, args: list[str], said: str
) -> None:
    app.config["BASE_URL"] = "http://127.0.0.1:9"

    assert said in refused(cli, "send", *args)


def test_without_a_secret_the_setting_is_named(cli: FlaskCliRunner, app: Flask) -> None:
    app.config["WEBHOOK_GITHUB_SECRET"] = ""

    assert "set WEBHOOK_GITHUB_SECRET" in refused(cli, "send", "github", "push")


@pytest.mark.usefixtures("served")
def test_what_the_app_answers_is_passed_on(cli: FlaskCliRunner, app: Flask) -> None:
    app.config["WEBHOOK_MAX_BODY"] = 10

    assert "answered 413" in refused(cli, "send", "github", "push")
