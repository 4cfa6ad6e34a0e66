"""`GET /api/jobs/<id>`: what a user sees of a job, and only who has its link."""

from datetime import timedelta
from time import time
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from itsdangerous import URLSafeSerializer
from sqlalchemy import text

from app.jobs import JobExecution, enqueue, register_links, status_url
from app.jobs.errors import InvalidOption, JobsNotInitialised
from app.jobs.message import Message
from app.jobs.operate import status_link
from app.jobs.testing import deliver, drain
from tests.support.qstash import BASE_URL
from tests.support.rows import Rows

RESULT = {"rows": 3, "artifact": {"id": 7}}


def path(job_id: str, **options: Any) -> str:
    return status_url(job_id, **options).removeprefix(BASE_URL)


def seen(client: FlaskClient, job_id: str) -> dict[str, Any]:
    answer = client.get(path(job_id))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def test_it_tells_how_far_the_job_has_come(client: FlaskClient, rows: Rows) -> None:
    job_id = enqueue("sample", {"action": "none"}, user_id=7)
    progress = {"done": 37, "total": 100, "note": "counting"}
    rows.set(job_id, status="processing", started_at=text("now()"), progress=progress)

    found = seen(client, job_id)

    assert found.keys() == {
        *("jobId", "type", "status", "final", "progress", "result", "error", "attempts", "links"),
        *("createdAt", "startedAt", "completedAt"),
    }
    assert (found["jobId"], found["status"], found["final"]) == (job_id, "processing", False)
    assert found["progress"] == {**progress, "percent": 37}
    assert (found["attempts"], found["completedAt"], found["links"]) == (1, None, {})


def test_a_finished_job_has_its_result_and_links(
    app: Flask, client: FlaskClient, rows: Rows
) -> None:
    def links(job: JobExecution) -> dict[str, str]:
        return {"artifact": f"{BASE_URL}/artifacts/{(job.result or {})['artifact']['id']}"}

    register_links(app, links)
    job_id = enqueue("sample", {"action": "none"})

    assert seen(client, job_id)["links"] == {}
    rows.set(job_id, status="completed", result=RESULT)
    found = seen(client, job_id)
    assert (found["result"], found["final"]) == (RESULT, True)
    assert found["links"] == {"artifact": f"{BASE_URL}/artifacts/7"}


def test_a_failure_is_named_and_not_quoted(client: FlaskClient, published: list[Message]) -> None:
    job_id = enqueue("sample", {"action": "fail"}, retries=0)
    drain()

    answer = client.get(path(job_id))

    assert answer.json["error"] == "ValueError"  # type: ignore[index]
    assert "bad" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("last", "name"),
    [({"outcome": "lost"}, "ProcessLost"), ({"outcome": "rescheduled"}, "Undelivered")],
)
def test_what_is_no_exception_has_a_name_too(
    client: FlaskClient, rows: Rows, last: dict[str, Any], name: str
) -> None:
    job_id = enqueue("sample", {"action": "none"})
    values = {"error": "s3cret", "dead_at": text("now()")}
    rows.set(job_id, status="failed", attempts=[{"number": 1, **last}], **values)

    assert seen(client, job_id)["error"] == name


def test_a_sealed_payload_is_not_shown_in_any_form(client: FlaskClient) -> None:
    data = {"recipientName": "Ann", "resetUrl": "https://app.example.com/reset?token=s3cret"}
    job_id = enqueue(
        "send-email", {"to": "ann@example.com", "template": "passwordReset", "data": data}
    )

    answer = client.get(path(job_id))

    assert answer.status_code == 200
    assert not any(word in answer.text for word in ("s3cret", "sealed", "Ann", "ann@example.com"))


