"""The mailbox in development: each email as its recipient sees it."""

from pathlib import Path

from flask import abort, current_app
from flask.typing import ResponseReturnValue

from app.dashboard import Role
from app.dashboard.kit import Screen, framing, page, sandboxed
from app.families.email import mailbox_reading
from app.families.email.mailbox_reading import Letter

screen = Screen("mailbox", "Mailbox", of_whole_app=True)

TEMPLATES = Path(__file__).parent / "templates"
LIMIT = 100


@screen.page("/mailbox", needs=Role.OPERATOR)
def index() -> ResponseReturnValue:
    letters = mailbox_reading.newest(LIMIT)
    goes_out = bool(current_app.config["RESEND_API_KEY"])
    return page(TEMPLATES / "mailbox.html", letters=letters, goes_out=goes_out)


@screen.page("/mailbox/<name>", needs=Role.OPERATOR)
def show(name: str) -> ResponseReturnValue:
    return framing(page(TEMPLATES / "letter.html", letter=_letter(name), narrow=False))


@screen.page("/mailbox/<name>/narrow", needs=Role.OPERATOR)
def narrow(name: str) -> ResponseReturnValue:
    return framing(page(TEMPLATES / "letter.html", letter=_letter(name), narrow=True))


@screen.page("/mailbox/<name>/html", needs=Role.OPERATOR)
def html(name: str) -> ResponseReturnValue:
    return sandboxed(_letter(name).html)


def _letter(name: str) -> Letter:
    return mailbox_reading.find(name) or abort(404, "No such email; its file may be deleted.")
