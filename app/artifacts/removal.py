"""Remove the bytes of files whose rows were deleted: once that is committed, not before.

A crash in between leaves bytes that no row names, which `orphans` finds.
"""

import logging
from collections.abc import Sequence

from app.artifacts.stores import current_store
from app.db import db
from app.jobs import after_commit

log = logging.getLogger(__name__)


def remove_after_commit(keys: Sequence[str]) -> None:
    """Remove bytes when the session's outermost transaction has committed."""
    after_commit(db.session, _remove, keys)


def _remove(keys: Sequence[str]) -> None:
    try:
        current_store().delete(keys)
    except Exception:
        log.exception("[artifacts] Files not removed; they are orphans now")
