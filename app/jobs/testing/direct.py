"""A handler called directly: no queue, no row, no HTTP."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import partial
from time import monotonic
from typing import Any
from uuid import uuid4

from ..context import Job
from ..execute.coroutines import handled
from ..middleware import around
from ..payload import loading
from ..registry import get_job_config


def make_job(job_type: str = "test", *, seconds: float = 60, **values: Any) -> Job:
    """Return a `Job` for a handler, as in a first attempt.

    Its `progress` and `check` do nothing, as there is no row.

    Args:
        job_type: The value of `job.type`.
        seconds: How much time the handler has: `job.deadline`.
        **values: Any other attribute of `Job`, such as `user_id=7` or `attempt=2`.
    """
    first: dict[str, Any] = {"id": str(uuid4()), "attempt": 1, "generation": 0}
    return Job(type=job_type, expires_at=monotonic() + seconds, **{**first, **values})


def perform(job_type: str, payload: Any, **values: Any) -> dict[str, Any] | None:
    """Validate a payload, call the handler in the test's own session, return its result.

    What wraps the handler is called as well.

    Nothing is committed, retried or limited in time, and what the handler raises is not caught,
    including `RetryLater` and `Continue`.

    Args:
        job_type: A registered name.
        payload: As for `enqueue`.
        **values: Attributes of the job; see `make_job`.

    Raises:
        UnknownJobType, InvalidPayload: As for `enqueue`.
    """
    config = get_job_config(job_type)
    given = config.schema.dump(payload) if is_dataclass(payload) else payload
    if isinstance(given, Mapping):
        given = dict(given)
    values = {"seconds": config.timeout, **values}
    loaded, job = loading.load_given(config, given), make_job(job_type, **values)
    handler = partial(handled, config.handler, loaded, job)
    result: dict[str, Any] | None = around(config.middleware, loaded, job, handler)
    return result
