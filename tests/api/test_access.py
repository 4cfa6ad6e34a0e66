"""Who may do what with the job API, how often, and what everybody else is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app import artifacts
from app.api import keys
from app.db import db
from app.jobs import enqueue, status_url
from tests.api.calling import Call, make_key
from tests.support.rows import count_rows

GOOD = {"type": "sample", "payload": {"action": "none"}}

NOBODY = "00000000-0000-4000-8000-000000000000"
A_FILE = artifacts.Artifact(id=NOBODY, expires_at=datetime.now(UTC) + timedelta(days=1))
ENDPOINTS = [
    ("POST", "/api/jobs", "enqueue"),
    ("GET", "/api/jobs", "read"),
    ("GET", f"/api/jobs/{NOBODY}", "read"),
    ("POST", f"/api/jobs/{NOBODY}/retry", "manage"),
    ("POST", f"/api/jobs/{NOBODY}/cancel", "manage"),
    ("DELETE", f"/api/jobs/{NOBODY}", "manage"),
    ("GET", "/api/job-types", "read"),
]


@pytest.mark.parametrize(("method", "path", "scope"), ENDPOINTS)
def test_no_endpoint_opens_without_a_good_key(
    call: Call, method: str, path: str, scope: str
) -> None:
    for key in ("jobkey_", "jobkey_00000000_wrong", "jobkey_\u00fc"):
        answer = call(method, path, key)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.mimetype == "application/problem+json"
    assert call(method, path).status_code in {401, 403}


@pytest.mark.parametrize(("method", "path", "scope"), ENDPOINTS)
def test_every_endpoint_needs_its_scope(call: Call, method: str, path: str, scope: Any) -> None:
    others = set(keys.SCOPES) - ({"read", "enqueue"} if "types" in path else {scope})

    refused = call(method, path, make_key(*others), json=GOOD)

    assert refused.status_code == 403
    assert f"lacks the scope {scope}" in refused.text
    assert call(method, path, make_key(scope), json=GOOD).status_code in {200, 202, 404}


def test_an_expired_or_revoked_key_is_none(call: Call) -> None:
    over = make_key(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    revoked = make_key()
    assert call("GET", "/api/jobs", revoked).status_code == 200
    keys.revoke(revoked[:15])

    assert [call("GET", "/api/jobs", key).status_code for key in (over, revoked)] == [401, 401]


def test_the_table_does_not_have_the_key(call: Call) -> None:
    key = make_key()
    call("GET", "/api/jobs", key)

    stored = db.session.execute(db.text("SELECT to_jsonb(api_keys)::text FROM api_keys")).scalar()

    assert key[:15] in str(stored)
    assert key[16:] not in str(stored)


def test_the_use_of_a_key_is_noted_once_a_minute(call: Call) -> None:
    key = make_key()

    def used() -> Any:
        db.session.rollback()
        return db.session.scalar(db.text("SELECT last_used_at FROM api_keys"))

    assert used() is None
    call("GET", "/api/jobs", key)
    first = used()
    call("GET", "/api/jobs", key)
    assert used() == first
    db.session.execute(db.text("UPDATE api_keys SET last_used_at = now() - interval '61 s'"))
    db.session.commit()
    call("GET", "/api/jobs", key)
    assert used() > first


def test_an_organizations_key_makes_its_jobs_alone(call: Call) -> None:
    key = make_key(organization_id=3)

    answer = call("POST", "/api/jobs", key, json=GOOD)
    refused = call("POST", "/api/jobs", key, json={**GOOD, "organizationId": 4})

    assert answer.json is not None
    found = call("GET", f"/api/jobs/{answer.json['jobId']}", key).json
    assert found is not None
    assert found["organizationId"] == 3
    assert (refused.status_code, "only for organization 3" in refused.text) == (403, True)
    assert count_rows() == 1


def test_another_organizations_job_is_not_there(call: Call) -> None:
    key, theirs = make_key(organization_id=3), enqueue("sample", GOOD["payload"], organization_id=4)
    own = enqueue("sample", GOOD["payload"], organization_id=3)
    url = f"/api/jobs/{theirs}"
    calls = [("GET", url), ("POST", f"{url}/retry"), ("POST", f"{url}/cancel"), ("DELETE", url)]

    assert [call(method, path, key).status_code for method, path in calls] == [404] * 4
    listed = call("GET", "/api/jobs", key).json
    assert listed is not None
    assert [job["jobId"] for job in listed["jobs"]] == [own]
    assert call("GET", "/api/jobs?organizationId=4", key).status_code == 403


def test_an_organization_does_not_see_what_errors_say(call: Call) -> None:
    key, job_id = make_key(organization_id=3), enqueue("noop", GOOD["payload"], organization_id=3)
    db.session.execute(db.text("UPDATE job_executions SET error = 'db7.internal refused'"))
    db.session.commit()

    assert "db7" not in call("GET", f"/api/jobs/{job_id}", key).text
    assert "db7" in call("GET", f"/api/jobs/{job_id}", make_key()).text
    assert call("GET", "/api/jobs?error=db7", key).status_code == 403


def test_a_key_may_be_for_some_job_types_alone(call: Call) -> None:
    key = make_key(job_types=("noop",))

    assert call("POST", "/api/jobs", key, json={**GOOD, "type": "noop"}).status_code == 202
    refused = call("POST", "/api/jobs", key, json=GOOD)
    assert (refused.status_code, "may enqueue only noop" in refused.text) == (403, True)


def test_a_key_for_all_opens_the_health_page(app: Flask, call: Call) -> None:
    app.config["APP_ENV"] = "production"
    refused = (make_key("enqueue"), make_key("read", organization_id=3), "jobkey_x")

    assert call("GET", "/api/admin/job-health", make_key("read")).status_code == 200
    assert {call("GET", "/api/admin/job-health", key).status_code for key in refused} == {401}


def test_a_key_has_a_rate_of_its_own(app: Flask, call: Call) -> None:
    app.config["API_RATE_LIMIT"] = "2/minute"
    one, other = make_key(), make_key()

    assert [call("GET", "/api/jobs", one).status_code for _ in range(3)] == [200, 200, 429]
    limited = call("GET", "/api/job-types", one)
    assert limited.status_code == 429
    assert int(limited.headers["Retry-After"]) > 0
    assert limited.mimetype == "application/problem+json"
    assert call("GET", "/api/jobs", other).status_code == 200


def test_who_fails_too_often_has_to_wait_and_others_do_not(app: Flask, call: Call) -> None:
    app.config["API_FAILURE_LIMIT"] = "2/minute"
    tries = [
        call("GET", "/api/jobs", "jobkey_x"),
        call("GET", f"/api/jobs/{NOBODY}?token=x"),
        call("GET", "/api/artifacts/x"),
        call("GET", "/api/jobs"),
    ]

    assert [answer.status_code for answer in tries] == [401, 403, 429, 429]
    assert call("GET", "/api/jobs", make_key()).status_code == 200
    elsewhere = call("GET", "/api/jobs", environ_base={"REMOTE_ADDR": "203.0.113.9"})
    assert elsewhere.status_code == 401


def test_fault_R18_no_stranger_shuts_the_links_of_others(app: Flask, call: Call) -> None:
    """All come from one address: an office's, or a proxy's that the app was not told of."""
    app.config.update(API_FAILURE_LIMIT="2/minute", API_RATE_LIMIT="5/minute")
    app.config["ADMIN_TOKEN"] = "t" * 32
    job, gone = status_url(enqueue("sample", {"action": "none"})), artifacts.link(A_FILE)
    bad = [call("GET", "/api/artifacts/x").status_code for _ in range(6)]
    assert bad[:3] == [403, 403, 429]

    good = [call("GET", link.removeprefix(app.config["BASE_URL"])) for link in (job, gone)]
    health = call("GET", "/api/admin/job-health", "t" * 32)

    assert [answer.status_code for answer in (*good, health)] == [200, 410, 200]
    again = [call("GET", job.removeprefix(app.config["BASE_URL"])) for _ in range(5)]
    assert again[-1].status_code == 429, "a link has a rate of its own"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b"\xff", "content_type": "application/json"}, 400),
        ({"data": b"[" * 100_000, "content_type": "application/json"}, 400),
        ({"data": b"[" * 500 + b"]" * 500, "content_type": "application/json"}, 400),
        ({"data": b"{}", "content_type": "text/plain"}, 415),
        ({"data": b"{}"}, 415),
        ({"data": b" " * 600_000, "content_type": "application/json"}, 413),
        ({"json": []}, 422),
        ({"json": "x"}, 422),
    ],
)
def test_a_body_that_is_none_is_a_problem(call: Call, request_: Any, status: int) -> None:
    answer = call("POST", "/api/jobs", make_key(), **request_)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert count_rows() == 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/jobs", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", f"/api/jobs/{NOBODY}", {"GET", "HEAD", "OPTIONS", "DELETE"}),
        ("GET", f"/api/jobs/{NOBODY}/retry", {"POST", "OPTIONS"}),
        ("GET", "/api/jobs/email", {"POST", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    call: Call, method: str, path: str, allowed: set[str]
) -> None:
    answer = call(method, path, make_key())

    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    assert set(answer.headers["Allow"].split(", ")) == allowed
