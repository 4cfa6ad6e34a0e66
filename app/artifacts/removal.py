"""Remove the bytes of files whose rows were deleted: once that is committed, not before.

A crash in between leaves bytes that no row names, which `orphans` finds.
"""

import logging
from collections.abc import Sequence

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from app.artifacts.stores import Store, current_store
from app.db import db

log = logging.getLogger(__name__)

_WAITING = "artifacts.removed"
_COMMITTED = "artifacts.committed"


def remove_after_commit(keys: Sequence[str]) -> None:
    """Remove bytes when the session's outermost transaction has committed."""
    session = db.session()
    session.flush()
    session.connection()  # begins the transaction that there is to wait for
    inner = session.get_nested_transaction() or session.get_transaction()
    waiting = session.info.setdefault(_WAITING, [])
    store = current_store()
    waiting.extend((inner, store, key) for key in keys)


@event.listens_for(db.session, "after_soft_rollback")
def _forget(session: Session, previous: SessionTransaction) -> None:
    """Keep the bytes of what was deleted in a transaction, or savepoint, that rolled back."""
    if _WAITING in session.info:
        kept = [one for one in session.info[_WAITING] if not _is_within(one[0], previous)]
        session.info[_WAITING] = kept


@event.listens_for(db.session, "after_commit")
def _remember_commit(session: Session) -> None:
    # Releasing a savepoint counts as a commit to SQLAlchemy, but not to us.
    if _WAITING in session.info and not session.in_nested_transaction():
        session.info[_COMMITTED] = True


@event.listens_for(db.session, "after_transaction_end")
def _remove(session: Session, transaction: SessionTransaction) -> None:
    """Remove once the connection is back in its pool, so that the store's time is not its time."""
    if transaction.parent is not None or _WAITING not in session.info:
        return
    waiting: list[tuple[SessionTransaction, Store, str]] = session.info.pop(_WAITING)
    if not session.info.pop(_COMMITTED, False) or not waiting:
        return
    try:
        waiting[0][1].delete([key for _, _, key in waiting])
    except Exception:
        # The caller's commit is done and must not look as if it had failed.
        log.exception("[artifacts] Files not removed; they are orphans now")


def _is_within(inner: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while inner is not None and inner is not outer:
        inner = inner.parent
    return inner is outer
