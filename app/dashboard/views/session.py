"""Signing in and out, and changing the password that one signs in by."""

from http import HTTPStatus
from math import ceil

from flask import abort, make_response, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import InvalidOption
from ...jobs.kit import durations
from ...jobs.operate import sessions
from .. import access, cookies, sign_in
from ..access import Role
from ..rendering import link, page
from ..screens import Screen
from ..visit import visit

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
    if wait := sessions.count_attempt(name, request.remote_addr or ""):
        return _later(_form(wanted, name, _too_many(wait), HTTPStatus.TOO_MANY_REQUESTS), wait)
    token = sessions.sign_in(name, password, **sign_in.lifetimes())
    if token is None:
        return _form(wanted, name, _WRONG, HTTPStatus.BAD_REQUEST)
    if before := cookies.session():
        sessions.sign_out(before)
    cookies.keep_session(token)
    return redirect(sign_in.target(wanted))


@screen.action("/sign-out", needs=Role.VIEWER)
def end() -> ResponseReturnValue:
    sessions.sign_out(cookies.session() or "")
    cookies.keep_session("")
    return redirect(link("overview"))


@screen.page("/password")
def password() -> ResponseReturnValue:
    _must_have_one()
    return _password_form()


@screen.action("/password/change", needs=Role.VIEWER)
def change() -> ResponseReturnValue:
    """Change one's own password; the session goes on in this browser, and ends in all others."""
    _must_have_one()
    name, given = access.user().name, request.form
    if given.get("new", "") != given.get("again", ""):
        return _password_form("The new password was written in two ways: write it again.")
    if wait := sessions.count_attempt(name, request.remote_addr or ""):
        answer = _password_form(_too_many(wait), HTTPStatus.TOO_MANY_REQUESTS)
        return _later(answer, wait)
    try:
        token = sessions.change_own_password(name, given.get("password", ""), given.get("new", ""))
    except InvalidOption as error:
        return _password_form(f"Nothing was changed: {error}.")
    if token is None:
        return _password_form("That is not the password that you have.")
    cookies.keep_session(token)
    cookies.notice("Your password is changed, and every other browser signed out.")
    return redirect(link("overview"))


def _must_be_on() -> None:
    if not sign_in.is_on():
        access.hide()


def _must_have_one() -> None:
    """Answer 404 to users of the app's own, of a proxy, and at this machine."""
    if not visit().is_signed_in:
        abort(HTTPStatus.NOT_FOUND, "You did not sign in by a password here, so you have none.")


def _form(
    wanted: str, name: str = "", trouble: str | None = None, status: int = HTTPStatus.OK
) -> ResponseReturnValue:
    wanted = sign_in.target(wanted)
    return page("session.html", status, wanted=wanted, name=name, trouble=trouble)


def _password_form(trouble: str | None = None, status: int | None = None) -> ResponseReturnValue:
    default = HTTPStatus.BAD_REQUEST if trouble else HTTPStatus.OK
    return page("password.html", status or default, trouble=trouble)


def _too_many(wait: float) -> str:
    return f"These were too many attempts: try again in {durations.in_words(ceil(wait))}."


def _later(answer: ResponseReturnValue, wait: float) -> ResponseReturnValue:
    response = make_response(answer)
    response.headers["Retry-After"] = str(ceil(wait))
    return response