def test_the_token_may_come_as_a_bearers(client: FlaskClient) -> None:
    url, _, token = path(enqueue("sample", {"action": "none"})).partition("?token=")

    answer = client.get(url, headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"


def forged(job_id: str) -> dict[str, str]:
    """Return requests that must learn nothing, by why."""
    url, _, token = path(job_id).partition("?token=")
    other = path(str(uuid4())).partition("?token=")[2]
    salt = URLSafeSerializer("another secret", salt="app.jobs.operate.status_link").dumps(
        [job_id, 2**40]
    )
    return {
        "none": url,
        "empty": f"{url}?token=",
        "garbage": f"{url}?token=x.y",
        "tampered": f"{url}?token={token[:-1]}{'A' if token[-1] != 'A' else 'E'}",
        "of another job": f"{url}?token={other}",
        "signed by another": f"{url}?token={salt}",
        "of a job that is not": path(job_id).replace(job_id, str(uuid4()), 1),
    }


def test_without_a_good_token_nothing_is_told(client: FlaskClient) -> None:
    job_id = enqueue("sample", {"action": "none"})

    answers = {why: client.get(url) for why, url in forged(job_id).items()}

    assert {why: answer.status_code for why, answer in answers.items()} == dict.fromkeys(
        answers, 403
    )
    assert len({answer.data for answer in answers.values()}) == 1
    assert answers["none"].mimetype == "application/problem+json"
    assert answers["none"].headers["Cache-Control"] == "no-store"


def test_a_token_for_another_purpose_is_none(app: Flask, client: FlaskClient) -> None:
    job_id = enqueue("sample", {"action": "none"})
    other = URLSafeSerializer(app.config["SECRET_KEY"], salt="downloads").dumps([job_id, 2**40])

    assert client.get(f"/api/jobs/{job_id}?token={other}").status_code == 403


def test_a_link_expires(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    url = path(enqueue("sample", {"action": "none"}), expires_in=timedelta(hours=1))
    now = time()

    monkeypatch.setattr(status_link, "time", lambda: now + 3590)
    assert client.get(url).status_code == 200
    monkeypatch.setattr(status_link, "time", lambda: now + 3610)
    assert client.get(url).status_code == 403


def test_a_link_outlives_the_rotation_of_the_secret(app: Flask, client: FlaskClient) -> None:
    url = path(enqueue("sample", {"action": "none"}))

    app.config.update(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=[app.config["SECRET_KEY"]])

    assert client.get(url).status_code == 200


def test_a_job_that_is_gone_is_not_found(client: FlaskClient) -> None:
    answer = client.get(path(str(uuid4())))

    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert client.get("/api/jobs/42").status_code == 403  # it may be a job's id


@pytest.mark.parametrize("options", [{"expires_in": 0}, {"expires_in": float("nan")}])
def test_a_link_that_no_one_could_use_is_not_made(app: Flask, options: Any) -> None:
    with pytest.raises(InvalidOption, match="expires_in"):
        status_url(str(uuid4()), **options)
    with pytest.raises(InvalidOption, match="job_id: 'a/b' cannot be used in a link"):
        status_url("a/b")
    app.config["SECRET_KEY"] = ""
    with pytest.raises(JobsNotInitialised, match="SECRET_KEY"):
        status_url(str(uuid4()))


def test_what_was_reported_last_is_kept_with_the_completion(
    client: FlaskClient, published: list[Message]
) -> None:
    """It came within a second of the one before, and so was not written by itself."""
    job_id = enqueue("sample", {"action": "partly", "count": 5})

    deliver(job_id)

    assert seen(client, job_id)["progress"] == {
        "done": 5,
        "total": None,
        "note": None,
        "percent": None,
    }


def test_a_completed_job_is_done_by_a_hundred_percent(client: FlaskClient, rows: Rows) -> None:
    job_id = enqueue("sample", {"action": "none"})
    rows.set(job_id, status="completed", progress={"done": 37, "total": 100, "note": None})

    assert seen(client, job_id)["progress"]["percent"] == 100


def test_the_command_line_makes_links(client: FlaskClient, cli: FlaskCliRunner) -> None:
    job_id = enqueue("sample", {"action": "none"})

    url = cli.invoke(args=["jobs", "link", job_id, "--expires-in", "2h"]).output.strip()

    assert client.get(url.removeprefix(BASE_URL)).status_code == 200
    unknown = cli.invoke(args=["jobs", "link", str(uuid4())])
    assert (unknown.exit_code, "no job has the id" in unknown.stderr) == (2, True)
