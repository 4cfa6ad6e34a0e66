"""The mailbox in development: each email as its recipient sees it."""

from pathlib import Path

from flask import Flask, abort, current_app
from flask.typing import ResponseReturnValue

from app.dashboard import Dashboard, Role
from app.dashboard.kit import Screen, framing, page, sandboxed
from app.families.email import mailbox_reading
from app.families.email.mailbox_reading import Letter

screen = Screen("mailbox", "Mailbox", of_whole_app=True)

PAGES = Path(__file__).parent / "pages"
LIMIT = 100


def add_to(dashboard: Dashboard, app: Flask) -> None:
    """Add the mailbox to the dashboard, but not in production."""
    if app.config["APP_ENV"] != "production":
        dashboard.add_screen(screen)


@screen.page("/mailbox", needs=Role.OPERATOR)
def index() -> ResponseReturnValue:
    letters = mailbox_reading.newest(LIMIT)
    goes_out = bool(current_app.config["RESEND_API_KEY"])
    return page(PAGES / "mailbox.html", letters=letters, goes_out=goes_out)


@screen.page("/mailbox/<name>", needs=Role.OPERATOR)
def show(name: str) -> ResponseReturnValue:
    return framing(page(PAGES / "letter.html", letter=_letter(name), narrow=False))


@screen.page("/mailbox/<name>/narrow", needs=Role.OPERATOR)
def narrow(name: str) -> ResponseReturnValue:
    return framing(page(PAGES / "letter.html", letter=_letter(name), narrow=True))


@screen.page("/mailbox/<name>/html", needs=Role.OPERATOR)
def html(name: str) -> ResponseReturnValue:
    return sandboxed(_letter(name).html)


def _letter(name: str) -> Letter:
    return mailbox_reading.find(name) or abort(404, "No such email; its file may be deleted.")
