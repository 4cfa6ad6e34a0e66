"""Have QStash enqueue: a job again and again, as a cron expression says."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Unpack

from ..errors import InvalidOption
from ..publish import outbox
from ..registry import JobConfig, get_job_config
from ..values import cron as crons
from ..values.ids import GivenOwnerId
from ..values.options import Options, refuse_for_schedule
from .enqueuer import body_of, wire_of
from .terms import Owner, limited, metadata_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A schedule as QStash is to have it, found to be possible."""

    config: JobConfig
    cron: str
    body: str
    options: Mapping[str, Any]
    schedule_id: str | None


def schedule(
    job_type: str,
    cron: str,
    payload: Any,
    *,
    schedule_id: str | None = None,
    timezone: str | None = None,
    user_id: GivenOwnerId | None = None,
    organization_id: GivenOwnerId | None = None,
    tags: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> str:
    """Have QStash enqueue a job again and again; return the schedule's id.

    Each firing is a separate job, recorded when it is delivered.

    Args:
        job_type: A registered name.
        cron: Five fields, or `@daily` and its like; see `timezone`.
        payload: As for `enqueue`; the same at every firing.
        schedule_id: Replaces the schedule of this id, if there is one.
        timezone: An IANA name such as "Europe/Berlin"; UTC where None.
        user_id: As for `enqueue`.
        organization_id: As for `enqueue`.
        tags: Those of its jobs; without, those that their type declares.
        **options: See `Options`; a schedule takes no `not_before` and no `expires`.

    Raises:
        UnknownJobType, InvalidPayload, InvalidOption: As for `enqueue`; also where a schedule of
            this id calls another app.
        PublishRefused, PublishUnavailable: There is no such schedule now.
    """
    return install(
        checked(
            job_type,
            cron,
            payload,
            schedule_id=schedule_id,
            timezone=timezone,
            user_id=user_id,
            organization_id=organization_id,
            tags=tags,
            **options,
        )
    )


def checked(
    job_type: str,
    cron: str,
    payload: Any,
    *,
    schedule_id: str | None = None,
    timezone: str | None = None,
    user_id: GivenOwnerId | None = None,
    organization_id: GivenOwnerId | None = None,
    tags: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> NewSchedule:
    """Return the schedule that `schedule` would make; takes and raises the same."""
    refuse_for_schedule(options)
    config = get_job_config(job_type)
    expression = _checked_cron(config.type, schedule_id, cron, timezone)
    owner = Owner(user_id=user_id, organization_id=organization_id, tags=tags or ())
    body, sent = scheduled(
        config, payload, owner, expression, config.options_with(options), has_tags=tags is not None
    )
    if schedule_id is not None and (other := outbox.publisher().taken_by(schedule_id)):
        raise InvalidOption(
            f"schedule_id: {schedule_id!r} belongs to another app, at {other}; use another id"
        )
    return NewSchedule(config, expression, body, sent, schedule_id)


def install(new: NewSchedule) -> str:
    """Have QStash make a schedule, or put it in the place of that of its id; return the id.

    Raises:
        PublishRefused, PublishUnavailable: There is no such schedule now.
    """
    made = outbox.publisher().schedule(
        new.config.endpoint, new.cron, new.body, new.options, schedule_id=new.schedule_id
    )
    log.info("[jobs] Job scheduled", extra={"scheduleId": made, "type": new.config.type})
    return made


def scheduled(
    config: JobConfig,
    payload: Any,
    owner: Owner,
    cron: str,
    options: Mapping[str, Any],
    *,
    has_tags: bool,
) -> tuple[str, Mapping[str, Any]]:
    """Return what a schedule sends at each firing, and with which options.

    Args:
        config: The job type.
        payload: Of each firing.
        owner: Whose the jobs are, and their tags.
        cron: As QStash takes it.
        options: Of each message.
        has_tags: The owner's tags take the place of the type's; else these count at each firing.

    Raises:
        InvalidPayload: The payload does not fit the type.
    """
    wire = wire_of(config, payload)
    told = {"tags": list(owner.tags)} if has_tags else {}
    metadata = metadata_of(owner, datetime.now(UTC), cron=cron) | told
    return body_of(config, wire, metadata), limited(config, options, owner, wire)


def _checked_cron(job_type: str, schedule_id: str | None, cron: str, timezone: str | None) -> str:
    try:
        return crons.checked(cron, timezone)
    except InvalidOption as error:
        called = f"the schedule {schedule_id}" if schedule_id else "a schedule"
        raise InvalidOption(f"{error} ({called} of {job_type})") from error
