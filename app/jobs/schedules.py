"""QStash's schedules made to match the code: those that `@periodic` declares, and the sweep's.

Only schedules whose id begins with `code.` and that call this app are touched; those made with
`schedule()` or by hand are not. What was declared is known again by a hash in a header.

An account at QStash may serve several apps, as staging and production do. So the ids have the app's
own name in them (`Publisher.own`), and one that calls another address is never taken over unasked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from flask import current_app

from .blueprint import JobBlueprint, JobType
from .enqueue import scheduling
from .enqueue.scheduling import Firing
from .enqueue.terms import Owner
from .errors import InvalidOption, PublishRefused
from .periodic import Periodic
from .publish import outbox
from .recover.routes import SWEEP
from .registry import registry_of
from .table import firings
from .table.db import in_transaction
from .values import cron as crons
from .values import firing_rules, jsonb, schedule_ids

if TYPE_CHECKING:
    from qstash.schedule import Schedule

PREFIX = schedule_ids.OF_CODE
HEADER = "Jobs-Declaration"
SWEEP_NAME = "jobs-maintenance"
#: Of what is sent; a change has the next sync send all schedules again.
FORM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A schedule as the code wants it; `name` is what the code calls it.

    Attributes:
        firing: What its firings have in common; none for the sweep's.
    """

    name: str
    schedule_id: str
    endpoint: str
    cron: str
    body: str
    options: Mapping[str, Any]
    fingerprint: str
    firing: Firing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference and its repair.

    Attributes:
        paused: It takes the place of one that somebody paused, and so is to be paused.
        calls: The other address that a schedule of this id calls; nothing is done then.
    """

    action: Literal["create", "update", "delete", "refuse"]
    schedule_id: str
    cron: str
    declared: Declared | None = None
    paused: bool = False
    calls: str | None = None

    def __str__(self) -> str:
        said = f"{self.action}  {self.schedule_id}  {self.cron}"
        return f"{said}  (it calls {self.calls})" if self.calls else said


def plan(*, take_over: bool = False) -> list[Change]:
    """Return what would make QStash match the code.

    Args:
        take_over: Also of the schedules of this app's names that call another address.

    Raises:
        PublishUnavailable, PublishRefused: QStash does not tell what it has.
        InvalidPayload, InvalidOption: A declaration is wrong.
    """
    everybodys = {schedule.schedule_id: schedule for schedule in outbox.publisher().schedules()}
    existing = {
        schedule_id: schedule
        for schedule_id, schedule in everybodys.items()
        if is_ours(schedule) and _calls_us(schedule)
    }
    wanted = {declared.schedule_id: declared for declared in _declared()}
    changes = [
        _change(declared, everybodys, take_over=take_over)
        for schedule_id, declared in wanted.items()
        if schedule_id not in existing or not _matches(existing[schedule_id], declared)
    ]
    return changes + [
        Change(action="delete", schedule_id=schedule_id, cron=schedule.cron)
        for schedule_id, schedule in existing.items()
        if schedule_id not in wanted
    ]


def apply(changes: Sequence[Change]) -> None:
    """Make the changes of a plan; a repetition changes nothing.

    Raises:
        PublishUnavailable, PublishRefused: Those before are made.
        InvalidOption: Some are not to be made; all the others are.
    """
    for change in changes:
        try:
            _apply(change)
        except PublishRefused as error:
            said = f"{change.schedule_id} ({change.cron}): {error}"
            raise PublishRefused(said, status=error.status) from error
    refused = [change for change in changes if change.action == "refuse"]
    if refused:
        named = "; ".join(f"{change.schedule_id} calls {change.calls}" for change in refused)
        raise InvalidOption(
            f"not taken over: {named}. If that is another app, give each its own JOBS_NAMESPACE; "
            "if this app has moved, use `flask jobs schedules sync --take-over`"
        )


def _apply(change: Change) -> None:
    if change.action == "delete":
        _delete(change.schedule_id)
    elif change.declared is not None and change.action != "refuse":
        _install(change.declared)
        if change.paused:
            _pause(change.schedule_id)


def installed() -> list["Schedule"]:
    """Return all of QStash's schedules that call this app, or a worker of its external types."""
    elsewhere = {one.endpoint for one in registry_of(current_app) if one.is_external}
    return [
        schedule
        for schedule in outbox.publisher().schedules()
        if _calls_us(schedule) or schedule.destination in elsewhere
    ]


def own_id(name: str) -> str:
    """Return the id of a schedule that the code declares."""
    return PREFIX + outbox.publisher().own(name)


def is_ours(schedule: "Schedule") -> bool:
    """Tell whether the code, or an older version of it, declared a schedule."""
    return schedule.schedule_id.startswith(PREFIX)


def declared_crons() -> dict[str, str]:
    """Return the cron of each schedule that the code declares for a job type, by id."""
    return {own_id(_name_of(job_type, schedule)): schedule.cron for job_type, schedule in _wanted()}


