"""Development's mailbox: emails as files to open in a browser (.html) or a mail program (.eml)."""

import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid4, uuid5

from flask import current_app

if TYPE_CHECKING:
    from resend import Emails


def put(params: "Emails.SendParams", *, idempotency_key: str | None = None) -> str:
    """Write an email into the folder MAILBOX_DIR and return its message id.

    A second email under the same idempotency key is not written, as Resend does not send it.

    Args:
        params: As Resend's API names them.
        idempotency_key: None writes in any case.
    """
    folder = Path(current_app.instance_path, current_app.config["MAILBOX_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    message_id = str(uuid5(NAMESPACE_URL, idempotency_key) if idempotency_key else uuid4())
    ending = f"-{message_id[:13]}.eml"
    if any(path.name.endswith(ending) for path in folder.iterdir()):
        return message_id
    message = folder / (_name(params, datetime.now(UTC)) + ending)
    _write(message.with_suffix(".html"), params["html"].encode())
    _write(message, _message(params, message_id).as_bytes())  # last: it tells that both are there
    return message_id


def _name(params: "Emails.SendParams", now: datetime) -> str:
    """Return a file name that sorts by time and says what it is, on any file system."""
    to = re.sub(r"[^\w.@+-]", "_", str(params["to"]))[:80]
    return f"{now:%Y%m%dT%H%M%S.%f}Z-{params['tags'][0]['value']}-{to}"


def _message(params: "Emails.SendParams", message_id: str) -> EmailMessage:
    message = EmailMessage(policy=SMTPUTF8)
    message["From"] = params["from"]
    message["To"] = params["to"]
    if "reply_to" in params:
        message["Reply-To"] = params["reply_to"]
    message["Subject"] = params["subject"]
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{message_id}@mailbox.invalid>"
    message.set_content(params["text"])
    message.add_alternative(params["html"], subtype="html")
    return message


def _write(path: Path, content: bytes) -> None:
    """Write a file that is whole as soon as it has its name."""
    with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)
