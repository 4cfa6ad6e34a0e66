"""QStash's schedules made to match the code: those that `@periodic` declares, and maintenance.

Only schedules whose id begins with `code.` and that call this app are touched; those made with
`schedule()` or by hand are not. What was declared is known again by a hash in a header.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from flask import current_app

from app.jobs import jsonb, outbox
from app.jobs.blueprint import JobBlueprint, JobType
from app.jobs.drafts import Owner, envelope
from app.jobs.errors import InvalidOption
from app.jobs.options import normalise
from app.jobs.periodic import Periodic
from app.jobs.registry import registry_of
from app.jobs.routes import MAINTENANCE

if TYPE_CHECKING:
    from qstash.schedule import Schedule

PREFIX = "code."
HEADER = "Jobs-Declaration"
MAINTENANCE_CRON = "*/5 * * * *"
#: Of what is sent; a change has the next sync send all schedules anew.
FORM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A schedule as the code wants it."""

    schedule_id: str
    endpoint: str
    cron: str
    body: str
    options: dict[str, Any]
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference and its repair."""

    action: Literal["create", "update", "delete"]
    schedule_id: str
    cron: str
    declared: Declared | None = None

    def __str__(self) -> str:
        return f"{self.action}  {self.schedule_id}  {self.cron}"


def plan() -> list[Change]:
    """Return what would make QStash match the code.

    Raises:
        PublishUnavailable, PublishRefused: QStash does not tell what it has.
        InvalidPayload, InvalidOption: A declaration is wrong.
    """
    wanted = {declared.schedule_id: declared for declared in _declared()}
    existing = {schedule.schedule_id: schedule for schedule in installed() if is_ours(schedule)}
    changes = [
        Change(
            action="update" if schedule_id in existing else "create",
            schedule_id=schedule_id,
            cron=declared.cron,
            declared=declared,
        )
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
    """
    for change in changes:
        if change.declared is None:
            _delete(change.schedule_id)
        else:
            _install(change.declared)


def installed() -> list["Schedule"]:
    """Return all of QStash's schedules that call this app, or a worker of its external types."""
    publisher = outbox.publisher()
    found = publisher.ask(lambda qstash: qstash.schedule.list())
    elsewhere = {one.endpoint for one in registry_of(current_app) if one.is_external}
    ours = publisher.destination("/")
    return [
        one for one in found if one.destination.startswith(ours) or one.destination in elsewhere
    ]


def is_ours(schedule: "Schedule") -> bool:
    """Tell whether the code, or an older version of it, declared a schedule."""
    return schedule.schedule_id.startswith(PREFIX)


def _declared() -> Iterator[Declared]:
    yield _maintenance()
    blueprints = (bp for bp in current_app.blueprints.values() if isinstance(bp, JobBlueprint))
    seen: set[str] = set()
    for job_type in (job_type for bp in blueprints for job_type in bp.job_types):
        for schedule in job_type.schedules:
            declared = _periodic(job_type, schedule)
            if declared.schedule_id in seen:
                raise InvalidOption(f"name: two schedules are called {declared.schedule_id!r}")
            seen.add(declared.schedule_id)
            yield declared


def _maintenance() -> Declared:
    return Declared(
        schedule_id=f"{PREFIX}jobs-maintenance",
        endpoint=MAINTENANCE,
        cron=MAINTENANCE_CRON,
        body="",
        options={"retries": 0, "timeout": 60},
        fingerprint="1",
    )


def _periodic(job_type: JobType[Any], schedule: Periodic) -> Declared:
    config = job_type.config
    options = normalise(config, schedule.options)
    written = envelope(config, schedule.payload, Owner())
    # Of what was declared, not of what is sent: that has its time, and sealed fields differ.
    given = schedule.payload
    if is_dataclass(given):
        given = config.schema.dump(given)
    said = jsonb.dumps([FORM, config.endpoint, schedule.cron, config.version, given, options])
    return Declared(
        schedule_id=".".join(filter(None, [f"{PREFIX}{config.type}", schedule.name])),
        endpoint=config.endpoint,
        cron=schedule.cron,
        body=jsonb.dumps(written),
        options=options,
        fingerprint=sha256(said.encode()).hexdigest()[:32],
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
    if declared.endpoint == MAINTENANCE:
        # No job is behind it that could be marked dead.
        details |= {"failure_callback": None, "failure_callback_headers": None}
    outbox.publisher().schedule(
        declared.endpoint,
        declared.cron,
        declared.body,
        {**declared.options, "headers": headers},
        **details,
    )


def _delete(schedule_id: str) -> None:
    outbox.publisher().ask(lambda qstash: qstash.schedule.delete(schedule_id))
