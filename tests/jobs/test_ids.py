"""Ids that others give: of jobs, which may be any text, and of users and organizations."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time_ns
from typing import Any
from uuid import RFC_4122, UUID, uuid4

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app import create_app
from app.api import keys
from app.artifacts.cleanup import remove_orphans
from app.artifacts.files import create
from app.db import db
from app.families.exports.catalog import ENTITIES
from app.jobs import InvalidOption, JobExecution, enqueue, enqueue_many, status_url
from app.jobs.errors import DatabaseUnavailable, JobsNotInitialised
from app.jobs.message import Message
from app.jobs.publish.qstash import deduplication_id
from app.jobs.table import job_rows
from app.jobs.table.filters import Filter
from app.jobs.table.pages import list_jobs
from app.jobs.testing import assert_enqueued, make_job
from app.jobs.values.ids import new_job_id
from tests.support.apps import fresh_database, settings
from tests.support.qstash import deliver, envelope
from tests.support.sample_jobs import bp

FOREIGN = (
    "test-job-id",
    "job_01J9ZK",
    "order:1234",
    "jöb 7",
    "x" * 255,
    "%2F",
    "C5E81901-CBCF-4135-8A28-F29254D24FCA",
)

OWNERS: dict[str, tuple[Any, Any]] = {
    "integer": (7, "7"),
    "text": ("user_2abc", 7),
    "uuid": ("0f8fad5b-d9cb-469f-a165-70867728950e", "user_2abc"),
}


@pytest.mark.parametrize("job_id", FOREIGN)
def test_a_job_of_another_producer_keeps_its_id(client: FlaskClient, cli: Any, job_id: str) -> None:
    body = envelope({"action": "none"}, jobId=job_id)

    assert deliver(client, body, message_id="msg_1").json == {
        "success": True, "jobId": job_id, "result": None,
    }  # fmt: skip
    again = deliver(client, body, message_id="msg_2")
    assert again.json == {"success": True, "skipped": "completed"}

    row = job_rows.get_job_execution_by_job_id(job_id)
    assert row is not None
    assert row.payload["jobId"] == job_id
    path = status_url(job_id).removeprefix("https://app.example.com")
    assert client.get(path).json["jobId"] == job_id  # type: ignore[index]
    secret, _ = keys.create("all", ("read", "manage"))
    bearer = {"Authorization": f"Bearer {secret}"}
    assert client.get(path.partition("?")[0], headers=bearer).json["jobId"] == job_id  # type: ignore[index]
    assert job_id in cli.invoke(args=["jobs", "show", job_id]).output.replace("\n", "")
    assert client.delete(path.partition("?")[0], headers=bearer).status_code == 204
    assert cli.invoke(args=["jobs", "show", job_id]).exit_code == 2


def test_our_ids_are_uuids_that_begin_with_the_time(app: Flask) -> None:
    before, found, after = time_ns(), [UUID(new_job_id()) for _ in range(1_000)], time_ns()

    assert len(set(found)) == len(found)
    assert {(one.version, one.variant) for one in found} == {(7, RFC_4122)}
    assert before // 10**6 <= found[0].int >> 80 <= found[-1].int >> 80 <= after // 10**6
    assert UUID(enqueue("sample", {"action": "none"})).version == 7


def test_a_published_id_is_one_that_qstash_takes() -> None:
    given: dict[str, Any] = {"job_type": "sample", "endpoint": "/", "body": "", "options": {}}
    ours = str(uuid4())
    assert deduplication_id(Message(job_id=ours, **given)) == f"{ours}-0-0-0"
    made = {deduplication_id(Message(job_id=job_id, **given)) for job_id in FOREIGN[:-1]}
    assert len(made) == len(FOREIGN) - 1
    assert all(one.isascii() and ":" not in one and len(one) < 100 for one in made)


@pytest.mark.usefixtures("app")
def test_a_uuid_where_ids_are_numbers_is_refused_with_the_setting_for_it(cli: Any) -> None:
    given = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")

    with pytest.raises(InvalidOption, match=r"integer; for UUIDs, set JOBS_ID_TYPE=uuid\)"):
        enqueue("sample", {"action": "none"}, user_id=given)
    said = cli.invoke(args=["jobs", "list", "--user-id", str(given)]).output
    assert "set JOBS_ID_TYPE=uuid" in said


@pytest.mark.parametrize("job_id", FOREIGN)
def test_an_idempotency_key_is_one_that_a_header_takes(job_id: str) -> None:
    job = make_job(id=job_id, generation=2)
    assert job.idempotency_key.encode("ascii").endswith(b"/2")
    assert len(job.idempotency_key) <= 110


@pytest.mark.parametrize("job_id", ["../../a", "x" * 255, "order:1"])
def test_a_file_of_such_a_job_is_kept_while_the_job_lives(app: Flask, job_id: str) -> None:
    row = {"job_id": job_id, "job_type": "sample", "payload": {"payload": {}}}
    with db.engine.begin() as connection:
        job_rows.create_job_execution(connection, row)
    job = make_job(id=job_id)
    with create("a.txt", media_type="text/plain", job=job) as file:
        file.write(b"a")
    db.session.rollback()  # the row of the file is gone, as after a crash
    no_age = type(file.artifact.expires_at - file.artifact.expires_at)(0)
    assert remove_orphans(no_age) == 0
    with db.engine.begin() as connection:
        job_rows.mark_dead(connection, job_id, "over")
    assert remove_orphans(no_age) == 1


@pytest.fixture(params=OWNERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def owned(database_server: str, tmp_path: Path, kind: str) -> Iterator[Flask]:
    """An app whose ids are of a kind, on a database of its own."""
    with fresh_database(database_server, f"ids_{kind}_{tmp_path.name}") as url:
        app = create_app({**settings(url), "JOBS_ID_TYPE": kind}, instance=tmp_path)
        app.register_blueprint(bp)
        with app.app_context():
            flask_migrate.upgrade("migrations")
            db.create_all()  # the samples' own table
            yield app
            db.session.remove()
            db.engine.dispose()


def test_ids_of_owners_are_of_the_kind_that_the_setting_says(owned: Flask, kind: str) -> None:
    good, bad = OWNERS[kind]
    client, cli = owned.test_client(), owned.test_cli_runner()

    with pytest.raises(InvalidOption, match=rf"user_id: .* \(JOBS_ID_TYPE={kind}\)"):
        enqueue("sample", {"action": "none"}, user_id=bad)
    with pytest.raises(InvalidOption, match="organization_id"):
        enqueue_many("sample", [{"action": "none"}], organization_id=bad)
    refused = deliver(client, envelope({"action": "none"}, metadata={"userId": bad}))
    assert refused.status_code == 489
    assert db.session.query(JobExecution).count() == 0

    given = {"user_id": good, "organization_id": good}
    first = enqueue("sample", {"action": "none"}, **given, idempotency_key="once")
    assert enqueue("sample", {"action": "none"}, **given, idempotency_key="once") == first
    [second] = enqueue_many("sample", [{"action": "none"}], **given)
    arrived = envelope({"action": "none"}, metadata={"userId": good, "organizationId": good})
    assert deliver(client, arrived).status_code == 200
    rows = list_jobs(Filter(user_id=good, organization_id=good)).jobs
    assert {row.job_id for row in rows} == {first, second, arrived["jobId"]}
    assert {row.user_id for row in rows} == {row.organization_id for row in rows} == {good}
    assert rows[1].payload["metadata"]["userId"] == good

    secret, _ = keys.create("one", ("read", "enqueue"), organization_id=good, job_types=("sample",))
    bearer = {"Authorization": f"Bearer {secret}"}
    page = client.get(f"/api/jobs?userId={good}", headers=bearer).get_json()
    assert [one["organizationId"] for one in page["jobs"]] == [good] * 3
    body = {"type": "sample", "payload": {"action": "none"}, "userId": bad}
    answer = client.post("/api/jobs", json=body, headers=bearer)
    assert (answer.status_code, list(answer.get_json()["errors"])) == (422, ["userId"])
    assert client.post("/api/jobs", json=body | {"userId": good}, headers=bearer).status_code == 202

    listed = cli.invoke(args=["jobs", "list", "--user-id", str(good), "--json"])
    assert listed.output.count('"job_id"') == 4
    if kind != "text":
        wrong = cli.invoke(args=["jobs", "list", "--user-id", "user 2"])
        assert f"(JOBS_ID_TYPE={kind})" in wrong.stderr
    document = client.get("/api/openapi.json").get_json()
    said = document["components"]["schemas"]["Summary"]["properties"]["userId"]["type"]
    assert said == ["integer" if kind == "integer" else "string", "null"]
    columns = {one.name: one.kind for one in ENTITIES["job-executions"].columns}
    assert columns["userId"] == ("integer" if kind == "integer" else "text")


def test_exports_follow_the_kind(owned: Flask, kind: str) -> None:
    good, bad = OWNERS[kind]
    enqueue("sample", {"action": "none"}, user_id=good, organization_id=good)
    payload = {"entityType": "job-executions", "format": "json", "filters": {"userId": good}}
    for entity in ("job-executions", "users", "activity-logs"):
        filters = payload["filters"] if entity == "job-executions" else {}
        body = envelope(
            {**payload, "entityType": entity, "filters": filters},
            "export-data",
            metadata={"organizationId": good},
        )
        answer = deliver(owned.test_client(), body, path="/api/jobs/export")
        assert answer.status_code == 200, answer.get_json()
        assert answer.get_json()["result"]["rows"] == (entity == "job-executions")
    wrong = envelope({**payload, "filters": {"userId": bad}}, "export-data", metadata={})
    assert deliver(owned.test_client(), wrong, path="/api/jobs/export").status_code == 489
    report = envelope(
        {
            "reportType": "job-performance", "format": "json",
            "startDate": "2026-01-01", "endDate": "2026-01-31",
        },
        "generate-report",
        metadata={"organizationId": good},
    )  # fmt: skip
    answer = deliver(owned.test_client(), report, path="/api/jobs/report")
    row = job_rows.get_job_execution_by_job_id(report["jobId"])
    assert answer.status_code == 489
    assert row is not None
    assert f"no organization {good} to report on" in str(row.error)


@contextmanager
def upgraded(url: str, folder: Path, kind: str) -> Iterator[None]:
    """Be in an app whose ids are of a kind, after `flask db upgrade`."""
    app = create_app({**settings(url), "JOBS_ID_TYPE": kind}, instance=folder)
    app.register_blueprint(bp)
    with app.app_context():
        try:
            flask_migrate.upgrade("migrations")
            yield
        finally:
            db.session.remove()
            db.engine.dispose()


def test_a_changed_setting_is_followed_by_the_next_upgrade_or_refused(
    database_server: str, tmp_path: Path
) -> None:
    types = text(
        "SELECT DISTINCT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attname IN ('user_id', 'organization_id') AND attrelid = ANY(ARRAY["
        "'job_executions', 'artifacts', 'api_keys']::regclass[])"
    )
    with fresh_database(database_server, f"changed_{tmp_path.name}") as url:
        with upgraded(url, tmp_path, "integer"):
            assert db.session.scalars(types).all() == ["bigint"]
            enqueue("sample", {"action": "none"}, user_id=7)
        with upgraded(url, tmp_path, "text"):
            assert db.session.scalars(types).all() == ["character varying(255)"]
            assert [row.user_id for row in list_jobs(Filter(user_id="7")).jobs] == ["7"]
            enqueue("sample", {"action": "none"}, user_id="user_2abc")
        for kind, what in (("integer", "1 ids that are not a whole number"), ("uuid", "2 ids")):
            with (
                pytest.raises(SystemExit, match=f"user_id has {what}"),
                upgraded(url, tmp_path, kind),
            ):
                raise AssertionError("it was upgraded")
        with upgraded(url, tmp_path, "text"):
            assert len(list_jobs(Filter(user_id="user_2abc")).jobs) == 1


def test_a_changed_setting_without_an_upgrade_says_what_to_run(
    database_server: str, tmp_path: Path
) -> None:
    with fresh_database(database_server, f"behind_{tmp_path.name}") as url:
        with upgraded(url, tmp_path, "uuid"):
            pass
        app = create_app({**settings(url), "JOBS_ID_TYPE": "integer"}, instance=tmp_path)
        app.register_blueprint(bp)
        with app.app_context():
            try:
                with pytest.raises(DatabaseUnavailable, match="what JOBS_ID_TYPE says"):
                    enqueue("sample", {"action": "none"}, user_id=7)
            finally:
                db.session.remove()
                db.engine.dispose()


def test_uuids_are_taken_as_such(owned: Flask, kind: str) -> None:
    if kind != "uuid":
        pytest.skip("of UUIDs")
    given = UUID(OWNERS["uuid"][0])
    job_id = enqueue("sample", {"action": "none"}, user_id=given)
    row = job_rows.get_job_execution_by_job_id(job_id)
    assert row is not None
    assert row.user_id == str(given)
    assert assert_enqueued("sample", user_id=given).job_id == job_id


def test_a_kind_that_there_is_not_stops_the_start(tmp_path: Path, database_url: str) -> None:
    with pytest.raises(JobsNotInitialised, match="is none of: integer, text, uuid"):
        create_app({**settings(database_url), "JOBS_ID_TYPE": "int"}, instance=tmp_path)
