"""The filter in one line, what it suggests, and the list that it gives as a file."""

import csv
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.dashboard import Role, User
from app.jobs.operate import audit
from app.jobs.testing import deliver
from tests.support.rows import AddJobs, add_row, row_of

from .pages import PREFIX, Reader, text_of


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("type:sample state:dead", "?type=sample&state=dead"),
        ('error:"rate limit" user:7', "?error=rate+limit&user=7"),
        (r'error:"say \"no\""', "?error=say+%22no%22"),
        ("timed out", "?error=timed+out"),
        ('"timed out" state:dead', "?error=timed+out&state=dead"),
        ("payload:customer.id=7", "?payload=customer.id%3D7"),
        ("  ", ""),
        ("state:", ""),
    ],
)
def test_a_line_leads_to_an_address_that_can_be_shared(
    reader: Reader, line: str, address: str
) -> None:
    answer = reader.get(f"/jobs?q={quote(line)}")

    assert answer.status_code == 302
    path, _, query = answer.location.partition("?")
    assert path == f"{PREFIX}/jobs"
    assert set(query.split("&")) == set(address.lstrip("?").split("&"))


def test_an_address_shows_its_line(reader: Reader) -> None:
    page = reader.get("/jobs?state=dead&error=rate+limit").text

    assert 'value="state:dead error:&#34;rate limit&#34;"' in page or (
        'value="error:&#34;rate limit&#34; state:dead"' in page
    )


def test_the_beginning_of_an_id_leads_to_its_job(reader: Reader) -> None:
    job_id = add_row()

    first = reader.get(f"/jobs?q={job_id[:13]}")

    assert first.status_code == 302
    assert reader.get(first.location.removeprefix(PREFIX)).location == f"{PREFIX}/job/{job_id}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("colour:red", "There is no filter 'colour': use batch, due, error, from"),
        ("user:7 user:8", "user is given twice"),
        ("error:a b", "'b' belongs to no field: put what has spaces in quotes."),
        ("newer:soon", "Newer than: 'soon' is not"),
        ("state:odd", "State: 'odd' is none of pending"),
        ("from:yesterday", "Enqueued from (UTC): 'yesterday' is not a time like 2026-11-29"),
        ("payload:x", "is not a field of the payload and its value"),
        ("due:1h late:1h", "is another limit of the same"),
    ],
)
def test_what_is_wrong_in_it_is_said_and_the_line_kept(
    reader: Reader, line: str, said: str
) -> None:
    add_row()

    answer = reader.get(f"/jobs?q={quote(line)}")
    if answer.status_code == 302:
        answer = reader.get(answer.location.removeprefix(PREFIX))

    assert answer.status_code == 400
    assert said in text_of(answer)
    assert line.partition(":")[0] + ":" in answer.text
    assert reader.get("/jobs").status_code == 200


@pytest.mark.parametrize(
    ("typed", "first", "others"),
    [
        ("", "state:", ["type:", "payload:"]),
        ("ty", "type:", []),
        ("type:sam", "type:sample", []),
        ("type:sample st", "state:", []),
        ("user:7 state:d", "state:pending", ["state:dead", "state:cancelled"]),
        ("queue:", "queue:mail", []),
        ("tag:b", "tag:billing", []),
        ('tag:"b', "tag:billing", []),
        ("newer:", "newer:1h", ["newer:7d"]),
        ("colour:", "", []),
    ],
)
def test_it_completes_what_is_typed(
    reader: Reader, typed: str, first: str, others: list[str]
) -> None:
    add_row(queue="mail", tags=["billing"])

    found = text_of(reader.get(f"/jobs/suggest?q={quote(typed)}"))

    assert found.startswith(first)
    assert [one for one in others if one not in found] == []
    assert bool(found) == bool(first)


def test_jobs_that_are_due_or_late_are_found(reader: Reader) -> None:
    now = datetime.now(UTC)
    soon = add_row(available_at=now + timedelta(minutes=30))
    later = add_row(available_at=now + timedelta(hours=30))
    late = add_row(available_at=now - timedelta(minutes=30))

    found = {
        asked: [one for one in (soon, later, late) if one in reader.get(f"/jobs?{asked}").text]
        for asked in ("due=1h", "late=10m")
    }

    assert found == {"due=1h": [soon, late], "late=10m": [late]}


