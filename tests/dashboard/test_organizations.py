"""Somebody of one organization: no screen tells of another one's jobs."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.dashboard import Role, User
from app.jobs import batch
from app.jobs.operate import Filter, actions, operations
from tests.support.rows import add_row
from tests.support.sample_jobs import Sample, noop

from .pages import PREFIX, Reader, text_of

#: Is in everything that is the other one's.
RIVAL = "rival"
OURS, THEIRS = 1, 2
DEAD = {"status": "failed", "dead_at": datetime.now(UTC)}

pytestmark = pytest.mark.usefixtures("published")
As = Callable[[Role], Reader]


@pytest.fixture
def of_ours(app: Flask, client: FlaskClient) -> As:
    """Return who asks as somebody of our organization."""

    def as_role(role: Role) -> Reader:
        app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", role, OURS)]
        return Reader(client)

    return as_role


def fill() -> dict[str, str]:
    """Have both organizations have jobs; return the addresses of what is theirs."""
    their = add_row(
        job_type=f"{RIVAL}-type",
        organization_id=THEIRS,
        error=f"{RIVAL}: no",
        queue=f"{RIVAL}-queue",
        tags=[f"{RIVAL}-tag"],
        idempotency_key=f"{RIVAL}-key",
        **DEAD,
    )
    our = add_row(organization_id=OURS, parent_id=their)
    add_row(organization_id=OURS, error="ours: no", **DEAD)
    with batch(f"{RIVAL}-batch", organization_id=THEIRS) as made:
        made.enqueue(noop.s(Sample("none"), organization_id=THEIRS))
    operation = operations.begin(
        "retry", Filter(error=RIVAL), by=f"{RIVAL}-boss", organization_id=THEIRS
    )
    actions.cancel(Filter(job_ids=(our, their)), by="the staff")
    return {
        "our": f"/job/{our}",
        "job": f"/job/{their}",
        "message": f"/message/{their}",
        "batch": f"/batches/{made.id}",
        "operation": f"/operations/{operation}",
        "again": f"/new?again={their}",
    }


def pages_of(app: Flask) -> list[str]:
    """Return the addresses of all pages that need nothing to be named."""
    rules = [one for one in app.url_map.iter_rules() if one.rule.startswith(PREFIX)]
    return sorted(
        one.rule.removeprefix(PREFIX)
        for one in rules
        if not one.arguments and "POST" not in (one.methods or ())
    )


@pytest.mark.parametrize("role", list(Role))
def test_no_page_tells_of_another_organizations_jobs(app: Flask, of_ours: As, role: Role) -> None:
    theirs = fill()
    reader = of_ours(role)
    seen = []

    for path in pages_of(app):
        answer = reader.get(path)
        assert RIVAL not in answer.text, path
        seen += [path] if answer.status_code == 200 else []
    own = reader.get(theirs.pop("our"))
    refused = {name: reader.get(path).status_code for name, path in theirs.items()}

    assert {"", "/jobs", "/errors", "/batches", "/operations", "/jobs.csv"} <= set(seen)
    assert own.status_code == 200
    assert "by the staff" in text_of(own)
    assert "of 2 jobs" not in text_of(own)
    too_small = {"message"} if role < Role.OPERATOR else set()
    too_small |= {"again"} if role < Role.ADMIN else set()
    assert refused == {name: 403 if name in too_small else 404 for name in theirs}


def test_what_completes_a_filter_is_of_no_other_organization(of_ours: As) -> None:
    fill()
    reader = of_ours(Role.OPERATOR)

    for begun in ("queue:", "tag:", f"tag:{RIVAL}"):
        shown = reader.get(f"/jobs/suggest?q={begun}").text
        assert f"{RIVAL}-tag" not in shown
        assert f"{RIVAL}-queue" not in shown
    for asked in (f"tag={RIVAL}-tag", f"error={RIVAL}", f"key={RIVAL}-key", f"queue={RIVAL}-queue"):
        assert "/job/" not in reader.get(f"/jobs?{asked}").text


def test_what_is_theirs_is_not_changed(of_ours: As) -> None:
    theirs = fill()
    reader = of_ours(Role.ADMIN)
    job_id = theirs["job"].removeprefix("/job/")
    operation = {"id": theirs["operation"].removeprefix("/operations/")}
    forms: list[tuple[str, dict[str, Any]]] = [
        *((f"/{action}", {"job_id": job_id}) for action in ("retry", "cancel", "delete")),
        *((f"{theirs['batch']}/{action}", {}) for action in ("retry", "cancel")),
        *((f"/operations/{action}", operation) for action in ("stop", "resume")),
    ]

    assert {reader.send(action, form).status_code for action, form in forms} == {404}
    assert actions.preview("delete", Filter(job_ids=(job_id,))) == {"cancelled": 1}


def test_our_batches_are_ours(of_ours: As) -> None:
    with batch("invoices", organization_id=OURS) as made:
        made.enqueue(noop.s(Sample("none"), organization_id=OURS))
    reader = of_ours(Role.OPERATOR)

    assert "invoices" in text_of(reader.get("/batches"))
    assert f"/jobs?batch={made.id}" in reader.get(f"/batches/{made.id}").text
    assert "noop" in text_of(reader.get(f"/jobs?batch={made.id}"))
    assert reader.send(f"/batches/{made.id}/cancel", {}).status_code == 302


def test_batches_have_pages(reader: Reader) -> None:
    for number in range(51):
        with batch(f"batch-{number}.") as made:
            made.enqueue(noop.s(Sample("none")))

    first = reader.get("/batches").text
    address = first.split('rel="next" href="/admin/jobs')[1].split('"')[0]

    assert "batch-50." in first
    assert "batch-0." not in first
    assert "batch-0." in reader.get(address.replace("&amp;", "&")).text
    assert reader.get("/batches?after=x").status_code == 400


def test_a_batch_that_cannot_be_is_said_so(reader: Reader) -> None:
    assert "the whole id of a batch" in text_of(reader.get("/jobs?batch=x"))
    assert reader.get(f"/jobs?batch={uuid4()}").status_code == 200
