"""What is published: one job on its way to its endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .values.unique import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One publish: a job's envelope on its way to the job's endpoint.

    Attributes:
        generation: With `legs` and `reschedules`, tells one publish of a job from another, so that
            QStash drops a repetition of the same one.
        unique: Of a new job: what it is unique by.
        fingerprint: Of a new job with an idempotency key: of its payload.
    """

    job_id: str
    job_type: str
    endpoint: str
    body: str
    options: Mapping[str, Any]
    generation: int = 0
    legs: int = 0
    reschedules: int = 0
    available_at: datetime | None = None
    unique: Key | None = field(default=None, repr=False)
    fingerprint: str | None = None
