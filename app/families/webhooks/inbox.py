"""The inbox: received webhooks, stored in the transaction that records their job."""

import logging
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, cast

from sqlalchemy import Table, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.db import db
from app.families.webhooks.incoming import Incoming
from app.families.webhooks.models import WebhookEvent
from app.families.webhooks.sources import SOURCES, Source
from app.jobs import JobExecution, JobsError, KeyReused, enqueue
from app.jobs.kit import jsonb, sealing, translate_database_errors
from app.jobs.operate import audit

log = logging.getLogger(__name__)

JOB = "process-webhook"
#: Bytes up to which a job carries its webhook; a larger one stays in the inbox.
CARRIED = 64 * 1024

_table = cast("Table", WebhookEvent.__table__)
_INSERT = (
    insert(_table)
    .on_conflict_do_nothing(index_elements=["source", "delivery_id"])
    .returning(_table.c.id)
)


class NotInInbox(JobsError):
    """The webhook is not in the inbox, or no longer: webhooks are kept for a limited time."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects webhooks; `since` is the earliest time of receipt."""

    source: str | None = None
    event: str | None = None
    since: datetime | None = None


def accept(incoming: Incoming) -> bool:
    """Store a webhook and enqueue its job, in one transaction; return whether it is new.

    A crash before the commit leaves no trace, and the sender retries. A crash after it leaves a job
    that the sweep publishes. Of any number of repeats, even concurrent ones, only one gets past the
    job's idempotency key and the inbox's unique constraint.

    Raises:
        InvalidPayload: The job's own schema rejects it.
        DatabaseUnavailable: Nothing was stored; the sender should retry.
    """
    source = incoming.source
    try:
        with translate_database_errors():
            same = _came_under_another_name(incoming)
            is_new = same is None and _is_stored(incoming)
            db.session.commit() if is_new else _count_repeat(incoming, same)
    except Exception:
        db.session.rollback()
        raise
    about = {"source": source.name, "event": incoming.event, "deliveryId": incoming.delivery_id}
    log.info("[webhooks] Received" if is_new else "[webhooks] Repeated", extra=about)
    return is_new


def replay(row_id: int, *, by: str) -> str:
    """Process a stored webhook again in a new job, on record as what somebody did.

    Args:
        row_id: The webhook's.
        by: Who does it.

    Returns:
        The job's id.

    Raises:
        NotInInbox: No such row, or its source is no longer declared.
        PermanentError: Its key is not among JOBS_ENCRYPTION_KEYS.
    """
    row = db.session.get(WebhookEvent, row_id, with_for_update=True)
    if row is None:
        raise NotInInbox(f"no webhook {row_id} in the inbox; it may have been deleted")
    if row.source not in SOURCES:
        raise NotInInbox(f"webhook {row_id} came from {row.source!r}, which is no longer a source")
    job_type, payload = _job(_as_it_came(row, SOURCES[row.source]))
    row.job_id = enqueue(job_type, payload, session=db.session)
    job_id, tx = str(row.job_id), db.session.connection()
    wanted = {"webhook": row_id}
    entry = audit.record_action(tx, actor=by, action="webhook replay", wanted=wanted)
    audit.add_jobs(tx, entry, [job_id])
    db.session.commit()
    return job_id


def of_job(row: JobExecution) -> WebhookEvent | None:
    """Return the webhook that a job processes, also one whose source has its own job type."""
    inner = row.payload.get("payload")
    payload = inner if isinstance(inner, dict) else {}
    if row.job_type == JOB:
        return find(str(payload.get("source")), str(payload.get("deliveryId")))
    delivery_id = row.idempotency_key or payload.get("eventId")
    for source in SOURCES.values():
        if source.job and source.job[0] == row.job_type and delivery_id:
            return find(source.name, str(delivery_id))
    return None


def find(source: str, delivery_id: str) -> WebhookEvent | None:
    query = select(WebhookEvent).where(
        WebhookEvent.source == source, WebhookEvent.delivery_id == delivery_id
    )
    return db.session.scalar(query)


def get(row_id: int) -> WebhookEvent:
    """Return a row; raises `NotInInbox`."""
    row = db.session.get(WebhookEvent, row_id)
    if row is None:
        raise NotInInbox(f"no webhook {row_id}; `flask webhooks list` shows the newest")
    return row


