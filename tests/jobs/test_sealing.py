"""Sealed fields: in clear for the caller and the handler, and nowhere in between."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from qstash import QStash
from sqlalchemy import text

from app import create_app
from app.config import DEVELOPMENT
from app.db import db
from app.jobs import InvalidPayload, JobBlueprint, enqueue, schedule
from app.jobs.errors import DiscoveryError, JobsNotInitialised
from app.jobs.registry import registry_of
from app.logs import handler
from tests.support.apps import settings
from tests.support.qstash import deliver, envelope
from tests.support.sealed_jobs import DeadLetter, LetterSchema, bp, seen, send_letter

PATH = "/api/jobs/letter"
TOKEN = "5f1d7a84-e0b9-4c0f-a3c1-e2d96b7a58c4"
LINK = f"https://acme.example/password/{TOKEN}/" + "x9" * 300
PIN = 90210
#: Any of it would be half of the secret.
PIECES = (TOKEN, TOKEN[:13], TOKEN[-13:], "x9x9x9x9x9x9x9", str(PIN))


@pytest.fixture
def app(app: Flask) -> Flask:
    app.register_blueprint(bp)
    seen.clear()
    return app


@pytest.fixture
def log(app: Flask) -> Iterator[StringIO]:
    """All that is logged, with every field."""
    stream = StringIO()
    added = handler(stream, as_json=True)
    logging.getLogger().addHandler(added)
    yield stream
    logging.getLogger().removeHandler(added)


def row(job_id: str) -> dict[str, Any]:
    db.session.rollback()
    query = text("SELECT to_jsonb(job_executions) FROM job_executions WHERE job_id = :id")
    found: dict[str, Any] = db.session.scalar(query, {"id": job_id})
    return found


def queued(to: str = "ann", link: str = LINK) -> dict[str, Any]:
    """Enqueue a letter and return its envelope, as QStash would deliver it."""
    found: dict[str, Any] = row(enqueue("send-letter", {"to": to, "link": link, "pin": PIN}))
    envelope: dict[str, Any] = found["payload"]
    return envelope


def assert_hidden(*texts: object) -> None:
    everything = "\n".join(map(str, texts))
    assert [piece for piece in PIECES if piece in everything] == []


def keys(app: Flask, *given: str) -> None:
    app.config["JOBS_ENCRYPTION_KEYS"] = ",".join(given)


def test_only_the_handler_sees_a_secret(
    client: FlaskClient, cli: FlaskCliRunner, qstash: QStash, log: StringIO
) -> None:
    letter = DeadLetter("whole", LINK, PIN, [{"name": "a", "token_value": TOKEN}])

    job_id = send_letter.enqueue(letter, delay="1h")
    body = qstash.message.get(row(job_id)["message_id"]).body or ""
    answer = deliver(client, body.encode(), PATH, upstash_retried="3")

    assert seen == [letter]
    assert row(job_id)["dead_at"] is not None
    outputs = [
        cli.invoke(args=["jobs", *args]).output
        for args in (["show", job_id], ["show", job_id, "--json"], ["list", "--json"])
    ]
    assert "[sealed]" in outputs[0]
    assert_hidden(body, row(job_id), answer.get_data(as_text=True), log.getvalue(), *outputs)


@pytest.mark.parametrize("way", ["whole", "path", "quoted", "chained", "later", "query", "commit"])
def test_no_failure_quotes_a_secret(client: FlaskClient, log: StringIO, way: str) -> None:
    job = queued(way)

    answer = deliver(client, job, PATH)

    assert len(seen) == 1
    found = row(job["jobId"])
    assert found["error"]
    assert_hidden(found, log.getvalue(), answer.get_data(as_text=True))


@pytest.mark.parametrize("link", [f"bad {LINK}", f"bug {LINK}"])
def test_no_validator_quotes_a_secret(
    app: Flask, client: FlaskClient, log: StringIO, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    """The code became stricter after the job was enqueued, and its messages quote the value."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    field = registry_of(app).get("send-letter").schema.fields["link"]
    with monkeypatch.context() as lenient:
        lenient.setattr(field, "validators", [])
        job = queued(link=link)

    answer = deliver(client, job, PATH)

    assert answer.status_code == (489 if "bad" in link else 500)
    assert "[sealed]" in log.getvalue()
    assert_hidden(row(job["jobId"]), log.getvalue(), answer.get_data(as_text=True))


@pytest.mark.usefixtures("app")
def test_a_refusal_at_enqueue_quotes_no_secret() -> None:
    with pytest.raises(InvalidPayload) as caught:
        queued(link=f"bad {LINK}")

    assert caught.value.errors.keys() == {"link"}
    assert_hidden(caught.value, caught.getrepr(style="native"))


def test_a_handler_run_by_hand_quotes_no_secret(cli: FlaskCliRunner) -> None:
    payload = json.dumps({"to": "whole", "link": LINK, "pin": PIN})

    result = cli.invoke(args=["jobs", "run", "send-letter", payload])

    assert result.exit_code == 1
    assert "ValueError: cannot fetch [sealed]: PIN [sealed] refused" in result.stderr
    assert seen[0].link == LINK


def test_what_was_enqueued_in_clear_still_runs(client: FlaskClient) -> None:
    job = envelope({"to": "ann", "link": LINK}, job_type="send-letter")

    assert deliver(client, job, PATH).status_code == 200
    assert seen == [DeadLetter("ann", LINK)]


