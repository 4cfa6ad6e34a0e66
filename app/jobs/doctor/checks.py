"""What a check is and finds: the extension's own, and those that families add."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from flask import Blueprint
from flask.blueprints import BlueprintSetupState
from flask.sansio.app import App


class Level(StrEnum):
    """How bad it is."""

    PASS = "pass"  # noqa: S105 - the opposite of a secret
    WARN = "warn"
    FAIL = "fail"
    #: Not run, because a check that it needs failed.
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's result: one sentence, and how to fix it. Names no secret's value."""

    level: Level
    said: str
    fix: str = ""


def passed(said: str) -> Finding:
    return Finding(Level.PASS, said)


def warning(said: str, *, fix: str) -> Finding:
    return Finding(Level.WARN, said, fix)


def failure(said: str, *, fix: str) -> Finding:
    return Finding(Level.FAIL, said, fix)


Run = Callable[[], Finding]

#: The modules of our own checks, in the order a person would check.
ORDER = ("settings", "database", "qstash", "delivery", "queue", "production")

_KEY = "jobs.doctor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that may be wrong.

    Attributes:
        needs: Checks that must not fail, or this one is pointless.
        production: Whether it is only for production (`--production`).
    """

    name: str
    run: Run
    needs: tuple[str, ...] = ()
    production: bool = False


_own: list[Check] = []


def own(name: str, *needs: str, production: bool = False) -> Callable[[Run], Run]:
    """Add one of the extension's checks."""

    def add(run: Run) -> Run:
        _own.append(Check(name=name, run=run, needs=needs, production=production))
        return run

    return add


def check(
    bp: Blueprint, name: str, *, needs: tuple[str, ...] = (), production: bool = False
) -> Callable[[Run], Run]:
    """Add a family's check to `flask jobs doctor` of every app that has the family.

    The function is called in the app's context, in its own thread, and returns `passed(…)`,
    `warning(…, fix=…)` or `failure(…, fix=…)`; what it raises is a failure, too.

    Args:
        bp: The family's blueprint.
        name: In kebab case; `--only` takes it.
        needs: Checks that must not fail, or this one is pointless, such as "database".
        production: Whether it runs only with `--production`.
    """

    def add(run: Run) -> Run:
        added = Check(name=name, run=run, needs=needs, production=production)

        def register(state: BlueprintSetupState) -> None:
            state.app.extensions.setdefault(_KEY, []).append(added)

        bp.record(register)
        return run

    return add


def checks_of(app: App, *, production: bool) -> list[Check]:
    """Return the app's checks, the extension's own first."""
    own_ones = sorted(_own, key=lambda check: ORDER.index(check.run.__module__.rpartition(".")[2]))
    found: list[Check] = [*own_ones, *app.extensions.get(_KEY, [])]
    return [check for check in found if production or not check.production]
