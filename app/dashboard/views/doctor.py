"""What is wrong with the app's jobs, and how to fix it: the checks of `flask jobs doctor`, live."""

from collections import Counter

from flask import current_app
from flask.typing import ResponseReturnValue

from ...jobs import doctor
from ..access import Role
from ..rendering import page
from ..screens import Screen

screen = Screen("doctor", "Doctor", of_whole_app=True)

#: The picture and colour of each level.
KINDS = {"pass": "good", "warn": "warning", "fail": "bad", "skip": "cancelled"}


@screen.page("/doctor")
def index() -> ResponseReturnValue:
    return page("doctor.html", results=None)


@screen.action("/examine", needs=Role.OPERATOR)
def examine() -> ResponseReturnValue:
    """Run the checks, those of a production where this is one, and show what they found."""
    is_production = not current_app.debug and current_app.config["JOBS_DASHBOARD"] != "local"
    results = list(doctor.examine(doctor.checks_of(current_app, production=is_production)))
    worst_first = ("fail", "warn", "skip", "pass")
    results.sort(key=lambda one: worst_first.index(one.finding.level))
    counts = Counter(str(one.finding.level) for one in results)
    return page("doctor.html", results=results, kinds=KINDS, counts=counts)
