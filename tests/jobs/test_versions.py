"""Payload versions: what is queued outlives the schema that it was written for."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from marshmallow import fields
from sqlalchemy import text

from app.db import db
from app.jobs import Job, JobBlueprint, PayloadSchema, Status, enqueue
from app.jobs.errors import DiscoveryError
from app.jobs.operate import queue_check
from app.jobs.registry import Upgrade
from app.jobs.table.models import JobExecution
from tests.support.qstash import deliver, envelope
from tests.support.rows import count_rows, row_of

PATH = "/api/jobs/greet"
given: list[Any] = []


class GreetSchema(PayloadSchema[dict[str, Any]]):
    """Version 3; version 1 had one `name`, version 2 no `address`."""

    model = dict

    first_name = fields.String(required=True)
    last_name = fields.String(required=True)
    address = fields.Dict(required=True)


def split_name(payload: dict[str, Any]) -> dict[str, Any]:
    first, last = payload.pop("name").split(" ")
    return {**payload, "firstName": first, "lastName": last}


def add_address(payload: dict[str, Any]) -> dict[str, Any]:
    return {"address": {}, **payload}


def greet(payload: dict[str, Any], job: Job) -> None:
    given.append(payload)


def declared(version: int, upgrades: dict[int, Upgrade]) -> JobBlueprint:
    family = JobBlueprint("greetings", __name__)
    family.job(
        "greet",
        "/greet",
        payload=GreetSchema,
        sealed=("address",),
        retries=3,
        version=version,
        upgrades=upgrades,
    )(greet)
    return family


@pytest.fixture
def app(app: Flask) -> Flask:
    app.register_blueprint(declared(3, {1: split_name, 2: add_address}))
    given.clear()
    return app


def greeting(payload: dict[str, Any], **members: Any) -> dict[str, Any]:
    return envelope(payload, job_type="greet", **members)


NEW = {"firstName": "Ada", "lastName": "Lovelace", "address": {"city": "London"}}
LOADED = {"first_name": "Ada", "last_name": "Lovelace", "address": {"city": "London"}}


def insert(job: dict[str, Any], **columns: Any) -> None:
    """Record a job as older or newer code has left it."""
    row = JobExecution(job_id=job["jobId"], job_type=job["type"], payload=job, **columns)
    db.session.add(row)
    db.session.commit()


@pytest.mark.parametrize(
    ("payload", "members", "address"),
    [
        ({"name": "Ada Lovelace"}, {}, {}),
        ({"name": "Ada Lovelace"}, {"version": 1}, {}),
        ({"firstName": "Ada", "lastName": "Lovelace"}, {"version": 2}, {}),
        (NEW, {"version": 3}, {"city": "London"}),
    ],
)
def test_an_older_payload_is_upgraded_step_by_step(
    client: FlaskClient, payload: dict[str, Any], members: dict[str, Any], address: dict[str, Any]
) -> None:
    job = greeting(payload, **members)

    assert deliver(client, job, PATH).status_code == 200

    assert given == [{**LOADED, "address": address}]
    row = row_of(job["jobId"])
    assert row is not None
    assert row.payload == job


def test_a_job_is_enqueued_in_the_present_version(client: FlaskClient) -> None:
    row = row_of(enqueue("greet", NEW))

    assert row is not None
    assert row.payload["version"] == 3
    assert deliver(client, row.payload, PATH).status_code == 200
    assert given == [LOADED]


def test_a_type_of_version_1_says_nothing_of_it(app: Flask) -> None:
    row = row_of(enqueue("sample", {"action": "none"}))

    assert row is not None
    assert row.payload.keys() == {"jobId", "type", "payload", "metadata"}


@pytest.mark.parametrize(("retried", "wait"), [("0", 30), ("1", 120), ("2", 600), ("9", 600)])
def test_a_newer_payload_waits_for_the_newer_code(
    client: FlaskClient, retried: str, wait: int
) -> None:
    """It is not opened, not validated, not claimed: what it looks like is not known here."""
    job = greeting({"unheardOf": {"$sealed": "x"}}, version=4, sealed=["unheardOf"])
    insert(job)

    answer = deliver(client, job, PATH, upstash_retried=retried)

    assert answer.status_code == 503
    assert wait <= int(answer.headers["Retry-After"]) <= wait + 1
    row = row_of(job["jobId"])
    assert row is not None
    assert (row.status, row.attempts, row.error) == (Status.PENDING, [], None)


def test_a_newer_payload_without_a_row_leaves_none(client: FlaskClient) -> None:
    job = greeting({}, version=4)

    assert deliver(client, job, PATH).status_code == 503
    assert count_rows() == 0


@pytest.mark.parametrize("version", [0, -1, "2", None, 1.5])
def test_a_version_that_is_none_is_refused(client: FlaskClient, version: object) -> None:
    answer = deliver(client, greeting(NEW, version=version), PATH)

    assert answer.status_code == 489
    assert answer.json is not None
    assert answer.json["errors"].keys() == {"version"}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"name": "Ada"}, "from version 1 to 2: payload: ValueError: not enough values"),
        ({}, "from version 1 to 2: payload: KeyError: 'name'"),
        ({"name": "Ada Lovelace", "x": 1}, "Invalid job payload: x: Unknown field."),
    ],
)
def test_what_cannot_be_upgraded_is_dead_and_says_why(
    client: FlaskClient, payload: dict[str, Any], said: str
) -> None:
    job = greeting(payload)
    insert(job)

    assert deliver(client, job, PATH).status_code == 489

    row = row_of(job["jobId"])
    assert row is not None
    assert row.dead_at is not None
    assert said in (row.error or "")


@pytest.mark.parametrize(
    ("version", "upgrades", "said"),
    [
        (3, {2: add_address}, "has version 3 and no upgrade function from: 1"),
        (3, {}, "from: 1, 2"),
        (0, {}, "version: 0 is not a whole number of 1 or more"),
        (2, {1: split_name, 2: add_address}, "upgrades from [2]: raise its version"),
    ],
)
def test_a_version_that_cannot_be_reached_stops_the_start(
    app: Flask, version: int, upgrades: dict[int, Upgrade], said: str
) -> None:
    with pytest.raises(DiscoveryError) as caught:
        app.register_blueprint(declared(version, upgrades), name="again")

    assert said in str(caught.value)


def refused(cli: FlaskCliRunner) -> dict[str, str]:
    result = cli.invoke(args=["jobs", "check", "--json"])
    found = {job["job_id"]: job["refusal"] for job in json.loads(result.stdout)}
    assert result.exit_code == (1 if found else 0)
    return found


def test_check_is_content_with_what_fits(cli: FlaskCliRunner) -> None:
    insert(greeting({"name": "Ada Lovelace"}))
    enqueue("greet", NEW)

    result = cli.invoke(args=["jobs", "check"])

    assert (result.exit_code, result.output) == (0, "All 2 queued jobs would be accepted.\n")


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (greeting({"name": "Ada"}), "cannot be upgraded from version 1 to 2"),
        (greeting({**NEW, "x": 1}, version=3), "Invalid job payload: x: Unknown field."),
        (greeting(NEW, version=4), "version 4, and this code knows 'greet' up to version 3"),
        (greeting({**NEW, "address": {"$sealed": "x"}}, version=3, sealed=["address"]), "its key"),
        (greeting(NEW, version=3, metadata=5), "the envelope is broken: metadata"),
        (envelope({}, job_type="gone"), "unknown job type 'gone'"),
    ],
    ids=["upgrade", "schema", "newer", "key", "envelope", "type"],
)
def test_check_lists_what_would_be_refused(
    cli: FlaskCliRunner, job: dict[str, Any], why: str
) -> None:
    insert(job, status="failed")
    insert(greeting(NEW, version=3))

    assert why in refused(cli)[job["jobId"]]
    result = cli.invoke(args=["jobs", "check"])
    assert result.exit_code == 1
    assert why in result.stdout
    assert "1 of 2 queued jobs would be rejected." in result.stdout


def test_check_passes_over_what_will_not_be_delivered(cli: FlaskCliRunner) -> None:
    for columns in (
        {"status": "completed"},
        {"status": "cancelled"},
        {"status": "failed", "dead_at": "2026-01-01T00:00:00Z"},
    ):
        insert(envelope({}, job_type="gone"), **columns)

    assert refused(cli) == {}


def test_check_goes_through_a_long_queue_in_batches(
    cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_check, "BATCH", 2)
    bad = [envelope({}, job_type="gone") for _ in range(5)]
    for job in bad:
        insert(job)

    assert list(refused(cli)) == [job["jobId"] for job in bad]


def test_check_holds_no_transaction_while_it_reads(app: Flask) -> None:
    insert(envelope({}, job_type="gone"))
    in_transaction = text(
        "SELECT pid, query FROM pg_stat_activity WHERE state LIKE 'idle in trans%'"
        " AND datname = current_database() AND pid <> pg_backend_pid()"
    )

    def others() -> set[tuple[int, str]]:
        found = {(row.pid, row.query) for row in db.session.execute(in_transaction)}
        db.session.rollback()  # PostgreSQL shows a transaction the same activity throughout
        return found

    before = others()  # a thread of an earlier test may just be ending
    for _ in queue_check.check_queued():
        assert others() <= before