def test_what_was_sealed_before_its_field_no_longer_is_still_runs(
    app: Flask, client: FlaskClient
) -> None:
    job = queued()
    object.__setattr__(registry_of(app).get("send-letter"), "sealed", ())

    assert deliver(client, job, PATH).status_code == 200
    assert seen == [DeadLetter("ann", LINK, PIN)]


def test_missing_stays_so_null_is_left_out_and_lists_are_gone_through(client: FlaskClient) -> None:
    parts = [{"name": "a", "tokenValue": TOKEN}, {"name": "b"}]
    job = row(enqueue("send-letter", {"to": "ann", "link": None, "parts": parts}))["payload"]

    assert job["sealed"] == ["parts.tokenValue"]
    assert "link" not in job["payload"]
    assert job["payload"]["parts"][0].keys() == {"name", "tokenValue"}
    deliver(client, job, PATH)
    assert seen[0].parts == [{"name": "a", "token_value": TOKEN}, {"name": "b"}]


def test_a_key_in_front_seals_and_the_old_one_still_opens(app: Flask, client: FlaskClient) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    keys(app, old)
    before = queued()
    keys(app, new, old)
    after = queued()

    assert deliver(client, before, PATH).status_code == 200
    keys(app, new)
    assert deliver(client, after, PATH).status_code == 200


def test_a_lost_key_fails_the_job_for_good_and_says_how_to_mend_it(
    app: Flask, client: FlaskClient, log: StringIO
) -> None:
    job, known = queued(), app.config["JOBS_ENCRYPTION_KEYS"]
    keys(app, new := Fernet.generate_key().decode())

    answer = deliver(client, job, PATH)

    assert answer.status_code == 489
    found = row(job["jobId"])
    assert "its key is not in JOBS_ENCRYPTION_KEYS: put the lost key at the end" in found["error"]
    assert found["dead_at"] is not None
    assert_hidden(found, log.getvalue())
    keys(app, new, known)
    assert deliver(client, job, PATH, upstash_message_id="msg_redrive").status_code == 200
    assert seen == [DeadLetter("ann", LINK, PIN)]


@pytest.mark.parametrize("given", ["", "x", "\ud800", 5, None, ["a"]])
def test_a_damaged_token_is_refused(client: FlaskClient, given: object) -> None:
    job = queued()
    job["payload"]["link"] = {"$sealed": given}

    assert deliver(client, job, PATH).status_code == 489
    assert seen == []


def test_a_secret_cannot_be_moved_into_another_job_or_field(client: FlaskClient) -> None:
    job, other = queued(), queued()
    other["payload"]["link"] = job["payload"]["link"]
    job["payload"]["link"] = job["payload"]["pin"]

    for moved in (job, other):
        answer = deliver(client, moved, PATH)
        assert answer.status_code == 489
        assert "sealed for another job or field" in answer.get_data(as_text=True)
    assert seen == []


def test_a_schedules_secret_opens_at_each_firing_and_its_retries(
    client: FlaskClient, qstash: QStash
) -> None:
    payload = {"to": "later", "link": LINK}
    schedule_id = schedule("send-letter", "0 9 * * *", payload)
    body = qstash.schedule.get(schedule_id).body or ""
    firing = {"upstash_schedule_id": schedule_id, "upstash_message_id": "msg_f"}

    assert deliver(client, body.encode(), PATH, **firing).json == {
        "success": True,
        "rescheduled": 30,
    }

    query = text("SELECT payload FROM job_executions WHERE schedule_id = :id")
    again = db.session.scalar(query, {"id": schedule_id})
    deliver(client, again, PATH, upstash_message_id="msg_g")
    assert [letter.link for letter in seen] == [LINK, LINK]
    assert_hidden(body, again)


@pytest.mark.parametrize(
    ("keys", "sealed", "error", "said"),
    [
        ("", ("link",), JobsNotInitialised, "set JOBS_ENCRYPTION_KEYS, as job type 'memo' seals"),
        ("hunter2", ("link",), JobsNotInitialised, "set JOBS_ENCRYPTION_KEYS"),
        (DEVELOPMENT["JOBS_ENCRYPTION_KEYS"], ("url",), DiscoveryError, "seals ('url',)"),
    ],
)
def test_a_type_that_cannot_seal_stops_the_start(
    app: Flask, keys: str, sealed: tuple[str, ...], error: type[Exception], said: str
) -> None:
    family = JobBlueprint("memos", __name__)
    family.job("memo", "/memo", payload=LetterSchema, sealed=sealed)(send_letter.handler)
    app.config["JOBS_ENCRYPTION_KEYS"] = keys

    with pytest.raises(error) as caught:
        app.register_blueprint(family)

    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("switch", [{"JOBS_SEAL": "false"}, {"JOBS_UNSEALED": " send-letter , "}])
def test_sealing_can_be_switched_off(
    app: Flask, client: FlaskClient, switch: dict[str, str]
) -> None:
    sealed = queued()
    app.config.update(switch)
    job = queued()

    assert "sealed" not in job
    assert job["payload"]["link"] == LINK
    for one in (sealed, job):  # what was sealed before still opens
        assert deliver(client, one, PATH).status_code == 200
    assert seen == [DeadLetter("ann", LINK, PIN)] * 2


def test_a_job_type_that_is_not_to_be_sealed_must_be_there(
    database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(JobsNotInitialised, match="'send-emial'; did you mean: send-email"):
        create_app({**settings(database_url), "JOBS_UNSEALED": "send-emial"}, instance=tmp_path)
