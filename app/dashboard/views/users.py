"""Who may sign in by a password: made, changed and removed by an admin."""

from collections.abc import Callable
from typing import Any, get_args

from flask import redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import InvalidOption
from ...jobs.kit import parse_owner_id
from ...jobs.operate import people
from .. import access, cookies, filters, sign_in
from ..access import Role
from ..rendering import link, page
from ..screens import Screen

screen = Screen("users", "Users", of_whole_app=True)

#: What each role may do.
ROLES = {
    "viewer": "sees all but payloads and results",
    "operator": "also retries, cancels and pauses",
    "admin": "also deletes, edits, enqueues, and changes users",
}


@screen.page("/users", needs=Role.ADMIN)
def index() -> ResponseReturnValue:
    return _page()


@screen.action("/users/create", needs=Role.ADMIN)
def create() -> ResponseReturnValue:
    """Make somebody; where no password was given, show one this once."""
    name, role, password = (_given(one) for one in ("name", "role", "password"))
    made = password or people.new_password()
    try:
        organization = _organization(_given("organization"))
        by = access.user().name
        people.create(name, made, _role(role), organization_id=organization, by=by)
    except InvalidOption as error:
        return _page(400, trouble=str(error), given=request.form)
    return _made(name, f"{name} is made, as {role}.", None if password else made)


@screen.action("/users/role", needs=Role.ADMIN)
def role() -> ResponseReturnValue:
    wanted = _given("role")
    return _do(lambda name, by: people.set_role(name, _role(wanted), by=by), f"is {wanted} now")


@screen.action("/users/password", needs=Role.ADMIN)
def password() -> ResponseReturnValue:
    """Give somebody another password; where none was given, show one this once."""
    name, given = _given("name"), _given("password")
    made = given or people.new_password()
    try:
        people.set_password(name, made, by=access.user().name)
    except InvalidOption as error:
        return _refused(error)
    said = f"The password of {name} is changed, and every browser signed out."
    return _made(name, said, None if given else made)


@screen.action("/users/disable", needs=Role.ADMIN)
def disable() -> ResponseReturnValue:
    return _do(lambda name, by: people.disable(name, by=by), "is disabled, and signed out")


@screen.action("/users/enable", needs=Role.ADMIN)
def enable() -> ResponseReturnValue:
    return _do(lambda name, by: people.enable(name, by=by), "is enabled")


@screen.action("/users/remove", needs=Role.ADMIN)
def remove() -> ResponseReturnValue:
    return _do(lambda name, by: people.remove(name, by=by), "is removed, and signed out")


def _do(change: Callable[[str, str], None], said: str) -> ResponseReturnValue:
    """Change whom a form names, and lead back to the list."""
    name = _given("name")
    try:
        change(name, access.user().name)
    except InvalidOption as error:
        return _refused(error)
    cookies.notice(f"{name} {said}.")
    return redirect(link("users"))


def _refused(error: InvalidOption) -> ResponseReturnValue:
    cookies.notice(f"Nothing was changed: {error}", kind="problem")
    return redirect(link("users"))


def _made(name: str, said: str, password: str | None) -> ResponseReturnValue:
    """Say what was done; a new password in the answer alone, as no cookie may keep it."""
    if password is None:
        cookies.notice(said)
        return redirect(link("users"))
    return _page(made=(name, said, password))


def _page(status: int = 200, **more: Any) -> ResponseReturnValue:
    shown = {"trouble": None, "given": {}, "made": None, **more}
    return page(
        "users.html",
        status,
        found=people.everybody(),
        roles=ROLES,
        can_sign_in=sign_in.is_on(),
        **shown,
    )


def _given(name: str) -> str:
    return filters.storable(name, request.form.get(name, ""))


def _role(given: str) -> people.Role:
    if given not in get_args(people.Role):
        raise InvalidOption(f"role: {given[:20]!r} is none of {', '.join(ROLES)}")
    found: people.Role = given  # type: ignore[assignment]  # it is one of them
    return found


def _organization(given: str) -> Any:
    """Return an organization's id; None for none, whose users see all."""
    if not given.strip():
        return None
    try:
        return parse_owner_id(given.strip())
    except ValueError as error:
        raise InvalidOption(f"organization: {given[:80]!r} is not {error}") from None
