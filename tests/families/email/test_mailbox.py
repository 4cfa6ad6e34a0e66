"""Without an API key, emails are files."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from flask import Flask

from app.families.email import transport
from app.families.email.rendering import Rendered

pytestmark = pytest.mark.usefixtures("mailer")

EMAIL = Rendered("welcome", subject="Grüße aus Köln", html="<p>Grüße 👋</p>", text="Grüße 👋\n")


def put(key: str | None = None, *, to: str = "ada@example.com") -> str:
    return transport.send(EMAIL, to=to, idempotency_key=key)


def read(path: Path) -> EmailMessage:
    return message_from_bytes(path.read_bytes(), policy=default)


def test_an_email_is_a_page_and_a_message_of_the_same_name(mailbox: Path) -> None:
    put(to="ada.eml@example.com")

    message, page = sorted(mailbox.iterdir())
    assert page.read_text(encoding="utf-8") == EMAIL.html
    assert message.suffix == ".eml"
    assert message.stem == page.stem
    assert "-welcome-ada.eml@example.com-" in message.stem


def test_a_message_parses_as_mime_with_both_alternatives(mailer: Flask, mailbox: Path) -> None:
    mailer.config["SUPPORT_EMAIL"] = "help@acme.example"

    message_id = put()

    message = read(next(mailbox.glob("*.eml")))
    assert not message.defects
    assert message["From"] == "Acme <hello@acme.example>"
    assert message["To"] == "ada@example.com"
    assert message["Reply-To"] == "help@acme.example"
    assert message["Subject"] == "Grüße aus Köln"
    assert message_id in message["Message-ID"]
    text, html = message.iter_parts()
    assert text.get_content().splitlines() == EMAIL.text.splitlines()
    assert html.get_content().splitlines() == EMAIL.html.splitlines()


def test_names_sort_by_time(mailbox: Path) -> None:
    ids = [put(to=f"{name}@example.com") for name in ("zoe", "ada", "mia")]

    messages = [read(path)["Message-ID"] for path in sorted(mailbox.glob("*.eml"))]
    assert [message.strip("<").partition("@")[0] for message in messages] == ids


def test_a_repetition_under_the_same_key_is_the_same_email(mailbox: Path) -> None:
    assert put("job/0") == put("job/0")
    assert put("job/1") != put("job/0")

    assert len(list(mailbox.glob("*.eml"))) == 2


def test_a_page_without_its_message_is_written_anew(mailbox: Path) -> None:
    """As when the process died between the two files."""
    put("job/0")
    next(mailbox.glob("*.eml")).unlink()

    put("job/0")

    assert len(list(mailbox.glob("*.eml"))) == 1


@pytest.mark.parametrize("to", ["../../etc/passwd@example.com", "a/b|c*?@example.com"])
def test_no_address_leads_out_of_the_mailbox(mailbox: Path, to: str) -> None:
    put(to=to)

    assert len(list(mailbox.iterdir())) == 2
    assert [path.name for path in mailbox.parent.iterdir()] == ["mailbox"]


def test_an_absolute_folder_is_taken_as_it_is(mailer: Flask, tmp_path: Path) -> None:
    mailer.config["MAILBOX_DIR"] = str(tmp_path / "elsewhere")

    put()

    assert len(list((tmp_path / "elsewhere").iterdir())) == 2