def _job_types() -> Iterator[JobType[Any, Any]]:
    blueprints = (bp for bp in current_app.blueprints.values() if isinstance(bp, JobBlueprint))
    return (job_type for bp in blueprints for job_type in bp.job_types)


def _wanted() -> Iterator[tuple[JobType[Any, Any], Periodic]]:
    for job_type in _job_types():
        for schedule in job_type.schedules:
            if schedule.when is None or schedule.when():
                yield job_type, schedule


def _name_of(job_type: JobType[Any, Any], schedule: Periodic) -> str:
    return ".".join(filter(None, [job_type.type, schedule.name]))


def _calls_us(schedule: "Schedule") -> bool:
    return outbox.publisher().is_called_by(schedule)


def _change(declared: Declared, everybodys: Mapping[str, "Schedule"], *, take_over: bool) -> Change:
    """Return how a schedule comes to be as it was declared."""
    about: dict[str, Any] = {
        "schedule_id": declared.schedule_id,
        "cron": declared.cron,
        "declared": declared,
    }
    found = everybodys.get(declared.schedule_id)
    if found is None:
        # Before ids had the app's name in them, this was its id.
        old = everybodys.get(PREFIX + declared.name)
        paused = old is not None and _calls_us(old) and old.paused
        return Change(action="create", paused=paused, **about)
    if not _calls_us(found) and not take_over:
        return Change(action="refuse", calls=found.destination, **about)
    return Change(action="update", **about)


def _declared() -> Iterator[Declared]:
    yield _sweep()
    seen = {own_id(SWEEP_NAME)}
    for job_type, schedule in _wanted():
        declared = _periodic(job_type, schedule)
        if declared.schedule_id in seen:
            named = PREFIX + declared.name
            raise InvalidOption(f"name: two schedules are called {named!r}")
        seen.add(declared.schedule_id)
        yield declared


def _sweep() -> Declared:
    return Declared(
        name=SWEEP_NAME,
        schedule_id=own_id(SWEEP_NAME),
        endpoint=SWEEP,
        cron=crons.checked(current_app.config["JOBS_SWEEP_CRON"], None),
        body="",
        options={"retries": 0, "timeout": 60},
        fingerprint="1",
    )


def _periodic(job_type: JobType[Any, Any], schedule: Periodic) -> Declared:
    config = job_type.config
    asked = config.options_with(schedule.options)
    owner = Owner(tags=() if schedule.tags is None else schedule.tags)
    has_tags = schedule.tags is not None
    name = _name_of(job_type, schedule)
    rules = firing_rules.check_beside(
        schedule.rules, config.type, asked, is_external=config.is_external
    )
    firing = Firing(cron=schedule.cron, rules=rules, schedule_id=own_id(name))
    body, options = scheduling.scheduled(
        config, schedule.payload, owner, firing, asked, has_tags=has_tags
    )
    # Of what was declared, not of what is sent: that has its time, and sealed fields differ.
    given = schedule.payload
    if is_dataclass(given):
        given = config.schema.dump(given)
    said = [FORM, config.endpoint, schedule.cron, config.version, given, options]
    if has_tags:
        said.append(list(owner.tags))
    if rules:  # without, it is what it was before there were any
        said.append(rules.given)
    return Declared(
        name=name,
        schedule_id=own_id(name),
        endpoint=config.endpoint,
        cron=schedule.cron,
        body=body,
        options=options,
        fingerprint=sha256(jsonb.dumps(said).encode()).hexdigest()[:32],
        firing=firing,
    )


def _matches(schedule: "Schedule", declared: Declared) -> bool:
    """Tell whether nobody changed a schedule, here or at QStash."""
    headers = {name.lower(): values for name, values in (schedule.headers or {}).items()}
    return (
        headers.get(HEADER.lower()) == [declared.fingerprint]
        and schedule.cron == declared.cron
        and schedule.destination == outbox.publisher().destination(declared.endpoint)
    )


def _install(declared: Declared) -> None:
    headers = {**declared.options.get("headers", {}), HEADER: declared.fingerprint}
    details: dict[str, Any] = {"schedule_id": declared.schedule_id}
    if declared.endpoint == SWEEP:
        # No job is behind it that could be marked dead.
        details |= {"failure_callback": None, "failure_callback_headers": None}
    if declared.firing is not None:
        scheduling.keep_rules(declared.firing, declared.options)
    outbox.publisher().schedule(
        declared.endpoint,
        declared.cron,
        declared.body,
        {**declared.options, "headers": headers},
        **details,
    )


def _delete(schedule_id: str) -> None:
    outbox.publisher().call(lambda qstash: qstash.schedule.delete(schedule_id))
    in_transaction(lambda tx: firings.drop(tx, schedule_id))


def _pause(schedule_id: str) -> None:
    outbox.publisher().call(lambda qstash: qstash.schedule.pause(schedule_id))
