"""`/api/jobs`: enqueue, list, look, act."""

from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask

from app.jobs import PublishRefused, enqueue
from app.jobs.publish.qstash import Publisher
from app.jobs.table import audit
from tests.api.calling import Call, make_key
from tests.support.rows import Rows, add_row, count_rows

GOOD: dict[str, Any] = {"type": "sample", "payload": {"action": "none"}}


def errors_of(answer: Any) -> dict[str, Any]:
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json"), answer.text
    found: dict[str, Any] = answer.json["errors"]
    return found


def test_an_enqueue_is_recorded_with_its_owner_and_options(call: Call, rows: Rows) -> None:
    options = {"delay": "1m30s", "retries": 5, "label": "nightly", "timeout": 20}

    answer = call(
        "POST", "/api/jobs", make_key(), json={**GOOD, "userId": 7, "organizationId": 3, **options}
    )

    assert answer.status_code == 202
    row = rows[answer.json["jobId"]]  # type: ignore[index]
    assert (row.user_id, row.organization_id, row.max_retries) == (7, 3, 5)
    assert row.options["delay"] == 90
    assert answer.headers["Location"] == f"/api/jobs/{row.job_id}"
    assert call("GET", answer.json["statusUrl"]).json["jobId"] == row.job_id  # type: ignore[index]


@pytest.mark.parametrize("where", ["body", "header"])
def test_the_same_idempotency_key_answers_the_first_job(call: Call, where: str) -> None:
    key = make_key()
    request: dict[str, Any] = {"json": GOOD, "headers": {"Idempotency-Key": "invoice 7"}}
    if where == "body":
        request = {"json": {**GOOD, "idempotencyKey": "invoice 7"}}

    first, second = (call("POST", "/api/jobs", key, **request) for _ in range(2))

    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json is not None
    assert second.json is not None
    assert second.json["existed"]
    assert second.json["jobId"] == first.json["jobId"]
    assert count_rows() == 1


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "sampel"}, "type", "did you mean: sample"),
    ({"payload": {"action": 1}}, "payload", "Not a valid string"),
    ({"payload": {"action": "\x00"}}, "payload", "NUL"),
    ({"payload": None}, "payload", "may not be null"),
    ({"userId": "7"}, "userId", "Not a valid integer"),
    ({"userId": 2**63}, "userId", "9223372036854775807"),
    ({"idempotencyKey": ""}, "idempotencyKey", "between 1 and 255"),
    ({"delay": "soon"}, "delay", "is not a duration"),
    ({"delay": 1e300}, "delay", "at most a thousand years"),
    ({"delay": 5, "notBefore": "2030-01-01T00:00:00Z"}, "notBefore", "give only one of them"),
    ({"notBefore": "2030-01-01T00:00:00"}, "notBefore", "Not a valid aware datetime"),
    ({"retries": -1}, "retries", "greater than or equal to 0"),
    ({"callback": "http://10.0.0.5/"}, "callback", "private network"),
    ({"failureCallback": "x"}, "failureCallback", "absolute http"),
    ({"flowControl": {"key": "a\nb", "rate": 1}}, "flowControl", "does not match"),
    ({"headers": {"a": "b"}}, "headers", "Unknown field"),
]


@pytest.mark.parametrize(("changes", "field", "said"), WRONG)
def test_a_wrong_field_is_named_and_nothing_recorded(
    app: Flask, call: Call, changes: dict[str, Any], field: str, said: str
) -> None:
    app.config["JOBS_CALLBACK_ALLOW"] = ""

    errors = errors_of(call("POST", "/api/jobs", make_key(), json={**GOOD, **changes}))

    assert said in str(errors[field])
    assert count_rows() == 0


