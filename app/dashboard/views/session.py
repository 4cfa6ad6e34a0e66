"""Signing in and out."""

from http import HTTPStatus
from math import ceil

from flask import make_response, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs.kit import durations
from ...jobs.operate import people
from .. import access, cookies, sign_in
from ..access import Role
from ..rendering import link, page
from ..screens import Screen

screen = Screen("session", "")

_WRONG = "The name or the password is wrong, or this user may not sign in."


@screen.page("/sign-in", needs=None)
def index() -> ResponseReturnValue:
    _must_be_on()
    return _form(request.args.get("next", ""))


@screen.action("/sign-in/check", needs=None)
def begin() -> ResponseReturnValue:
    """Sign in; after too many attempts no password is looked at for a while."""
    _must_be_on()
    name, password = request.form.get("name", ""), request.form.get("password", "")
    wanted = request.form.get("next", "")
    wait = people.count_attempt(name, request.remote_addr or "")
    if wait:
        said = f"These were too many attempts: try again in {durations.in_words(ceil(wait))}."
        answer = make_response(_form(wanted, name, said, HTTPStatus.TOO_MANY_REQUESTS))
        answer.headers["Retry-After"] = str(ceil(wait))
        return answer
    token = people.sign_in(name, password, **sign_in.lifetimes())
    if token is None:
        return _form(wanted, name, _WRONG, HTTPStatus.BAD_REQUEST)
    if before := cookies.session():
        people.sign_out(before)
    cookies.keep_session(token)
    return redirect(sign_in.target(wanted))


@screen.action("/sign-out", needs=Role.VIEWER)
def end() -> ResponseReturnValue:
    people.sign_out(cookies.session() or "")
    cookies.keep_session("")
    return redirect(link("overview"))


def _must_be_on() -> None:
    if not sign_in.is_on():
        access.hide()


def _form(
    wanted: str, name: str = "", trouble: str | None = None, status: int = HTTPStatus.OK
) -> ResponseReturnValue:
    wanted = sign_in.target(wanted)
    return page("session.html", status, wanted=wanted, name=name, trouble=trouble)
