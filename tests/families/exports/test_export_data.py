"""The job: what an organization sees, what filters leave, several legs, and failures."""

import gzip
import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import jobs
from app.accounts.models import ActivityLog, Membership, Organization, User
from app.artifacts import Artifact
from app.db import db
from app.families.exports import leg
from app.families.exports.catalog import ENTITIES
from app.families.exports.export_data import export_data
from app.families.exports.payload import ExportData
from app.families.exports.writers import WRITERS
from app.families.exports.writers.xlsx import XlsxWriter
from app.jobs import Continue, Job, JobExecution, PermanentError, Status
from app.jobs.errors import JobCancelled
from app.jobs.testing import drain
from tests.families.exports.exporting import Export, a_job, an_event, download, leg_of, to_its_end

CONTINUED = [name for name, writer in WRITERS.items() if writer.continues]
USERS = ExportData("users", "csv")


@pytest.fixture
def two_organizations(app: Flask) -> tuple[int, int]:
    """Two organizations, each with one row of every entity that bears its name."""
    ids = [add_organization("ours"), add_organization("theirs")]
    db.session.commit()
    return ids[0], ids[1]


def add_organization(name: str) -> int:
    organization = Organization(name=name, stripe_subscription_id=f"sub_{name}", plan_name=name)
    user = User(email=f"{name}@example.com", name=name)
    db.session.add_all([organization, user])
    db.session.flush()
    job = a_job(name, organization_id=organization.id)
    db.session.add_all(
        [
            Membership(organization_id=organization.id, user_id=user.id),
            ActivityLog(organization_id=organization.id, action=name),
            job,
            an_event(name, job_id=job.job_id),
        ]
    )
    return organization.id


@pytest.fixture
def users(app: Flask) -> None:
    db.session.add_all([User(email=f"{n}@example.com", name=f"=user\n{n}") for n in range(23)])
    db.session.commit()