DIGITS = "9" * 5000
REFUSED_BY_QSTASH: list[tuple[dict[str, Any], str]] = [
    ({"retries": 101}, "retries"),
    ({"retryDelay": "(((("}, "retryDelay"),
    ({"retryDelay": "(" * 40 + "1" + ")" * 40}, "retryDelay"),
    ({"retryDelay": "+" * 600}, "retryDelay"),
    ({"retryDelay": "sleep(1)"}, "retryDelay"),
    ({"delay": f"{DIGITS}d"}, "delay"),
    ({"delay": "366d"}, "delay"),
    ({"delay": "\uff11m"}, "delay"),
    ({"notBefore": "2999-01-01T00:00:00Z"}, "notBefore"),
    ({"notBefore": 10**18}, "notBefore"),
    ({"notBefore": True}, "notBefore"),
    ({"timeout": 315360000}, "timeout"),
    ({"timeout": 0}, "timeout"),
    ({"label": "\u00e4"}, "label"),
    ({"label": "l" * 300}, "label"),
    ({"callback": "http://127.0.0.1/" + "x" * 2048}, "callback"),
    ({"callback": "http://127.0.0.1/a b"}, "callback"),
    ({"queue": "a b"}, "queue"),
    ({"flowControl": {"key": "a"}}, "flowControl"),
    ({"flowControl": {"key": "a", "rate": 1, "period": 604801}}, "flowControl"),
]


@pytest.mark.parametrize(("changes", "field"), REFUSED_BY_QSTASH)
def test_fault_D18_R19_what_qstash_would_refuse_is_refused_before_it_is_recorded(
    call: Call, changes: dict[str, Any], field: str
) -> None:
    errors = errors_of(call("POST", "/api/jobs", make_key(), json={**GOOD, **changes}))

    assert len(str(errors[field])) < 300
    assert count_rows() == 0


def test_fault_A23_not_before_may_be_seconds_since_1970(call: Call, rows: Rows) -> None:
    at = int(datetime.now(UTC).timestamp()) + 600

    answer = call("POST", "/api/jobs", make_key(), json={**GOOD, "notBefore": at})

    assert answer.json is not None
    assert rows[answer.json["jobId"]].available_at == datetime.fromtimestamp(at, UTC)


@pytest.mark.parametrize(
    "query",
    [
        "newerThan=999999999999", "olderThan=999999999999", "newerThan=9999999999d",
        f"olderThan={DIGITS}", "newerThan=%EF%BC%91m",
    ],
)  # fmt: skip
def test_fault_D6_D18_a_filter_beyond_the_calendar_is_named(call: Call, query: str) -> None:
    answer = call("GET", f"/api/jobs?{query}", make_key())

    assert query.partition("=")[0] in errors_of(answer)


def cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "after",
    ["0001-01-01T00:00:00+14:00 1", "9999-12-31T23:59:59-14:00 1", "0001-01-01T00:00:00+00:00 1",
     "9999-12-31T23:59:59.999999+00:00 1", f"2026-01-01T00:00:00+00:00 -{2**64}"],
)  # fmt: skip
def test_fault_D6_a_cursor_at_the_edge_of_the_calendar_is_no_error_of_ours(
    call: Call, after: str
) -> None:
    assert call("GET", f"/api/jobs?after={cursor(after)}", make_key()).status_code in {200, 422}


def test_fault_R19_what_qstash_refuses_all_the_same_is_the_callers_to_know(
    app: Flask, call: Call
) -> None:
    """Its limits are up to the plan: no limit of ours can be all of them."""
    state = app.extensions["jobs"]
    refuses = PublishRefused("QStash refuses the message: quota maxRetries exceeded")
    publisher = Mock(spec=Publisher, publish=Mock(side_effect=refuses))
    publisher.destination.return_value = "https://app.example.com/x"
    app.extensions["jobs"] = replace(state, publisher=publisher)

    answer = call("POST", "/api/jobs", make_key(), json=GOOD)

    assert (answer.status_code, "quota maxRetries exceeded" in answer.text) == (422, True)
    app.extensions["jobs"] = state


@pytest.mark.parametrize(
    "lane",
    [{"queue": "resend"}, {"flowControl": {"key": "resend", "rate": 2, "period": 1}}],
    ids=["queue", "flow control"],
)
def test_fault_R9_D17_a_tenants_lanes_are_its_own(
    call: Call, rows: Rows, lane: dict[str, Any]
) -> None:
    key = make_key("enqueue", organization_id=7, job_types=("sample",))

    answer = call("POST", "/api/jobs", key, json={**GOOD, **lane})

    assert answer.json is not None
    options = rows[answer.json["jobId"]].options
    assert options.get("queue", options.get("flow_control", {}).get("key")) == "org-7.resend"


