"""QStash's queue of dead letters: what it has given up, to be delivered again or forgotten.

Entries that are jobs of this app. The rows that they belong to are failed and dead; a letter that
is retried brings its job back by a new message. The requests are those of
https://upstash.com/docs/qstash/api/dlq/listMessages and its neighbours; the SDK knows no retry.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from ..errors import InvalidDelivery, PublishError
from ..publish import outbox
from ..recover import given_up, sweep
from ..table import audit
from ..values import jsonb

if TYPE_CHECKING:
    from qstash.dlq import DlqMessage

_Method = Literal["POST", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One entry; `job_id` and `job_type` are None if it does not carry a job.

    Attributes:
        status: What its last delivery was answered; None where nothing answered.
    """

    dlq_id: str
    message_id: str
    job_id: str | None
    job_type: str | None
    created_at: datetime
    schedule_id: str | None
    status: int | None
    error: str


def letters(*, job_type: str | None = None, limit: int | None = None) -> list[DeadLetter]:
    """Return the letters of this app, the oldest first.

    Raises:
        PublishUnavailable, PublishRefused: QStash does not tell.
    """
    return list(islice(_matching(job_type), limit))


def retry(dlq_ids: Sequence[str], *, by: str) -> int:
    """Have QStash deliver letters again, on record as done by somebody; return how many were there.

    Raises:
        PublishUnavailable, PublishRefused: Those before are retried.
    """
    return _act("redrive", "POST", "/v2/dlq/retry/", dlq_ids, by)


def delete(dlq_ids: Sequence[str], *, by: str) -> int:
    """Have QStash forget letters; return how many were there; raises as `retry` does."""
    return _act("delete", "DELETE", "/v2/dlq/", dlq_ids, by)


def _act(action: str, method: _Method, path: str, dlq_ids: Sequence[str], by: str) -> int:
    """Act on letters, on record before, as QStash may never answer; say if it had none of them."""
    if not dlq_ids:
        return 0
    wanted = {"dead_letters": list(dlq_ids[: audit.KEPT_IDS])}
    entry = audit.note(f"letter {action}", by=by, wanted=wanted)
    count = sum(_request(method, path, dlq_id) for dlq_id in dlq_ids)
    if not count:
        audit.note_no_change(entry)
    return count


def _matching(job_type: str | None) -> Iterator[DeadLetter]:
    for page in sweep.dead_letter_pages():
        for entry in page:
            letter = _read(entry)
            if job_type in {None, letter.job_type}:
                yield letter


def _read(entry: "DlqMessage") -> DeadLetter:
    known: dict[str, Any] = {
        "dlq_id": entry.dlq_id,
        "message_id": entry.message_id,
        "created_at": datetime.fromtimestamp(entry.created_at / 1000, UTC),
        "schedule_id": entry.schedule_id,
        "status": entry.response_status,
    }
    try:
        letter = given_up.from_queue(entry)
    except InvalidDelivery as error:
        return DeadLetter(**known, job_id=None, job_type=None, error=str(error))
    job_type = letter.row["job_type"]
    return DeadLetter(**known, job_id=letter.job_id, job_type=job_type, error=letter.error)


def _request(method: _Method, path: str, dlq_id: str) -> bool:
    """Make a request about one letter; tell whether there is such a one."""
    if not dlq_id.strip("./") or jsonb.clean_text(dlq_id) != dlq_id:
        return False  # Without an id the same request would be about all letters.
    whole = path + quote(dlq_id, safe="")
    try:
        outbox.publisher().call(
            lambda qstash: qstash.http.request(path=whole, method=method, parse_response=False)
        )
    except PublishError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True
