"""Resend's bounces and complaints suppress an address."""

from copy import deepcopy
from typing import Any

import pytest
from sqlalchemy import select

from app.db import db
from app.families.email import suppressions
from app.families.email.models import EmailSuppression
from app.jobs.testing import drain
from tests.support.webhooks import EVENTS, Post


def suppressed() -> dict[str, str]:
    db.session.rollback()
    return {row.address: row.reason for row in db.session.scalars(select(EmailSuppression))}


def event(kind: str = "email.bounced", **data: Any) -> dict[str, Any]:
    made = deepcopy(EVENTS["resend"])
    made["type"] = kind
    made["data"] |= data
    return made


def test_a_permanent_bounce_suppresses_the_address_in_lower_case(post: Post) -> None:
    post("resend", event())
    drain()

    assert suppressed() == {"ann@example.com": "bounced"}


@pytest.mark.parametrize("reported", ["bob@xn--mnchen-3ya.example", "Bob@M\u00dcNCHEN.example"])
def test_fault_K10_from_a_bounce_in_one_spelling_to_an_email_in_another(
    post: Post, reported: str
) -> None:
    post("resend", event(to=[reported]))
    drain()

    assert suppressed() == {"bob@xn--mnchen-3ya.example": "bounced"}
    assert suppressions.suppressed("bob@m\u00fcnchen.example", "welcome") == "bounced"


def test_a_complaint_suppresses_all_that_the_event_names(post: Post) -> None:
    post("resend", event("email.complained", to=["Ann <ann@example.com>", "bob@example.com"]))
    drain()

    assert suppressed() == {"ann@example.com": "complained", "bob@example.com": "complained"}


def test_the_first_reason_is_kept(post: Post) -> None:
    post("resend", event(), delivery_id="1")
    post("resend", event("email.complained"), delivery_id="2")

    assert [delivered.answer.status_code for delivered in drain()] == [200, 200]
    assert suppressed() == {"ann@example.com": "bounced"}


@pytest.mark.parametrize(
    "data",
    [
        {"bounce": {"type": "Transient"}},
        {"bounce": None},
        {"bounce": "Permanent"},
        {"to": None},
        {"to": "nobody"},
        {"to": [7]},
    ],
)
def test_what_is_not_permanent_or_names_nobody_completes_with_a_note(
    post: Post, data: dict[str, Any]
) -> None:
    post("resend", event(**data))
    (delivered,) = drain()

    (result,) = (delivered.answer.json or {})["result"]["handlers"].values()
    assert result["note"].startswith("not suppressed: ")
    assert suppressed() == {}
