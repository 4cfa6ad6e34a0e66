"""Running the checks: in parallel, each with a time limit."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from time import monotonic

from flask import Flask, current_app

from ..errors import JobsError
from ..payload.redaction import scrub
from .checks import Check, Finding, Level, failure

#: Seconds that one check may take.
LIMIT = 20.0


@dataclass(frozen=True, slots=True)
class Result:
    """A check and what it found."""

    check: Check
    finding: Finding


def examine(checks: Sequence[Check]) -> Iterator[Result]:
    """Run the checks, those that others need first, and yield each result as it comes."""
    names = {check.name for check in checks}
    levels: dict[str, Level] = {}
    left = list(checks)
    while left:
        # Checks that do not run at all (`--only`) block no others.
        ready = [check for check in left if levels.keys() >= names.intersection(check.needs)]
        left = [check for check in left if check not in ready]
        for result in _side_by_side(ready, levels):
            levels[result.check.name] = result.finding.level
            yield result


def _side_by_side(checks: Sequence[Check], levels: dict[str, Level]) -> Iterator[Result]:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's documented way
    started = [(check, _start(app, check, levels)) for check in checks]
    give_up_at = monotonic() + LIMIT
    for check, finding in started:
        try:
            found = finding.result(timeout=max(0.0, give_up_at - monotonic()))
        except TimeoutError:
            found = failure(
                f"no answer within {LIMIT:.0f} s",
                fix=f"find what is slow, then run: flask jobs doctor --only {check.name}",
            )
        yield Result(check, found)


def _start(app: Flask, check: Check, levels: dict[str, Level]) -> Future[Finding]:
    finding: Future[Finding] = Future()
    missing = [name for name in check.needs if levels.get(name) in {Level.FAIL, Level.SKIP}]
    if missing:
        finding.set_result(Finding(Level.SKIP, f"not run, because {missing[0]} failed"))
    else:
        # A hanging thread must not keep the process alive, so no pool.
        Thread(target=_run, args=(app, check, finding), daemon=True).start()
    return finding


def _run(app: Flask, check: Check, finding: Future[Finding]) -> None:
    with app.app_context():
        try:
            finding.set_result(check.run())
        except JobsError as error:
            finding.set_result(failure(str(error), fix="fix that, then run the check again"))
        except Exception as error:  # noqa: BLE001 - a check of a family's may raise anything
            said = scrub(f"the check itself failed: {type(error).__name__}: {error}")
            finding.set_result(failure(said, fix="fix the check"))
