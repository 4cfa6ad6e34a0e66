"""What people do to QStash's schedules by hand: create, run now, pause, resume, delete, sync.

Each is on record before it is done: QStash may never answer.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import current_app

from .. import schedules
from ..enqueue import enqueuer, scheduling
from ..errors import InvalidDelivery, InvalidOption, flatten
from ..payload import sealing
from ..publish import outbox
from ..recover import sweep
from ..recover.routes import SWEEP
from ..registry import JobConfig, get_job_config, registry_of
from ..schedules import PREFIX, Change, installed, own_id
from ..schemas import Envelope, load_envelope
from ..table import audit, by_hand, firings, missed
from ..table.db import connection_of, db, in_transaction
from ..table.models import JobExecution
from ..values import jsonb

if TYPE_CHECKING:
    from qstash.schedule import Schedule


def find_schedule(schedule_id: str) -> "Schedule":
    """Return a schedule that calls this app, by its id, or by that without the app's own name.

    Raises:
        InvalidOption: There is none.
        PublishUnavailable, PublishRefused: QStash does not tell.
    """
    known = {schedule.schedule_id: schedule for schedule in installed()}
    for name in (schedule_id, own_id(schedule_id.removeprefix(PREFIX))):
        if name in known:
            return known[name]
    raise InvalidOption(
        f"no schedule {schedule_id!r} calls this app; `flask jobs schedules list` shows those that"
        " do, `flask jobs schedules sync` makes those of the code"
    )


def create(
    job_type: str,
    cron: str,
    payload: Any,
    *,
    by: str,
    is_change: bool = False,
    is_paused: bool = False,
    **options: Any,
) -> str:
    """Do what `schedule` does, on record as what somebody did; return the schedule's id.

    Args:
        job_type: A registered name.
        cron: As for `schedule`.
        payload: In clear.
        by: Who does it.
        is_change: It is one that there was, and that is made otherwise.
        is_paused: It is to be paused, as the one before was.
        **options: As for `schedule`.

    Raises:
        JobsError: As `schedule` does; what cannot be is not on record.
    """
    new = scheduling.checked(job_type, cron, payload, **options)
    known = new.firing.schedule_id
    named = {"schedule": known} if known else {}
    _note("edit" if is_change else "create", by, **named, type=job_type, cron=new.firing.cron)
    made = scheduling.install(new)
    if is_paused:
        outbox.publisher().call(lambda qstash: qstash.schedule.pause(made))
    return made


def sync(changes: Sequence[Change], *, by: str) -> None:
    """Make the changes of a plan; raises as `schedules.apply` does."""
    if changes:
        _note("sync", by, schedule=", ".join(map(str, changes)))
    schedules.apply(changes)


def run_now(schedule: "Schedule", *, by: str) -> str | None:
    """Do what a firing would do, at once; its next firing comes as it would have.

    The job is one of the schedule's, as what somebody ran: whether the schedule fires, it does not
    tell.

    Returns:
        The id of the job that was enqueued; None for the sweep, which is done on return.

    Raises:
        InvalidOption: What it would deliver is not a job of this app.
        DatabaseUnavailable: No job was enqueued.
    """
    if schedule.destination == outbox.publisher().destination(SWEEP):
        _note("run", by, schedule=schedule.schedule_id)
        sweep.sweep()
        return None
    config, envelope = read(schedule)
    try:
        payload = sealing.unseal(envelope, "")
    except InvalidDelivery as error:
        raise InvalidOption(f"{schedule.schedule_id}: {error}: {flatten(error.errors)}") from error
    return _enqueue(schedule.schedule_id, config.type, payload, envelope, by)


def _enqueue(
    schedule_id: str, job_type: str, payload: dict[str, Any], envelope: Envelope, by: str
) -> str:
    """Record a job of a schedule, and who made it, in one transaction."""
    owner = envelope.metadata
    try:
        job_id = enqueuer.enqueue(
            job_type,
            payload,
            user_id=owner.user_id,
            organization_id=owner.organization_id,
            tags=owner.tags,
            session=db.session,
        )
        tx = connection_of(db.session)
        by_hand.make_run(tx, job_id, schedule_id, by)
        wanted = {"schedule": schedule_id}
        entry = audit.record_action(tx, actor=by, action="schedule run", wanted=wanted)
        audit.add_jobs(tx, entry, [job_id])
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    return job_id


def read(schedule: "Schedule") -> tuple[JobConfig, Envelope]:
    """Return the job type that a schedule enqueues, and what it sends at each firing.

    Raises:
        InvalidOption: It is not a job of this app.
    """
    config, envelope = _config(schedule), _envelope(schedule)
    if config.is_external:  # several of them may have one URL
        config = get_job_config(envelope.type)
    return config, envelope


def run_by(row: JobExecution) -> str | None:
    """Return who ran a schedule's job by hand; None for a firing's, and others."""
    metadata = row.payload.get("metadata") if row.schedule_id else None
    found = metadata.get("runBy") if isinstance(metadata, dict) else None
    return None if found is None else str(found)


def type_of(schedule: "Schedule") -> str | None:
    """Return the type of the jobs that a schedule makes; None for the sweep's, and others' apps."""
    try:
        config, _ = read(schedule)
    except InvalidOption:
        return None
    return config.type


def tags_of(schedule: "Schedule") -> tuple[str, ...]:
    """Return the tags of the jobs that a schedule makes; none where they are not of this app."""
    try:
        config, envelope = read(schedule)
    except InvalidOption:
        return ()
    return config.tags if envelope.metadata.tags is None else envelope.metadata.tags


def pause(schedule: "Schedule", *, by: str) -> None:
    """Have a schedule fire no more, until it is resumed; nothing is done to one that is paused."""
    if schedule.paused:
        return
    _note("pause", by, schedule=schedule.schedule_id)
    outbox.publisher().call(lambda qstash: qstash.schedule.pause(schedule.schedule_id))


def resume(schedule: "Schedule", *, by: str) -> None:
    """Have a paused schedule fire again; what it would have fired meanwhile was not missed."""
    if not schedule.paused:
        return
    _note("resume", by, schedule=schedule.schedule_id)
    name, cron = schedule.schedule_id, schedule.cron
    in_transaction(lambda tx: missed.account(tx, name, datetime.now(UTC), cron))
    outbox.publisher().call(lambda qstash: qstash.schedule.resume(schedule.schedule_id))


def delete(schedule: "Schedule", *, by: str) -> None:
    _note("delete", by, schedule=schedule.schedule_id)
    outbox.publisher().call(lambda qstash: qstash.schedule.delete(schedule.schedule_id))
    in_transaction(lambda tx: firings.drop(tx, schedule.schedule_id))


def _note(action: str, by: str, **wanted: str) -> None:
    audit.note(f"schedule {action}", by=by, wanted=wanted)


def _config(schedule: "Schedule") -> JobConfig:
    for config in registry_of(current_app):
        if schedule.destination == outbox.publisher().destination(config.endpoint):
            return config
    raise InvalidOption(
        f"{schedule.schedule_id}: no job type of this app is at {schedule.destination}; delete it,"
        " or bring the type back"
    )


def _envelope(schedule: "Schedule") -> Envelope:
    try:
        return load_envelope(jsonb.loads(schedule.body or ""))
    except ValueError as error:
        said = str(error)
    except InvalidDelivery as error:
        said = flatten(error.errors)
    raise InvalidOption(f"{schedule.schedule_id}: what it delivers is not a job: {said}")
