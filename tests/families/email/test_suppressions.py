"""An address that bounced or complained gets only what it cannot do without."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.db import db
from app.families.email import senders, suppressions
from app.families.email.models import EmailSuppression
from app.families.email.samples import SAMPLES
from app.families.email.template import TEMPLATES
from app.jobs import InvalidPayload, PermanentError, enqueue
from app.jobs.message import Message
from app.jobs.testing import deliver

CRITICAL = {"passwordReset", "passwordChanged", "emailChange"}


@pytest.fixture
def mailbox(app: Flask, published: list[Message]) -> Path:
    db.session.add(EmailSuppression(address="ada@example.com", reason="bounced"))
    db.session.commit()
    return Path(app.instance_path, "mailbox")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["template"])
def test_only_critical_emails_are_sent(mailbox: Path, sample: dict[str, Any]) -> None:
    job_id = enqueue("send-email", {**sample, "to": "Ada@Example.com"})

    result = (deliver(job_id).json or {})["result"]

    sent = sample["template"] in CRITICAL
    assert len(list(mailbox.glob("*.eml"))) == sent
    if not sent:
        assert result == {"suppressed": "bounced", "template": sample["template"]}


MUNICH = "bob@xn--mnchen-3ya.example"
SPELLINGS = [
    MUNICH, "bob@m\u00fcnchen.example", "Bob@M\u00dcNCHEN.Example", "bob@mu\u0308nchen.example",
    "bob@\uff4d\u00fcnchen.example", "bob@XN--MNCHEN-3YA.example",
]  # fmt: skip


@pytest.mark.parametrize("kept", [MUNICH, "bob@m\u00fcnchen.example"])
@pytest.mark.parametrize("typed", SPELLINGS)
def test_fault_K10_an_address_is_known_again_in_any_spelling(
    mailbox: Path, typed: str, kept: str
) -> None:
    db.session.add(EmailSuppression(address=kept, reason="bounced"))
    db.session.commit()

    job_id = enqueue("send-email", {**SAMPLES[0], "to": typed})

    assert (deliver(job_id).json or {})["result"]["suppressed"] == "bounced"
    assert suppressions.remove(typed, by="ann")


def test_fault_K10_a_local_part_is_one_in_either_form(mailbox: Path) -> None:
    db.session.add(EmailSuppression(address="ren\u00e9@example.com", reason="bounced"))
    db.session.commit()

    assert suppressions.suppressed("Rene\u0301@example.com", "welcome") == "bounced"


def test_fault_K10_an_email_goes_to_the_domain_in_ascii(mailbox: Path) -> None:
    job_id = enqueue("send-email", {**SAMPLES[0], "to": "bob@m\u00fcnchen.example"})
    deliver(job_id)

    [sent] = mailbox.glob("*.eml")
    assert f"To: {MUNICH}" in sent.read_text()


@pytest.mark.parametrize("to", ["bob@-\u00fc.example", "bob@" + "\u00fc" * 240 + ".example"])
def test_fault_K10_a_domain_that_nobody_can_look_up_is_no_address(mailbox: Path, to: str) -> None:
    with pytest.raises(InvalidPayload, match="to: "):
        enqueue("send-email", {**SAMPLES[0], "to": to})


def test_critical_is_what_keeps_an_account_safe() -> None:
    assert {name for name, template in TEMPLATES.items() if template.critical} == CRITICAL


def test_who_sends_now_is_told(mailbox: Path) -> None:
    with pytest.raises(PermanentError, match="the address is suppressed: it bounced"):
        senders.send_welcome_email(
            "ada@example.com", recipient_name="Ada", dashboard_url="https://x.example"
        )


def test_suppressions_are_listed_and_removed_by_hand(mailbox: Path, cli: FlaskCliRunner) -> None:
    command = ["email", "suppressions"]
    shown = cli.invoke(args=[*command, "list", "--json"])
    assert json.loads(shown.output) == [
        {"address": "ada@example.com", "reason": "bounced", "details": {}}
    ]
    assert "ada@example.com  bounced" in cli.invoke(args=[*command, "list"]).output

    assert cli.invoke(args=[*command, "remove", "ADA@example.com"]).exit_code == 0

    assert cli.invoke(args=[*command, "list"]).output == "No suppressed addresses.\n"
    again = cli.invoke(args=[*command, "remove", "ada@example.com"])
    assert (again.exit_code, again.output.count("\n")) == (2, 1)
