"""Why a delivery could not claim its job: the state that the row is in."""

from dataclasses import dataclass

from sqlalchemy import Connection

from . import attempt_sql
from .attempts import Attempt, limits_of
from .models import Status


@dataclass(frozen=True, slots=True)
class ClaimRefused:
    """Why a row could not be claimed: the state it is in.

    Attributes:
        handed_over: The message's part of the job is done, and the rest has its own message:
            how that part ended.
        pause: The pause that holds the job, or the job whose end it waits for.
        is_outdated: The job has another payload by now than the message.
        has_newer: And the message that brings it.
    """

    job_type: str
    status: str
    dead: bool
    lease_left: float | None
    handed_over: str | None
    max_retries: int | None
    pause: str | None
    generation: int
    legs: int
    reschedules: int
    is_outdated: bool
    has_newer: bool

    @property
    def is_final(self) -> bool:
        return self.dead or self.status in {Status.COMPLETED, Status.CANCELLED}


def peek(
    connection: Connection, job_id: str, *, attempt: Attempt | None = None
) -> ClaimRefused | None:
    """Return the state of a job; None if there is no such row.

    Args:
        connection: To ask by.
        job_id: Which.
        attempt: Whose delivery could not claim it.
    """
    asking: dict[str, str | None] = dict.fromkeys(("message_id", "edition", "queue", "key"))
    if attempt is not None:
        delivery = attempt.delivery
        asking = {"message_id": delivery.message_id, "edition": delivery.edition}
        asking |= limits_of(attempt.config)
    row = connection.execute(attempt_sql.PEEK, {"job_id": job_id, **asking}).one_or_none()
    return None if row is None else ClaimRefused(*row)
