"""Who may see the dashboard, and do what there; decided for each request, on the server.

Ways are asked in order, each of which knows users of a kind: the app's own, those who signed in,
and in development whoever is at this machine. Where none knows the caller, and none asks to sign
in, there is no dashboard: 404.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from typing import Any, NoReturn

from flask import Flask, Response, abort, current_app, request
from werkzeug.wrappers import Response as BaseResponse

from ..jobs.operate import Filter, audit
from . import this_machine
from .visit import visit


class Role(IntEnum):
    """What somebody may do; each may do all that is before it."""

    #: Sees everything but payloads and results.
    VIEWER = 1
    #: Sees those too, retries, cancels, replays, pauses.
    OPERATOR = 2
    #: Deletes, edits, changes schedules and users.
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may see the dashboard.

    Attributes:
        name: As it stands in the audit.
        organization_id: Of somebody who sees the jobs of this organization only.
    """

    name: str
    role: Role
    organization_id: Any = None

    def may(self, role: Role) -> bool:
        """Tell whether that is within this one's role."""
        return self.role >= role


#: Names who asks, or answers otherwise, such as by leading to a sign-in; None knows nobody.
Way = Callable[[], User | Response | BaseResponse | None]
#: What to answer instead of a page; None where there is nothing in the way.
Instead = Response | BaseResponse | None

_WAYS = "jobs.dashboard.ways"


def add_way(app: Flask, way: Way) -> None:
    """Have one more way be asked, after those that were added before."""
    app.extensions.setdefault(_WAYS, []).append(way)


def exists() -> bool:
    """Tell whether the current request may know that there is a dashboard at all."""
    if current_app.config["JOBS_DASHBOARD"] == "off":
        return False
    return bool(current_app.extensions.get(_WAYS)) or _of_this_machine() is not None


def admit(needs: Role | None) -> Instead:
    """Let in who has the role, and keep who it is; anybody where None is needed.

    Returns:
        What to answer instead to those whom a way sends elsewhere.

    Raises:
        NotFound: Nobody knows the caller.
        Forbidden: The caller's role is too small.
    """
    found = _found()
    if isinstance(found, User):
        visit().user = found
    if needs is None:
        return None
    if found is None:
        hide()
    if not isinstance(found, User):
        return found
    if not found.may(needs):
        said = f"This needs the role {needs.name.lower()}; {found.name} is {article(found.role)}."
        abort(HTTPStatus.FORBIDDEN, said)
    return None


def hide() -> NoReturn:
    """Answer as the app does where it has nothing: not as a page of the dashboard's would."""
    request.url_rule = None
    abort(HTTPStatus.NOT_FOUND)


def article(role: Role) -> str:
    """Return a role's name as a sentence has it: "an operator"."""
    name = role.name.lower()
    return f"{'an' if name[0] in 'ao' else 'a'} {name}"


def user() -> User:
    """Return who asks, on a page that no stranger sees."""
    found = visit().user
    if found is None:
        hide()
    return found


def within(wanted: dict[str, Any]) -> Filter:
    """Return a filter that keeps to what the user may see, whatever was asked for."""
    own = user().organization_id
    return Filter(**wanted) if own is None else Filter(**{**wanted, "organization_id": own})


def _found() -> User | Response | BaseResponse | None:
    """Return who asks, or else the first answer to somebody whom no way knows."""
    answer: Response | BaseResponse | None = None
    for way in (*current_app.extensions.get(_WAYS, ()), _of_this_machine):
        found = way()
        if isinstance(found, User):
            return found
        answer = answer or found
    return answer


def _of_this_machine() -> User | None:
    """Know whoever is at this machine, in development."""
    mode = current_app.config["JOBS_DASHBOARD"]
    is_open = mode == "local" or (mode == "auto" and current_app.debug)
    if not is_open or not this_machine.is_client():
        return None
    return User(audit.current_account(), Role.ADMIN)
