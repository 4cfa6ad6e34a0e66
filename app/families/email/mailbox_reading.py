"""The emails in MAILBOX_DIR, as their recipients see them."""

from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from flask import current_app

#: Headers of all, which come before the parts.
_HEAD = 16 * 1024


@dataclass(frozen=True, slots=True)
class Letter:
    """One email.

    Attributes:
        name: Of its file, without the ending.
        sent_at: None where its file was not written by `mailbox`.
        headers: In their order.
        text, html: Its two parts; empty in a list.
    """

    name: str
    to: str
    subject: str
    sent_at: datetime | None
    headers: list[tuple[str, str]]
    text: str = ""
    html: str = ""


def newest(limit: int) -> list[Letter]:
    """Return the newest emails, without their parts."""
    return [_read(path, whole=False) for path in _files()[:limit]]


def find(name: str) -> Letter | None:
    """Return an email by its file's name, which may come from anywhere."""
    found = [path for path in _files() if path.stem == name]
    return _read(found[0], whole=True) if found else None


def _files() -> list[Path]:
    """Return the emails' files, the newest first: their names begin with the time."""
    folder = Path(current_app.instance_path, current_app.config["MAILBOX_DIR"])
    return sorted(folder.glob("[!.]*.eml"), reverse=True)


def _read(path: Path, *, whole: bool) -> Letter:
    with path.open("rb") as file:
        content = file.read() if whole else file.read(_HEAD)
    message = message_from_bytes(content, EmailMessage, policy=default)
    return Letter(
        name=path.stem,
        to=str(message.get("To", "")),
        subject=str(message.get("Subject", "")),
        sent_at=_moment(message),
        headers=[(name, str(value)) for name, value in message.items()],
        text=_part(message, "plain") if whole else "",
        html=_part(message, "html") if whole else "",
    )


def _moment(message: EmailMessage) -> datetime | None:
    date = message.get("Date")
    found: datetime | None = getattr(date, "datetime", None)
    return found if found and found.tzinfo else None


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return "" if part is None else str(part.get_content())
