"""`@periodic`: a schedule declared beside the handler that it runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, Unpack

from .enqueue.enqueuer import checked_payload
from .errors import DiscoveryError, InvalidOption, InvalidPayload, flatten, quoted
from .registry import JobConfig, where
from .values import cron as crons
from .values import firing_rules
from .values.firing_rules import CatchUp, Overlap, Rules
from .values.options import Duration, Options, for_schedule
from .values.schedule_ids import check_schedule_name
from .values.tags import check_tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic:
    """One declared schedule; `cron` is as QStash takes it."""

    cron: str
    payload: Any
    rules: Rules = field(default_factory=Rules)
    name: str = ""
    when: Callable[[], bool] | None = None
    tags: Sequence[str] | None = None
    options: Options = field(default_factory=Options)


class _Schedulable(Protocol):
    declared: JobConfig
    schedules: list[Periodic]


J = TypeVar("J", bound=_Schedulable)


def periodic(
    cron: str,
    payload: Any = None,
    *,
    name: str = "",
    timezone: str | None = None,
    when: Callable[[], bool] | None = None,
    tags: Sequence[str] | None = None,
    overlap: Overlap = "allow",
    jitter: Duration | None = None,
    catch_up: CatchUp = "none",
    **options: Unpack[Options],
) -> Callable[[J], J]:
    """Declare that a job type is enqueued again and again; stands above `@bp.job`.

    Nothing happens before `flask jobs schedules sync` has QStash match the code.

    Args:
        cron: Five fields, or `@daily` and its like; see `timezone`.
        payload: The same at every firing; none is an empty object.
        name: Tells several schedules of one job type apart: letters, digits, '-', '_' and '.'.
        timezone: An IANA name such as "Europe/Berlin"; UTC where None.
        when: Asked within the app's context whether QStash is to have the schedule: for one that
            depends on a setting. Always, where None.
        tags: Those of its jobs; without, those that the job type declares.
        overlap: As for `schedule`, like the two that follow.
        jitter: By how much a firing is put off at most.
        catch_up: Which missed firings are made up for.
        **options: As for `schedule`.

    Raises:
        DiscoveryError: The cron expression, a rule or an option is wrong, or the payload does not
            fit the job type; the message names it.
    """
    try:
        expression = crons.checked(cron, timezone)
        declared = Periodic(
            cron=expression,
            payload={} if payload is None else payload,
            rules=firing_rules.checked(
                expression, options, overlap=overlap, jitter=jitter, catch_up=catch_up
            ),
            name=check_schedule_name(name),
            when=_checked_when(when),
            tags=tags if tags is None else check_tags("tags", tags),
            options=for_schedule(options),
        )
    except InvalidOption as error:
        raise DiscoveryError(f"`@periodic({quoted(cron)}, …)`: {error}") from None

    def declare(job_type: J) -> J:
        _check(declared, job_type)
        job_type.schedules.append(declared)
        return job_type

    return declare


def _checked_when(when: Any) -> Callable[[], bool] | None:
    if when is not None and not callable(when):
        said = "is asked within the app's context, so write it as a function: `lambda: …`"
        raise InvalidOption(f"when: {quoted(when)} {said}")
    asked: Callable[[], bool] | None = when
    return asked


def _check(periodic: Periodic, job_type: Any) -> None:
    """Check a schedule beside what it is declared for; raises `DiscoveryError`."""
    config = getattr(job_type, "declared", None)
    if not isinstance(config, JobConfig):
        raise DiscoveryError(
            f"`@periodic` of {where(job_type)} is not above `@bp.job`: write it as the line before"
        )
    about = f"`@periodic({periodic.cron!r}, …)` of job type {config.type!r} ({where(job_type)})"
    try:
        asked = config.options_with(periodic.options)
        firing_rules.check_beside(
            periodic.rules, config.type, asked, is_external=config.is_external
        )
        checked_payload(config, periodic.payload)
    except InvalidOption as error:
        raise DiscoveryError(f"{about}: {error}") from None
    except InvalidPayload as error:
        fits = type(config.schema).__name__
        raise DiscoveryError(
            f"{about}: its second argument, the payload, does not fit {fits}: "
            f"{flatten(error.errors)}"
        ) from None
    except Exception:  # noqa: BLE001 - a validator that asks the app, of which there is none yet
        return  # the sync of the schedules asks it again, within the app
