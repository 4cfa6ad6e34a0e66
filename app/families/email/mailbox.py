"""Emails as files to open in a browser (.html) or a mail program (.eml)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from flask import current_app


def write_email(params: Mapping[str, Any], *, idempotency_key: str | None = None) -> str:
    """Write an email into the folder MAILBOX_DIR and return its message id.

    A second email under the same idempotency key is not written, as Resend would not send it.

    Args:
        params: As Resend's API names them.
        idempotency_key: None always writes.
    """
    folder = Path(current_app.instance_path, current_app.config["MAILBOX_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    message_id = str(uuid5(NAMESPACE_URL, idempotency_key) if idempotency_key else uuid4())
    ending = f"-{message_id[:13]}.eml"
    if not any(path.name.endswith(ending) for path in folder.iterdir()):
        name = _name(params, datetime.now(UTC)) + ending
        write(folder / name, params, message_id=message_id)
    return message_id


def write(file: Path, params: Mapping[str, Any], *, message_id: str) -> None:
    """Write an email as an .eml file and, beside it, its .html page."""
    _write_whole(file.with_suffix(".html"), str(params.get("html", "")).encode())
    # Last: where it exists, both do.
    _write_whole(file, _message(params, message_id).as_bytes())


def _name(params: Mapping[str, Any], now: datetime) -> str:
    """Return a file name that sorts by time and describes the email, valid on any file system."""
    to = re.sub(r"[^\w.@+-]", "_", str(params["to"]))[:80]
    return f"{now:%Y%m%dT%H%M%S.%f}Z-{params['tags'][0]['value']}-{to}"


def _message(params: Mapping[str, Any], message_id: str) -> EmailMessage:
    to = params["to"]
    message = EmailMessage(policy=SMTPUTF8)
    message["From"] = params["from"]
    message["To"] = to if isinstance(to, str) else ", ".join(to)
    if "reply_to" in params:
        message["Reply-To"] = params["reply_to"]
    message["Subject"] = params["subject"]
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{message_id}@mailbox.invalid>"
    message.set_content(str(params.get("text", "")))
    message.add_alternative(str(params.get("html", "")), subtype="html")
    return message


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is complete as soon as it has its name."""
    with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)
