"""A new job from a form, and a job's payload edited and enqueued again."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash
from sqlalchemy import select

from app.dashboard import Role, User
from app.db import db
from app.jobs import DatabaseUnavailable, JobExecution
from app.jobs.operate import audit
from app.jobs.testing import FailingQStash
from tests.support.rows import add_row, count_rows, row_of

from .pages import PREFIX, Reader, text_of

MARKUP = "<script>alert(1)</script>"
AT = "/new?type=sample"


def made() -> JobExecution:
    db.session.rollback()
    newest = select(JobExecution).order_by(JobExecution.id.desc()).limit(1)
    return db.session.scalars(newest).one()


def test_it_lists_the_types(reader: Reader) -> None:
    page = reader.get("/new")

    assert f'href="{PREFIX}/new?type=sample"' in page.text
    assert "sample For tests" in text_of(page)


def test_a_form_has_the_fields_of_the_schema(reader: Reader) -> None:
    page = reader.get(AT).text

    assert 'name="payload.action" required' in page
    assert 'name="payload.count"' in page


def test_a_form_has_the_examples_and_descriptions_of_the_schema(reader: Reader) -> None:
    page = reader.get("/new?type=send-email")

    assert 'placeholder="e.g. passwordChanged"' in page.text
    assert 'placeholder="{\n  &#34;recipientName&#34;: &#34;Ada&#34;\n}"' in page.text
    assert "template The name of a template." in text_of(page)


def test_a_job_is_enqueued_and_on_record(reader: Reader, qstash: QStash) -> None:
    form = {
        "type": "sample",
        "payload.action": "echo",
        "payload.count": "3",
        "user": "7",
        "organization": "42",
        "delay": "10m",
        "tags": "vip  onboarding",
    }

    answer = reader.send("/enqueue", form, at=AT)

    row = made()
    assert answer.location == f"{PREFIX}/job/{row.job_id}"
    assert row.payload["payload"] == {"action": "echo", "count": 3}
    assert (row.user_id, row.organization_id) == (7, 42)
    assert row.tags == ["vip", "onboarding"]
    assert row.available_at is not None
    assert row.published_at is not None
    (entry,) = audit.entries_of(row.job_id)
    assert (entry.action, entry.filter) == ("enqueue", {"job_type": "sample"})
    assert "is enqueued" in text_of(reader.get(f"/job/{row.job_id}"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"payload.action": ""}, "Missing data for required field."),
        ({"payload.count": "many"}, "Not a valid integer."),
        ({"user": "seven"}, "user: 'seven' is not a valid integer"),
        ({"tags": "a !"}, "tags: '!' is not a tag"),
        ({"delay": "soon"}, "delay: 'soon' is not a duration"),
        ({"payload.action": "(hidden)"}, "Still hides a value"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_written_is_kept(
    reader: Reader, wrong: dict[str, str], said: str
) -> None:
    form = {"type": "sample", "payload.action": MARKUP, **wrong}

    answer = reader.send("/enqueue", form, at=AT)

    assert answer.status_code == 400
    assert said in text_of(answer)
    assert MARKUP not in answer.text
    assert ("alert(1)" in answer.text) == ("payload.action" not in wrong)
    assert count_rows() == 0


def test_a_type_that_there_is_not_is_said_so(reader: Reader) -> None:
    answer = reader.get("/new?type=sampel")

    assert answer.status_code == 404
    assert "unknown job type 'sampel'; did you mean: sample" in text_of(answer)


def test_a_job_that_died_of_its_payload_is_edited_and_enqueued_again(
    reader: Reader, qstash: QStash
) -> None:
    payload = {"payload": {"action": "permanent", "count": 2}}
    died = add_row(status="failed", payload=payload, user_id=7, organization_id=42, tags=["vip"])

    shown = reader.get(f"/new?again={died}").text
    form = {"type": "sample", "again": died, "payload.action": "none", "payload.count": "2"}
    reader.send("/enqueue", {**form, "user": "7", "organization": "42"}, at=f"/new?again={died}")

    assert 'value="permanent"' in shown
    assert 'name="tags" value="vip"' in shown
    assert f"/new?again={died}" in reader.get(f"/job/{died}").text
    assert made().job_id != died
    assert made().payload["payload"] == {"action": "none", "count": 2}
    assert row_of(died).status == "failed"
    (entry,) = audit.entries_of(made().job_id)
    assert entry.filter == {"job_type": "sample", "again": died}


def test_a_job_is_not_enqueued_without_its_line_in_the_audit(
    reader: Reader, qstash: QStash, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("the database went away")

    monkeypatch.setattr(audit, "add_jobs", fails)

    answer = reader.send("/enqueue", {"type": "sample", "payload.action": "none"}, at=AT)

    assert answer.status_code == 503
    assert count_rows() == 0


@pytest.mark.parametrize("failing_qstash", ["refused"], indirect=True)
def test_a_job_that_qstash_refuses_is_said_to_be_dead(
    reader: Reader, failing_qstash: FailingQStash
) -> None:
    answer = reader.send("/enqueue", {"type": "sample", "payload.action": "none"}, at=AT)

    assert answer.location == f"{PREFIX}/job/{made().job_id}"
    assert "is dead: " in text_of(reader.get(f"/job/{made().job_id}"))


def test_what_is_secret_in_a_payload_is_not_in_the_form(reader: Reader) -> None:
    job_id = add_row(payload={"payload": {"action": {"password": "hunter2"}, "count": 1}})

    page = reader.get(f"/new?again={job_id}").text

    assert "hunter2" not in page
    assert "(hidden)" in page


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_an_admin_enqueues(app: Flask, client: FlaskClient, role: Role) -> None:
    job_id = add_row()
    app.extensions["jobs.dashboard.ways"] = [lambda: User("otto", role)]

    assert client.get(f"{PREFIX}/new").status_code == 403
    form = {"type": "sample", "payload.action": "none"}
    assert client.post(f"{PREFIX}/enqueue", data=form).status_code == 403
    assert "/new" not in client.get(f"{PREFIX}/job/{job_id}").text
    assert count_rows() == 1


def test_somebody_of_an_organization_without_jobs_is_told_what_to_do(
    app: Flask, client: FlaskClient
) -> None:
    app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", Role.ADMIN, organization_id=7)]
    reader = Reader(client)

    none = text_of(reader.get("/new"))
    add_row(organization_id=7, job_type="sample")
    one = text_of(reader.get("/new"))

    assert "Organization 7 has had no jobs yet" in none
    assert "Ask somebody who sees all organizations to enqueue the first one" in none
    assert "flask jobs new" not in none
    assert "sample For tests Those that organization 7 has had jobs of" in one


def test_somebody_of_an_organization_enqueues_for_it_only(
    app: Flask, client: FlaskClient, qstash: QStash
) -> None:
    other = add_row(organization_id=2)
    add_row(organization_id=1, job_type="sample")
    app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", Role.ADMIN, organization_id=1)]
    reader = Reader(client)

    reader.send("/enqueue", {"type": "sample", "payload.action": "none"}, at=AT)

    assert made().organization_id == 1
    assert "cleanup-old-data" not in text_of(reader.get("/new"))
    assert "sample For tests" in text_of(reader.get("/new"))
    answer = reader.send("/enqueue", {"type": "cleanup-old-data", "payload.retention": "1"}, at=AT)
    assert answer.status_code == 403
    assert made().job_type == "sample"
    assert reader.get(f"/new?again={other}").status_code == 404


def test_another_organization_than_ones_own_is_refused_at_its_field(
    app: Flask, client: FlaskClient, qstash: QStash
) -> None:
    add_row(organization_id=1, job_type="sample")
    app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", Role.ADMIN, organization_id=1)]
    reader = Reader(client)
    form = {"type": "sample", "payload.action": "none", "organization": "2"}

    answer = reader.send("/enqueue", form, at=AT)

    said = "organization: &#39;2&#39; is not your organization: write 1, or leave it empty"
    assert answer.status_code == 400
    assert f'<small id="about-option-organization">{said}</small>' in answer.text
    assert 'aria-describedby="about-option-organization"' in answer.text
    assert count_rows() == 1
    assert 'name="organization" value="1"' in reader.get(AT).text
    reader.send("/enqueue", {**form, "organization": "1"}, at=AT)
    assert made().organization_id == 1
    assert count_rows() == 2
