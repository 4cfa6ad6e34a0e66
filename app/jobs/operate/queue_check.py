"""Which queued jobs the present code would refuse: to be asked before a deploy goes on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import current_app
from sqlalchemy import Row

from ..errors import InvalidDelivery, JobsError, flatten
from ..payload import loading
from ..payload.redaction import scrub
from ..registry import registry_of
from ..schemas import load_envelope
from ..table import job_rows
from ..table.db import in_transaction

BATCH = 500


@dataclass(frozen=True, slots=True)
class Checked:
    """A queued job; `refusal` is None where its payload fits."""

    job_id: str
    job_type: str
    status: str
    refusal: str | None


def check_queued() -> Iterator[Checked]:
    """Read every queued job as a delivery of it would be, without running it.

    A batch at a time, each in its own short transaction: however long the queue, nothing in
    the database waits for this.
    """
    last = 0
    while rows := in_transaction(_batch_after(last)):
        for row in rows:
            yield Checked(row.job_id, row.job_type, row.status, _refusal(row))
        last = rows[-1].id


def _batch_after(last: int) -> Any:
    return lambda tx: job_rows.list_queued(tx, after=last, limit=BATCH)


def _refusal(row: Row[Any]) -> str | None:
    try:
        envelope = load_envelope(row.payload)
        loading.load_payload(registry_of(current_app).get(row.job_type), envelope, row.job_id)
    except InvalidDelivery as error:
        return f"{error}: {flatten(error.errors)}"
    except JobsError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a validator of the author's may raise anything
        return scrub(f"{type(error).__name__}: {error}")
    return None
