"""Batches and workflows in the dashboard."""

import pytest

from app.jobs import Unique, batch, workflow
from app.jobs.operate import batches
from app.jobs.testing import drain
from tests.support.sample_jobs import Sample, noop, sample

from .pages import Reader, text_of

pytestmark = pytest.mark.usefixtures("published")
MARKUP = "<script>alert(1)</script>"


def test_a_workflow_is_drawn_and_what_was_named_is_text(reader: Reader) -> None:
    with workflow(f"thumbnails {MARKUP}") as made:
        made.add("last", noop.s(Sample("none")), after=["left", MARKUP])
        made.add("left", noop.s(Sample("none")))
        made.add(MARKUP, noop.s(Sample("none")))
        made.wait_for("invoice.paid", timeout="1d", after=["last"])

    listed = reader.get("/batches")
    assert f"/batches/{made.id}" in listed.text
    page = reader.get(f"/batches/{made.id}")
    assert page.text.count("<rect ") == 4
    assert page.text.count('<path d="M') >= 3
    assert "last waiting left, <script>alert(1)</script> noop" in text_of(page)
    assert MARKUP not in listed.text + page.text


def test_its_dead_are_retried_and_it_is_cancelled(reader: Reader) -> None:
    with batch("invoices") as made:
        made.enqueue_many(sample.s(Sample(action)) for action in ("none", "permanent"))
    drain()
    assert "failed" in text_of(reader.get(f"/batches/{made.id}"))

    reader.send(f"/batches/{made.id}/retry", {})
    assert batches.find(made.id).state == "running"
    reader.send(f"/batches/{made.id}/cancel", {})
    assert batches.find(made.id).state == "cancelled"
    reader.send(f"/batches/{made.id}/cancel", {})
    assert "has ended" in text_of(reader.get(f"/batches/{made.id}"))


def test_why_a_unique_one_is_not_retried(reader: Reader) -> None:
    rule = Unique(fields=("action",))
    with batch("invoices") as made:
        made.enqueue(sample.s(Sample("permanent"), unique=rule))
    drain()
    holder = sample.enqueue(Sample("permanent"), unique=rule)

    reader.send(f"/batches/{made.id}/retry", {})

    said = text_of(reader.get(f"/batches/{made.id}"))
    assert "Retried 0 jobs. Not retried:" in said
    assert f"job {holder} has its key by now" in said


def test_there_is_none_of_another_id(reader: Reader) -> None:
    assert reader.get("/batches/nothing").status_code == 404