def newest(
    wanted: Filter, *, before: int | None = None, limit: int
) -> list[tuple[WebhookEvent, str | None]]:
    """Return webhooks, newest first, each with its job's status (None if the job is gone).

    Args:
        wanted: Which of them.
        before: The id of one: only those that came before it.
        limit: How many at most.
    """
    query = (
        select(WebhookEvent, JobExecution.status)
        .outerjoin(JobExecution, JobExecution.job_id == WebhookEvent.job_id)
        .order_by(WebhookEvent.received_at.desc(), WebhookEvent.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(WebhookEvent.id < before)
    if wanted.source is not None:
        query = query.where(WebhookEvent.source == wanted.source)
    if wanted.event is not None:
        query = query.where(WebhookEvent.event == wanted.event)
    if wanted.since is not None:
        query = query.where(WebhookEvent.received_at >= wanted.since)
    return [(row, status) for row, status in db.session.execute(query)]


def body_of(row: WebhookEvent) -> bytes:
    """Return a body as received; raises `PermanentError` if its key is lost."""
    if not row.sealed:
        return row.body
    return sealing.open_bytes(row.body, bound_to=_name(row.source, row.delivery_id))


def _job(incoming: Incoming) -> tuple[str, dict[str, Any]]:
    """Return the type and payload of the job that a webhook becomes."""
    if incoming.source.job:
        job_type, payload = incoming.source.job
        return job_type, payload(incoming.data, incoming.ip_address)
    return JOB, {
        "source": incoming.source.name,
        "event": incoming.event,
        "data": incoming.data if _is_carried(incoming) else None,
        "deliveryId": incoming.delivery_id,
    }


def _is_stored(incoming: Incoming) -> bool:
    """Write a webhook and its job; False for a repeat, whatever else the sender says this time."""
    job_type, payload = _job(incoming)
    source = incoming.source
    key = incoming.delivery_id if source.job else f"{source.name}:{incoming.delivery_id}"
    try:
        job_id = enqueue(job_type, payload, idempotency_key=key, session=db.session)
    except KeyReused:
        return False  # such as an event of Stripe's that comes again from another address
    # A row whose job was deleted since is still a repeat: no job is made.
    return db.session.scalar(_INSERT, _row(incoming, job_id)) is not None


def _count_repeat(incoming: Incoming, same: int | None) -> None:
    """Undo what was begun, and note at the first of its kind that it came again."""
    db.session.rollback()
    named = (_table.c.source == incoming.source.name, _table.c.delivery_id == incoming.delivery_id)
    which = named if same is None else (_table.c.id == same,)
    again = {"repeats": _table.c.repeats + 1, "repeated_at": func.now()}
    db.session.execute(update(_table).where(*which).values(again))
    db.session.commit()


def _came_under_another_name(incoming: Incoming) -> int | None:
    """Return whether the same bytes came recently, from a source whose ids are not signed: as what.

    Concurrent ones with the same bytes wait for this transaction to end. The body of a sealed
    source cannot be compared.
    """
    source = incoming.source
    if incoming.has_signed_id or source.sealed or not source.is_verified:
        return None
    lock = func.hashtextextended(f"{source.name} {sha256(incoming.body).hexdigest()}", 0)
    db.session.execute(select(func.pg_advisory_xact_lock(lock)))
    same = select(WebhookEvent.id).where(
        WebhookEvent.source == source.name,
        WebhookEvent.received_at > func.now() - source.repeats_within,
        WebhookEvent.body == incoming.body,
    )
    found: int | None = db.session.scalar(same.limit(1))
    return found


def _is_carried(incoming: Incoming) -> bool:
    """Return whether the job carries the data, rather than reading it from the inbox.

    Sealed data stays there, because jobs are stored and sent in plain text; so does data that might
    be too large for QStash, or that PostgreSQL's JSON cannot hold, such as NUL.
    """
    if incoming.source.sealed or len(incoming.body) > CARRIED:
        return False
    try:
        jsonb.dumps(incoming.data)
    except ValueError:
        return False
    return True


def _row(incoming: Incoming, job_id: str) -> dict[str, Any]:
    source, body = incoming.source, incoming.body
    if source.sealed:
        body = sealing.seal_bytes(body, bound_to=_name(source.name, incoming.delivery_id))
    return {
        "source": source.name,
        "event": incoming.event,
        "delivery_id": incoming.delivery_id,
        "verified": source.is_verified,
        "sealed": source.sealed,
        "ip_address": incoming.ip_address,
        "headers": incoming.headers,
        "body": body,
        "job_id": job_id,
    }


def _as_it_came(row: WebhookEvent, source: Source) -> Incoming:
    body = body_of(row)
    return Incoming(
        source=source,
        event=row.event,
        delivery_id=row.delivery_id,
        body=body,
        data=jsonb.loads(body.decode()),
        headers=row.headers,
        ip_address=str(row.ip_address) if row.ip_address else None,
    )


def _name(source: str, delivery_id: str) -> str:
    return f"webhook {source} {delivery_id}"
