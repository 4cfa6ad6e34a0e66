"""Signals: what the world tells a workflow that waits for it."""

import logging
from collections.abc import Mapping
from typing import Any

from ..enqueue.terms import Owner
from ..errors import SignalUnheard, quoted
from ..publish import relay
from ..table import workflows
from ..table.after_commit import after_commit
from ..table.db import in_transaction
from ..table.sessions import AnySession, callers_connection
from ..values.ids import GivenOwnerId
from .recorded import check_text
from .workflow import LONGEST_EVENT, check_data

log = logging.getLogger(__name__)


def signal(
    event: str,
    data: Mapping[str, Any] | None = None,
    *,
    organization_id: GivenOwnerId | None = None,
    session: AnySession | None = None,
) -> int:
    """Complete the steps that wait for an event, and those that will once they begin.

    Args:
        event: As `wait_for` named it.
        data: What is known of it; a step waits for what its `match` is a part of, and finds this
            in `job.results`.
        organization_id: Only this organization's workflows hear it; without, everybody's do.
        session: Signal in this session's transaction.

    Returns:
        How many steps it completed, or will.

    Raises:
        SignalUnheard: No workflow waits for it.
        BatchRefused: The event is no text, or the data no JSON object of 8 KiB at most.
    """
    check_text("event", event, LONGEST_EVENT)
    told = check_data("data", {} if data is None else data)
    owner = Owner(organization_id=organization_id)

    def tell(tx: Any) -> list[str]:
        return [
            step[0]
            for step in workflows.listening(tx, event, told, owner.columns["organization_id"])
            if workflows.hear(tx, step, told)
        ]

    heard = in_transaction(tell) if session is None else tell(callers_connection(session))
    if not heard:
        raise SignalUnheard(
            f"no workflow waits for {quoted(event)} with such data, or it has heard it before: "
            "record the workflow first, and look at its `match`"
        )
    log.info("[jobs] Signal heard", extra={"signal": event, "count": len(heard)})
    if session is None:
        _publish(heard)
    else:
        after_commit(session, _publish, heard)
    return len(heard)


def _publish(batch_ids: list[str]) -> None:
    for batch_id in dict.fromkeys(batch_ids):
        relay.publish_started(batch_id)
