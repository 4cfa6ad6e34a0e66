"""Write emails into a folder, to be opened in a browser or a mail program."""

import re
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any


def write_mail(folder: Path, params: Mapping[str, Any], *, number: int) -> Path:
    """Write an email (parameters as Resend's API names them) and return its .html file."""
    folder.mkdir(parents=True, exist_ok=True)
    slug = re.sub(r"[^a-z0-9]+", "-", str(params["subject"]).lower()).strip("-")[:50]
    page = folder / f"{number:02d}-{slug}.html"
    page.write_text(str(params.get("html", "")), encoding="utf-8")
    page.with_suffix(".eml").write_bytes(bytes(_message(params)))
    return page


def _message(params: Mapping[str, Any]) -> EmailMessage:
    to = params["to"]
    message = EmailMessage()
    message["From"] = params["from"]
    message["To"] = to if isinstance(to, str) else ", ".join(to)
    message["Subject"] = params["subject"]
    message.set_content(str(params.get("text", "")))
    message.add_alternative(str(params.get("html", "")), subtype="html")
    return message
