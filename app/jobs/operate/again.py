"""Jobs that people enqueue: a new one, or a job's payload edited and enqueued as another job."""

from typing import Any

from ..enqueue.enqueuer import JobId, enqueue
from ..errors import ActionRefused, InvalidDelivery
from ..payload import loading, masking, sealing
from ..registry import get_job_config
from ..schemas import load_envelope
from ..table import audit
from ..table.db import connection_of, db
from ..table.models import JobExecution

_HIDING = (masking.SEALED, masking.HIDDEN)


def payload_of(row: JobExecution) -> dict[str, Any]:
    """Return a job's payload in clear, in the form of its type's present version.

    Raises:
        UnknownJobType: The app no longer has its type.
        ActionRefused: It cannot be read; the message says why.
    """
    config = get_job_config(row.job_type)
    try:
        envelope = load_envelope(row.payload)
        clear = sealing.unseal(envelope, row.job_id)
        return loading.upgraded(config, clear, envelope.version, row.job_id)
    except InvalidDelivery as error:
        said = f"the payload of job {row.job_id} cannot be read: {error}"
        raise ActionRefused(f"{said}; give a whole one in its place") from None


def shown(job_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload in clear as people see it, without what is sealed or named a secret."""
    sealed: dict[str, Any] = sealing.seal(get_job_config(job_type), payload, None)["payload"]
    masked: dict[str, Any] = masking.hidden(sealed)
    return masked


def restored(edited: Any, before: Any, at: str = "payload") -> Any:
    """Return what somebody made of a payload that hides secrets, with those that were left.

    Args:
        edited: What they made of it.
        before: The payload in clear.
        at: Where in it, for the error.

    Raises:
        ActionRefused: Something is hidden of which nobody can say what it was.
    """
    if isinstance(edited, dict):
        own = before if isinstance(before, dict) else {}
        return {key: restored(value, own.get(key), f"{at}.{key}") for key, value in edited.items()}
    if isinstance(edited, list):
        # Of a list that is longer or shorter now, an item's place says nothing of which it was.
        is_same = isinstance(before, list) and len(before) == len(edited)
        items = before if is_same else [None] * len(edited)
        pairs = enumerate(zip(edited, items, strict=True))
        return [restored(value, item, f"{at}.{index}") for index, (value, item) in pairs]
    if edited not in _HIDING:
        return edited
    if before is None:
        raise ActionRefused(f"{at} still hides a value, as {edited}: write it")
    return before


def enqueue_again(row: JobExecution, payload: dict[str, Any], *, by: str, **options: Any) -> JobId:
    """Enqueue another job of a job's type, on record as what somebody did.

    Args:
        row: The job that it is made from.
        payload: Of the new one, in clear.
        by: Who does it.
        **options: As for `enqueue`, but no session.

    Raises:
        JobsError: As `enqueue` does; nothing was enqueued then.
    """
    return enqueue_by_hand(row.job_type, payload, by=by, origin=row.job_id, **options)


def enqueue_by_hand(
    job_type: str, payload: dict[str, Any], *, by: str, origin: str | None = None, **options: Any
) -> JobId:
    """Enqueue a job, and put on record in the same transaction who did it.

    Args:
        job_type: A registered name.
        payload: In clear.
        by: Who does it.
        origin: The job that it is made from.
        **options: As for `enqueue`, but no session.

    Raises:
        JobsError: As `enqueue` does; nothing was enqueued then.
    """
    try:
        job_id = enqueue(job_type, payload, session=db.session, **options)
        if job_id.enqueued_as == "existing":
            db.session.rollback()
            return job_id
        tx = connection_of(db.session)
        wanted = {"job_type": job_type, **({"again": origin} if origin else {})}
        entry = audit.record_action(tx, actor=by, action="enqueue", wanted=wanted)
        audit.add_jobs(tx, entry, [job_id])
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    return job_id