def test_fault_R9_D17_the_apps_own_lanes_are_nobodys_else(call: Call) -> None:
    lane = {"flowControl": {"key": "resend", "rate": 1, "period": 604800}}

    errors = errors_of(call("POST", "/api/jobs", make_key(), json={**GOOD, **lane}))

    assert "is used by the app" in str(errors["flowControl"])
    assert count_rows() == 0


@pytest.mark.parametrize(
    "lane", [{"queue": "mine"}, {"flowControl": {"key": "mine", "rate": 1000}}], ids=str
)
def test_fault_R9_a_type_with_limits_for_everybody_keeps_them(
    call: Call, lane: dict[str, Any]
) -> None:
    email = {"to": "a@b.co", "template": "passwordChanged", "data": {"recipientName": "Ann"}}
    job = {"type": "send-email", "payload": email, **lane}
    key = make_key("enqueue", organization_id=7, job_types=("send-email",))

    assert "their own limits" in str(errors_of(call("POST", "/api/jobs", key, json=job)))


def test_fault_R24_repeating_anothers_idempotency_key_opens_no_job(call: Call) -> None:
    job = {**GOOD, "idempotencyKey": "invoice 7"}
    first = call("POST", "/api/jobs", make_key(), json=job).json

    again = call("POST", "/api/jobs", make_key("enqueue"), json=job).json

    assert first is not None
    assert again == {
        "jobId": first["jobId"],
        "existed": True,
        "enqueuedAs": "existing",
        "statusUrl": None,
    }


def test_fault_A16_an_idempotency_key_is_one_in_the_header_and_in_the_body(call: Call) -> None:
    key, given = make_key(), "r\u00e9sum\u00e9 \u4e2d"
    headers = {"Idempotency-Key": given.encode().decode("latin-1")}

    first = call("POST", "/api/jobs", key, json=GOOD, headers=headers)
    second = call("POST", "/api/jobs", key, json={**GOOD, "idempotencyKey": given})
    wrong = call("POST", "/api/jobs", key, json=GOOD, headers={"Idempotency-Key": "\xff"})

    assert (first.status_code, second.status_code) == (202, 200)
    assert errors_of(wrong) == {"idempotencyKey": ["The header is not UTF-8."]}


def test_two_idempotency_keys_are_one_too_many(call: Call) -> None:
    request = {**GOOD, "idempotencyKey": "a"}
    answer = call("POST", "/api/jobs", make_key(), json=request, headers={"Idempotency-Key": "b"})
    assert "idempotencyKey" in errors_of(answer)


def test_a_page_leads_to_the_next(call: Call) -> None:
    key = make_key()
    made = [enqueue("sample", {"action": "none"}) for _ in range(3)]

    first = call("GET", "/api/jobs?limit=2", key).json
    assert first is not None
    second = call("GET", f"/api/jobs?limit=2&after={first['after']}", key).json
    assert second is not None

    assert [job["jobId"] for job in (*first["jobs"], *second["jobs"])] == made[::-1]
    assert second["after"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [("status=pending&userId=7", 1), ("type=noop", 1), ("dead=true", 0), ("olderThan=1h", 0)],
)
def test_a_list_can_be_narrowed(call: Call, query: str, found: int) -> None:
    enqueue("sample", {"action": "none"}, user_id=7)
    enqueue("noop", {"action": "none"})

    answer = call("GET", f"/api/jobs?{query}", make_key()).json

    assert answer is not None
    assert len(answer["jobs"]) == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status"), ("type=sampel", "type"), ("userId=x", "userId"),
        ("dead=yes", "dead"), ("after=x", "after"), ("limit=0", "limit"), ("colour=red", "colour"),
        ("error=%00", "error"), ("olderThan=soon", "olderThan"),
    ],
)  # fmt: skip
def test_a_wrong_filter_is_named(call: Call, query: str, field: str) -> None:
    assert field in errors_of(call("GET", f"/api/jobs?{query}", make_key()))


def test_a_key_sees_the_payload_without_its_secrets(call: Call) -> None:
    data = {"recipientName": "Ann", "resetUrl": "https://app.example.com/reset?token=s3cret"}
    job_id = enqueue("send-email", {"to": "a@b.co", "template": "passwordReset", "data": data})

    answer = call("GET", f"/api/jobs/{job_id}", make_key())

    assert answer.json is not None
    assert answer.json["payload"]["data"] == {"recipientName": "Ann", "resetUrl": "(sealed)"}
    assert "s3cret" not in answer.text


