"""Have QStash enqueue: a job again and again, as a cron expression says."""

import logging
from collections.abc import Mapping
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


def schedule(
    job_type: str,
    cron: str,
    payload: Any,
    *,
    schedule_id: str | None = None,
    timezone: str | None = None,
    user_id: GivenOwnerId | None = None,
    organization_id: GivenOwnerId | None = None,
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
        **options: See `Options`; a schedule takes no `not_before` and no `expires`.

    Raises:
        UnknownJobType, InvalidPayload, InvalidOption: As for `enqueue`; also where a schedule of
            this id calls another app.
        PublishRefused, PublishUnavailable: There is no such schedule now.
    """
    refuse_for_schedule(options)
    config = get_job_config(job_type)
    expression = _checked_cron(config.type, schedule_id, cron, timezone)
    owner = Owner(user_id=user_id, organization_id=organization_id)
    body, checked = scheduled(config, payload, owner, expression, config.options_with(options))
    if schedule_id is not None and (other := outbox.publisher().taken_by(schedule_id)):
        raise InvalidOption(
            f"schedule_id: {schedule_id!r} belongs to another app, at {other}; use another id"
        )
    made = outbox.publisher().schedule(
        config.endpoint, expression, body, checked, schedule_id=schedule_id
    )
    log.info("[jobs] Job scheduled", extra={"scheduleId": made, "type": job_type})
    return made


def scheduled(
    config: JobConfig, payload: Any, owner: Owner, cron: str, options: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """Return what a schedule sends at each firing, and with which options.

    Raises:
        InvalidPayload: The payload does not fit the type.
    """
    wire = wire_of(config, payload)
    body = body_of(config, wire, metadata_of(owner, datetime.now(UTC), cron=cron))
    return body, limited(config, options, owner, wire)


def _checked_cron(job_type: str, schedule_id: str | None, cron: str, timezone: str | None) -> str:
    try:
        return crons.checked(cron, timezone)
    except InvalidOption as error:
        called = f"the schedule {schedule_id}" if schedule_id else "a schedule"
        raise InvalidOption(f"{error} ({called} of {job_type})") from error
