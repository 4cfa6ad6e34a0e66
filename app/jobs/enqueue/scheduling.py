"""Have QStash enqueue: a job again and again, as a cron expression says."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Unpack

from ..errors import InvalidOption
from ..publish import outbox
from ..registry import JobConfig, get_job_config
from ..table import firings
from ..table.db import in_transaction
from ..values import cron as crons
from ..values import firing_rules
from ..values.firing_rules import CatchUp, Overlap, Rules
from ..values.ids import GivenOwnerId, new_job_id
from ..values.options import Duration, Options, for_schedule
from ..values.schedule_ids import check_schedule_id
from .enqueuer import body_of, wire_of
from .terms import Owner, limited, metadata_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """What all firings of one schedule have in common; one with rules has an id."""

    cron: str
    rules: Rules
    schedule_id: str | None


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A schedule as QStash is to have it, found to be possible."""

    config: JobConfig
    firing: Firing
    body: str
    options: Mapping[str, Any]


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
    overlap: Overlap = "allow",
    jitter: Duration | None = None,
    catch_up: CatchUp = "none",
    **options: Unpack[Options],
) -> str:
    """Have QStash enqueue a job again and again; return the schedule's id.

    Each firing is a separate job, recorded when it is delivered.

    Args:
        job_type: A registered name.
        cron: Five fields, or `@daily` and its like; see `timezone`.
        payload: As for `enqueue`; the same at every firing.
        schedule_id: Up to 256 letters, digits, '-', '_' and '.'; replaces the schedule of this id,
            if there is one.
        timezone: An IANA name such as "Europe/Berlin"; UTC where None.
        user_id: As for `enqueue`.
        organization_id: As for `enqueue`.
        tags: Those of its jobs; without, those that their type declares.
        overlap: What becomes of a firing while a run before it waits or runs: "allow" lets it run
            beside that; "skip" leaves it out, and notes that; "queue" has it wait, with at most 10.
        jitter: Put each firing off by up to this time, always by the same for the same firing.
        catch_up: What becomes of firings that were missed as QStash or this app was down: "none",
            one job for the "last" of them, or one for "all", of the last 100 within a week.
        **options: See `Options`; a schedule takes no `not_before`, and `expires` as a time from
            each firing's moment on.

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
            overlap=overlap,
            jitter=jitter,
            catch_up=catch_up,
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
    overlap: Overlap = "allow",
    jitter: Duration | None = None,
    catch_up: CatchUp = "none",
    **options: Unpack[Options],
) -> NewSchedule:
    """Return the schedule that `schedule` would make; takes and raises the same."""
    config = get_job_config(job_type)
    if schedule_id is not None:
        check_schedule_id(schedule_id)
    expression = _checked_cron(config.type, schedule_id, cron, timezone)
    rules = firing_rules.checked(
        expression, options, overlap=overlap, jitter=jitter, catch_up=catch_up
    )
    asked = config.options_with(for_schedule(options))
    rules = firing_rules.check_beside(rules, config.type, asked, is_external=config.is_external)
    if rules and schedule_id is None:
        schedule_id = f"scd_{new_job_id()}"  # its messages name it
    firing = Firing(cron=expression, rules=rules, schedule_id=schedule_id)
    given = () if tags is None else tags
    owner = Owner(user_id=user_id, organization_id=organization_id, tags=given)
    body, sent = scheduled(config, payload, owner, firing, asked, has_tags=tags is not None)
    if schedule_id is not None and (other := outbox.publisher().taken_by(schedule_id)):
        raise InvalidOption(
            f"schedule_id: {schedule_id!r} belongs to another app, at {other}; use another id"
        )
    return NewSchedule(config, firing, body, sent)


def install(new: NewSchedule) -> str:
    """Have QStash make a schedule, or put it in the place of that of its id; return the id.

    Raises:
        PublishRefused, PublishUnavailable: There is no such schedule now.
    """
    keep_rules(new.firing, new.options)
    made = outbox.publisher().schedule(
        new.config.endpoint,
        new.firing.cron,
        new.body,
        new.options,
        schedule_id=new.firing.schedule_id,
    )
    log.info("[jobs] Job scheduled", extra={"scheduleId": made, "type": new.config.type})
    return made


def scheduled(
    config: JobConfig,
    payload: Any,
    owner: Owner,
    firing: Firing,
    options: Mapping[str, Any],
    *,
    has_tags: bool,
) -> tuple[str, Mapping[str, Any]]:
    """Return what a schedule sends at each firing, and with which options.

    Args:
        config: The job type.
        payload: Of each firing.
        owner: Whose the jobs are, and their tags.
        firing: When they come, and by which rules.
        options: Of each message.
        has_tags: The owner's tags take the place of the type's; else these count at each firing.

    Raises:
        InvalidPayload: The payload does not fit the type.
    """
    wire = wire_of(config, payload)
    metadata = metadata_of(owner, datetime.now(UTC), cron=firing.cron)
    if has_tags:
        metadata["tags"] = list(owner.tags)
    if firing.rules:
        metadata["scheduleRules"] = {"id": firing.schedule_id, **firing.rules.given}
    return body_of(config, wire, metadata), limited(config, options, owner, wire)


def keep_rules(firing: Firing, options: Mapping[str, Any]) -> None:
    """Keep a schedule's rules, if it has any, before QStash has it.

    Should QStash not take it, or the process die before it is asked, a sweep finds out.
    """
    if firing.rules and (schedule_id := firing.schedule_id):
        kept = firings.Kept(schedule_id, firing.cron, firing.rules.given, options)
        in_transaction(lambda tx: firings.keep(tx, kept))


def _checked_cron(job_type: str, schedule_id: str | None, cron: str, timezone: str | None) -> str:
    try:
        return crons.checked(cron, timezone)
    except InvalidOption as error:
        called = f"the schedule {schedule_id}" if schedule_id else "a schedule"
        raise InvalidOption(f"{error} ({called} of {job_type})") from error