def test_what_another_producer_nested_deeply_is_cut_off(call: Call) -> None:
    data: Any = "the end"
    for _ in range(500):
        data = [data]
    job_id = enqueue("process-webhook", {"source": "github", "event": "x", "data": data})

    answer = call("GET", f"/api/jobs/{job_id}", make_key())

    assert (answer.status_code, "(nested deeper)" in answer.text) == (200, True)


def test_jobs_are_cancelled_retried_and_deleted_on_record(call: Call) -> None:
    key, job_id = make_key(), enqueue("sample", {"action": "none"})
    url = f"/api/jobs/{job_id}"

    assert call("POST", f"{url}/cancel", key).json["status"] == "cancelled"  # type: ignore[index]
    assert call("POST", f"{url}/retry", key).json["status"] == "pending"  # type: ignore[index]
    busy = call("DELETE", url, key)
    assert (busy.status_code, "The job is pending" in busy.text) == (409, True)
    call("POST", f"{url}/cancel", key)
    assert call("DELETE", url, key).status_code == 204

    assert count_rows() == 0
    by = {entry.actor for entry in audit.entries_of(job_id)}
    assert [name.startswith("API key test (jobkey_") for name in by] == [True]


def test_what_ended_cannot_be_cancelled(call: Call, rows: Rows) -> None:
    job_id = enqueue("sample", {"action": "none"})
    rows.set(job_id, status="completed")

    answer = call("POST", f"/api/jobs/{job_id}/cancel", make_key())

    assert answer.status_code == 409
    assert "The job is completed; only jobs that have not ended can be cancelled." in answer.text


def test_job_types_are_told(call: Call) -> None:
    answer = call("GET", "/api/job-types", make_key("enqueue")).json

    assert answer is not None
    assert {"send-email", "sample"} <= {found["type"] for found in answer["jobTypes"]}


@pytest.mark.usefixtures("no_database")
def test_without_a_database_it_is_503(call: Call) -> None:
    answer = call("GET", "/api/jobs", "jobkey_00000000_x")
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")


@pytest.mark.parametrize(
    "moment",
    ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59+00:00"],
)
def test_fault_D14_R3_a_moment_at_the_edge_of_the_calendar_is_refused(
    call: Call, moment: str
) -> None:
    answer = call("POST", "/api/jobs", make_key(), json={**GOOD, "notBefore": moment})

    assert answer.status_code == 422
    assert "notBefore" in answer.json["errors"]  # type: ignore[index]
    assert count_rows() == 0


def test_the_operators_keys_read_what_a_job_logged(call: Call) -> None:
    line = {"at": "2026-11-28T09:13:07.412+00:00", "level": "INFO", "logger": "a", "message": "b"}
    logs = [{"attempt": 1, "left_out": 2, "lines": [line]}]
    job_id = add_row(organization_id=3, logs=logs)
    path = f"/api/jobs/{job_id}/logs"

    answer = call("GET", path, make_key())

    assert answer.json == {"logs": [{"attempt": 1, "leftOut": 2, "lines": [line]}]}
    assert call("GET", path, make_key(organization_id=3)).status_code == 403
    assert call("GET", path, make_key("read")).status_code == 403
    assert call("GET", f"/api/jobs/{'0' * 8}-{job_id[9:]}/logs", make_key()).status_code == 404


def test_the_api_tags_and_finds(call: Call) -> None:
    body = {"type": "sample", "payload": {"action": "none"}, "tags": ["a", "b"]}
    key = make_key()

    job_id = call("POST", "/api/jobs", key, json=body).json["jobId"]  # type: ignore[index]
    add_row(tags=["c"])

    found = call("GET", "/api/jobs?tag=a", key).json
    assert [(one["jobId"], one["tags"]) for one in found["jobs"]] == [(job_id, ["a", "b"])]  # type: ignore[index]
    assert call("GET", f"/api/jobs/{job_id}", key).json["tags"] == ["a", "b"]  # type: ignore[index]
    assert call("GET", "/api/jobs?tag=a+b", key).status_code == 422
    wrong = call("POST", "/api/jobs", key, json={**body, "tags": ["a b"]})
    assert wrong.status_code == 422
    assert "tags" in wrong.json["errors"]  # type: ignore[index]
