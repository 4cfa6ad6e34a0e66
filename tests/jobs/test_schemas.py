"""Envelopes: most are read by a shorter way than the schema's, and come to the same."""

from typing import Any

import pytest
from flask import Flask

from app.jobs.errors import InvalidDelivery
from app.jobs.schemas import EnvelopeSchema, load_envelope

USUAL: dict[str, Any] = {
    "jobId": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "type": "send-email",
    "payload": {"to": "a@example.com"},
    "metadata": {"createdAt": "2026-11-28T12:00:00.123456+00:00"},
}


def usual(**changed: Any) -> dict[str, Any]:
    return {**USUAL, **changed}


def owned(**metadata: Any) -> dict[str, Any]:
    return usual(metadata={**USUAL["metadata"], **metadata})


@pytest.mark.parametrize(
    "raw",
    [
        USUAL,
        owned(userId=7, organizationId=-(2**63) + 1),
        owned(userId=None),
        owned(idempotencyKey="once", cron="0 9 * * *", other=1),
        owned(createdAt="2026-11-28T12:00:00Z"),
        owned(createdAt="2026-11-28T13:00:00.5+01:00"),
        usual(metadata={}),
        usual(version=2, sealed=["to"]),
        usual(jobId=None),
        usual(jobId="any line"),
    ],
)
@pytest.mark.usefixtures("app")
def test_an_envelope_is_what_the_schema_makes_of_it(raw: dict[str, Any]) -> None:
    assert load_envelope(raw) == EnvelopeSchema().load(raw)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ([], "_schema"),
        (usual(jobId="two\nlines"), "jobId"),
        (usual(jobId=""), "jobId"),
        (usual(jobId=7), "jobId"),
        (usual(type=""), "type"),
        (usual(type="x" * 101), "type"),
        (usual(payload=[]), "payload"),
        (owned(userId="seven"), "metadata"),
        (owned(userId=True), "metadata"),
        (owned(organizationId=2**63), "metadata"),
        (owned(createdAt="2026-11-28T12:00:00"), "metadata"),
        (owned(createdAt="yesterday"), "metadata"),
        (owned(createdAt=7), "metadata"),
        ({key: value for key, value in USUAL.items() if key != "type"}, "type"),
    ],
)
@pytest.mark.usefixtures("app")
def test_what_is_wrong_with_an_envelope_is_named(raw: Any, named: str) -> None:
    with pytest.raises(InvalidDelivery) as refused:
        load_envelope(raw)

    assert list(refused.value.errors) == [named]


def test_ids_of_owners_are_what_the_app_says(app: Flask) -> None:
    app.config["JOBS_ID_TYPE"] = "uuid"

    with app.app_context():
        envelope = load_envelope(owned(userId=USUAL["jobId"].upper()))

    assert envelope.metadata.user_id == USUAL["jobId"]
