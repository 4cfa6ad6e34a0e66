"""`@periodic`: a schedule declared beside the handler that it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, Unpack

from .values import cron as crons
from .values.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic:
    """One declared schedule; `cron` is as QStash takes it."""

    cron: str
    payload: Any
    name: str = ""
    when: Callable[[], bool] | None = None
    options: Options = field(default_factory=Options)


class _Schedulable(Protocol):
    schedules: list[Periodic]


J = TypeVar("J", bound=_Schedulable)


def periodic(
    cron: str,
    payload: Any = None,
    *,
    name: str = "",
    timezone: str | None = None,
    when: Callable[[], bool] | None = None,
    **options: Unpack[Options],
) -> Callable[[J], J]:
    """Declare that a job type is enqueued again and again; stands above `@bp.job`.

    Nothing happens before `flask jobs schedules sync` has QStash match the code.

    Args:
        cron: Five fields, or `@daily` and its like; see `timezone`.
        payload: The same at every firing; none is an empty object.
        name: Tells several schedules of one job type apart.
        timezone: An IANA name such as "Europe/Berlin"; UTC where None.
        when: Asked within the app's context whether QStash is to have the schedule: for one that
            depends on a setting. Always, where None.
        **options: As for `schedule`.

    Raises:
        InvalidOption: The message names the bad field of the cron expression.
    """
    declared = Periodic(
        cron=crons.checked(cron, timezone),
        payload={} if payload is None else payload,
        name=name,
        when=when,
        options=options,
    )

    def declare(job_type: J) -> J:
        job_type.schedules.append(declared)
        return job_type

    return declare