def test_payloads_cannot_be_guessed_by_who_may_not_see_them(
    app: Flask, client: FlaskClient
) -> None:
    app.config["JOBS_DASHBOARD"] = "auto"
    app.extensions["jobs.dashboard.ways"] = [lambda: User("vera", Role.VIEWER)]
    job_id = add_row(payload={"payload": {"salary": 7}})
    reader = Reader(client)

    assert "payload:" not in reader.get("/jobs/suggest?q=").text
    assert reader.get("/jobs?q=payload:salary%3D7").status_code == 400
    for value in (7, 8):  # the same answer, whichever it is
        for path in ("/jobs", "/jobs.csv"):
            page = reader.get(f"{path}?payload=salary%3D{value}")
            assert page.status_code == 400
            assert "is for the role operator: leave it out" in page.text
            assert job_id not in page.text  # which fits a filter that is ignored


def test_somebody_of_an_organization_is_told_of_no_other_s_queues_and_finds_its_jobs(
    app: Flask, client: FlaskClient
) -> None:
    app.config["JOBS_DASHBOARD"] = "auto"
    app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", Role.ADMIN, organization_id=1)]
    begins = "01a22669-4d71-7a7b-9f3c"
    own = add_row(job_id=f"{begins}-000000000000", organization_id=1)
    for n in range(1, 22):  # newer ones, more than are shown
        add_row(job_id=f"{begins}-{n:012}", organization_id=2, queue="theirs", tags=["theirs"])
    reader = Reader(client)

    assert "theirs" not in reader.get("/jobs/suggest?q=queue:").text
    assert "theirs" not in reader.get("/jobs/suggest?q=tag:").text
    assert reader.get(f"/find?id={begins}").location == f"{PREFIX}/job/{own}"


def test_the_list_is_a_file_whose_cells_are_no_formulas(reader: Reader, add_jobs: AddJobs) -> None:
    add_jobs(510, "completed")
    job_id = add_row(
        status="failed", error='=HYPERLINK("x")\n2', user_id=7, tags=["a", "b"], job_type="other"
    )

    answer = reader.get("/jobs.csv")
    rows = list(csv.DictReader(StringIO(answer.text)))
    some = list(csv.DictReader(StringIO(reader.get("/jobs.csv?state=retrying").text)))

    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert len(rows) == 511
    assert rows[:1] == some
    first = rows[0]
    wanted = {"job_id": job_id, "state": "retrying", "user_id": "7", "tags": "a b"}
    assert {name: first[name] for name in wanted} == wanted
    assert first["error"] == '\'=HYPERLINK("x")\n2'
    assert reader.get("/jobs.csv?newer=soon").status_code == 400


def test_a_job_of_the_app_s_writes_all_that_match(reader: Reader) -> None:
    add_row(status="completed", user_id=7)
    form = {"user": "7", "newer": "30d"}

    answer = reader.send("/jobs/export", form)

    job = row_of(answer.location.removeprefix(f"{PREFIX}/job/"))
    payload: dict[str, Any] = job.payload["payload"]
    assert (job.job_type, payload["entityType"]) == ("export-data", "job-executions")
    assert payload["filters"].keys() == {"userId", "createdAfter", "createdBefore"}
    (entry,) = audit.entries(limit=9)
    assert (entry.action, entry.job_ids) == ("export", [job.job_id])


@pytest.mark.parametrize("state", ["dead", "retrying", "completed"])
def test_that_job_writes_what_a_tab_showed(reader: Reader, state: str) -> None:
    rows = {
        "dead": add_row(status="failed", dead_at=datetime.now(UTC)),
        "retrying": add_row(status="failed"),
        "completed": add_row(status="completed"),
    }

    answer = reader.send("/jobs/export", {"state": state})
    deliver(answer.location.removeprefix(f"{PREFIX}/job/"))
    page = reader.get(answer.location.removeprefix(PREFIX)).text
    address = re.search(r'href="[^"]*(/api/artifacts/[^"]+)"', page)

    assert address
    text = reader.client.get(unescape(address[1]), buffered=True).text
    assert [name for name, job_id in rows.items() if job_id in text] == [state]


def test_what_that_job_cannot_choose_is_a_file_at_once(reader: Reader) -> None:
    answer = reader.send("/jobs/export", {"error": "timeout"}, at=f"/job/{add_row()}")

    assert answer.location == f"{PREFIX}/jobs.csv?error=timeout"