@pytest.fixture
def short_legs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every delivery has time for one chunk of five rows."""
    monkeypatch.setattr(leg, "CHUNK", 5)
    monkeypatch.setattr(leg, "RESERVE", 2)


def exported(export: Export, entity: str, **options: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(export(entity, "json", **options))
    return rows


@pytest.mark.parametrize("entity", ENTITIES)
def test_an_organization_sees_its_own_rows_only(
    export: Export, two_organizations: tuple[int, int], entity: str
) -> None:
    ours = exported(export, entity, organization_id=two_organizations[0])

    assert len(ours) == 1
    assert "theirs" not in json.dumps(ours)
    assert len(exported(export, entity)) == 2


@pytest.mark.parametrize("entity", ENTITIES)
def test_an_operator_may_ask_for_one_organization(
    export: Export, two_organizations: tuple[int, int], entity: str
) -> None:
    ours = two_organizations[0]
    asked = exported(export, entity, filters={"organizationId": ours})

    assert asked == exported(export, entity, organization_id=ours)
    assert asked == exported(export, entity, organization_id=ours, filters={"organizationId": ours})


def test_an_organization_cannot_ask_for_another(two_organizations: tuple[int, int]) -> None:
    ours, theirs = two_organizations
    payload = replace(USERS, filters={"organizationId": theirs})

    with pytest.raises(PermanentError, match=f"filters.organizationId: {theirs} is not {ours}"):
        export_data(payload, leg_of(ours))
    assert files_recorded() == 0


@pytest.mark.parametrize("entity", ["job-executions", "webhook-events"])
def test_payloads_and_bodies_stay_inside(
    export: Export, two_organizations: tuple[int, int], entity: str
) -> None:
    assert b"s3cret" not in export(entity)


DAY = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("entity", "filters", "found"),
    [
        ("users", {"createdAfter": "2026-05-02"}, [1, 2]),
        ("users", {"createdBefore": "2026-05-02"}, [0]),
        ("users", {"createdAfter": "2026-05-02", "createdBefore": "2026-05-03"}, [1]),
        ("users", {"createdAfter": "2026-05-02T09:00:00+09:00"}, [1, 2]),
        ("users", {"createdAfter": "2026-05-02T00:00:00.000001Z"}, [2]),
        ("users", {"email": "1@example.com"}, [1]),
        ("organizations", {"status": "past_due"}, [1]),
        ("organizations", {"plan": "plan 2"}, [2]),
        ("memberships", {"role": "admin"}, [1]),
        ("subscriptions", {"status": "past_due", "currency": "usd"}, [1]),
        ("activity-logs", {"action": "did.2"}, [2]),
        ("job-executions", {"status": "cancelled"}, [1]),
        ("job-executions", {"jobType": "type-2", "userId": 2}, [2]),
        ("webhook-events", {"source": "source-1", "event": "e"}, [1]),
    ],
)
def test_filters(
    export: Export, app: Flask, entity: str, filters: dict[str, Any], found: list[int]
) -> None:
    rows = [three_of_each(n) for n in range(3)]
    db.session.commit()
    key = "organizationId" if entity == "subscriptions" else "id"

    got = exported(export, entity, filters=filters)

    assert [row[key] for row in got] == [rows[n][entity] for n in found]


def three_of_each(n: int) -> dict[str, int]:
    """Add the n-th row of each entity, a day after the one before, and return their keys."""
    organization = Organization(
        name="o",
        subscription_status=["active", "past_due", "unpaid"][n],
        plan_name=f"plan {n}",
        stripe_subscription_id=f"sub_{n}",
        currency="usd",
    )
    user = User(email=f"{n}@example.com", name="u", created_at=DAY + timedelta(days=n))
    db.session.add_all([organization, user])
    db.session.flush()
    role = ["owner", "admin", "member"][n]
    job = a_job(job_type=f"type-{n}", user_id=n, status=["failed", "cancelled", "completed"][n])
    added: dict[str, Any] = {
        "users": user,
        "organizations": organization,
        "subscriptions": organization,
        "memberships": Membership(organization_id=organization.id, user_id=user.id, role=role),
        "activity-logs": ActivityLog(action=f"did.{n}"),
        "job-executions": job,
        "webhook-events": an_event("e", source=f"source-{n}"),
    }
    db.session.add_all(added.values())
    db.session.flush()
    return {name: row.id for name, row in added.items()}


def test_the_job_tells_its_file_and_its_progress(users: None, client: FlaskClient) -> None:
    days = {today()}  # midnight may come while it runs
    job_id = export_data.enqueue(USERS)
    drain()
    days.add(today())

    row = db.session.scalars(select(JobExecution).where(JobExecution.job_id == job_id)).one()
    assert (row.status, row.result and row.result["rows"]) == (Status.COMPLETED, 23)
    assert row.progress == {"done": 23, "total": 23, "note": "users"}
    told = (row.result or {})["artifact"]
    assert told["name"] in {f"users-{day}.csv" for day in days}
    assert len(download(client, told["id"])) == told["size"]


def today() -> date:
    return datetime.now(UTC).date()


@pytest.mark.usefixtures("users", "short_legs")
def test_an_export_goes_on_in_another_delivery_until_it_is_whole(client: FlaskClient) -> None:
    job_id = export_data.enqueue(USERS)

    assert len(drain()) == 5

    row = db.session.scalars(select(JobExecution).where(JobExecution.job_id == job_id)).one()
    assert (row.status, row.legs, (row.result or {})["rows"]) == (Status.COMPLETED, 4, 23)
    assert files_recorded() == 1


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("to", CONTINUED)
def test_a_file_of_many_legs_is_that_of_one(
    export: Export, users: None, request: pytest.FixtureRequest, to: str, *, compressed: bool
) -> None:
    whole = export("users", to)
    request.getfixturevalue("short_legs")
    data = export("users", to, gzip=compressed, bom=False)

    assert (gzip.decompress(data) if compressed else data) == whole


@pytest.mark.usefixtures("users", "short_legs")
def test_a_leg_that_dies_loses_only_its_own_work(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = handed_over(leg_of(None))
    with monkeypatch.context() as patch:
        patch.setattr(leg.Leg, "_check_fits", power_cut)
        with pytest.raises(ConnectionError):
            export_data(USERS, leg_of(None, state))
    db.session.rollback()
    state = handed_over(leg_of(None, state))
    monkeypatch.setattr(leg, "RESERVE", 0)
    result = export_data(USERS, leg_of(None, state))
    db.session.commit()

    assert result is not None
    data = download(client, result["artifact"]["id"])
    assert data.count(b"@example.com") == result["rows"] == 23


def handed_over(job: Job) -> dict[str, Any]:
    with pytest.raises(Continue) as raised:
        export_data(USERS, job)
    db.session.commit()
    state: dict[str, Any] = json.loads(json.dumps(raised.value.state))
    return state


def power_cut(*_: object) -> None:
    raise ConnectionError


@pytest.mark.usefixtures("users", "short_legs")
def test_rows_that_come_during_an_export_are_not_in_it(export: Export) -> None:
    state = handed_over(leg_of(None))
    db.session.add(User(email="late@example.com", name="late"))
    db.session.commit()

    rows = 0
    while state["rows"] < state["total"] - 5:
        state = handed_over(leg_of(None, state))
    result = export_data(USERS, leg_of(None, state))
    db.session.commit()
    rows = (result or {})["rows"]

    assert rows == 23


@pytest.mark.usefixtures("users", "short_legs")
def test_an_export_whose_file_is_gone_begins_anew(app: Flask, client: FlaskClient) -> None:
    state = handed_over(leg_of(None))
    for path in files(app):
        path.unlink()

    job = leg_of(None, state)
    with pytest.raises(Continue) as raised:
        export_data(USERS, job)

    assert raised.value.state["rows"] == 5


@pytest.mark.usefixtures("users", "short_legs")
@pytest.mark.parametrize("to", ["xlsx", "parquet"])
def test_what_cannot_be_continued_must_fit_into_one_delivery(app: Flask, to: str) -> None:
    with pytest.raises(PermanentError, match=rf"only 5 of 23 rows .* {to} .* export as csv"):
        to_its_end(replace(USERS, format=to))
    assert not files(app)


def test_more_rows_than_a_worksheet_holds_are_refused(
    app: Flask, users: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert XlsxWriter.max_rows == 1_048_575
    monkeypatch.setattr(XlsxWriter, "max_rows", 22)

    with pytest.raises(PermanentError, match="23 rows do not fit into xlsx, which holds 22"):
        to_its_end(replace(USERS, format="xlsx"))
    assert not files(app)


@pytest.mark.parametrize("to", WRITERS)
def test_a_full_disk_fails_the_attempt_and_leaves_nothing(app: Flask, to: str) -> None:
    # Random enough that no format can compress it away.
    fill = "SELECT n || '@example.com', md5(random()::text) FROM generate_series(1, 3000) AS n"
    db.session.execute(db.text(f"INSERT INTO users (email, name) {fill}"))
    db.session.commit()
    payload = replace(USERS, format=to)

    with disk_full(), pytest.raises(OSError, match="File too large"):
        export_data(payload, leg_of(None))
    db.session.rollback()

    assert not files(app)
    assert to_its_end(payload)["rows"] == 3_000


@contextmanager
def disk_full() -> Iterator[None]:
    """Let no file grow beyond 20 kB: a write fails, as on a full disk."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("to", WRITERS)
def test_a_cancelled_export_leaves_no_file_and_a_connection_that_works(
    app: Flask, users: None, to: str
) -> None:
    def cancel(_: object) -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        export_data(replace(USERS, format=to), replace(leg_of(None), beat=cancel))

    assert not files(app)
    assert db.session.scalar(select(func.count()).select_from(User)) == 23


def files_recorded() -> int:
    return db.session.scalar(select(func.count()).select_from(Artifact)) or 0


def files(app: Flask) -> list[Path]:
    folder = Path(app.instance_path, app.config["ARTIFACTS_DIR"])
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("users", "short_legs", "published")
def test_recipients_of_an_export_are_told_once_when_its_last_leg_is_done(app: Flask) -> None:
    payload = {"entityType": "users", "format": "csv", "recipients": ["ann@example.com"]}
    jobs.enqueue("export-data", payload, organization_id=None)

    drain()

    [job] = db.session.scalars(select(JobExecution).where(JobExecution.job_type == "send-email"))
    assert job.payload["payload"]["data"]["what"] == "The export of users (23 rows)"
    assert job.status == "completed"
