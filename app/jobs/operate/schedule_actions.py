"""What people do to QStash's schedules by hand: run now, pause, resume, delete."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import current_app

from ..enqueue import enqueuer
from ..errors import InvalidDelivery, InvalidOption, flatten
from ..payload import sealing
from ..publish import outbox
from ..recover import sweep
from ..recover.routes import SWEEP
from ..registry import JobConfig, get_job_config, registry_of
from ..schedules import PREFIX, installed, own_id
from ..schemas import Envelope, load_envelope
from ..table import firings, missed
from ..table.db import in_transaction
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


def run_now(schedule: "Schedule") -> str | None:
    """Do what a firing would do, at once; its next firing comes as it would have.

    Returns:
        The id of the job that was enqueued; None for the sweep, which is done on return.

    Raises:
        InvalidOption: What it would deliver is not a job of this app.
        PublishRefused: QStash will not take the job.
    """
    if schedule.destination == outbox.publisher().destination(SWEEP):
        sweep.sweep()
        return None
    config, envelope = read(schedule)
    try:
        payload = sealing.unseal(envelope, "")
    except InvalidDelivery as error:
        raise InvalidOption(f"{schedule.schedule_id}: {error}: {flatten(error.errors)}") from error
    owner = envelope.metadata
    return enqueuer.enqueue(
        config.type, payload, user_id=owner.user_id, organization_id=owner.organization_id
    )


def read(schedule: "Schedule") -> tuple[JobConfig, Envelope]:
    """Return the job type that a schedule enqueues, and what it sends at each firing.

    Raises:
        InvalidOption: It is not a job of this app.
    """
    config, envelope = _config(schedule), _envelope(schedule)
    if config.is_external:  # several of them may have one URL
        config = get_job_config(envelope.type)
    return config, envelope


def pause(schedule: "Schedule") -> None:
    outbox.publisher().call(lambda qstash: qstash.schedule.pause(schedule.schedule_id))


def resume(schedule: "Schedule") -> None:
    """Have a schedule fire again; what it would have fired meanwhile was not missed."""
    name, cron = schedule.schedule_id, schedule.cron
    in_transaction(lambda tx: missed.account(tx, name, datetime.now(UTC), cron))
    outbox.publisher().call(lambda qstash: qstash.schedule.resume(schedule.schedule_id))


def delete(schedule: "Schedule") -> None:
    outbox.publisher().call(lambda qstash: qstash.schedule.delete(schedule.schedule_id))
    in_transaction(lambda tx: firings.drop(tx, schedule.schedule_id))


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
