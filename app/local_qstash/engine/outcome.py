"""What an attempt's answer means: delivered, again later, or given up; as rows and messages."""

import json
from dataclasses import dataclass, field

from ..clock import Clock
from ..store.batch import Batch
from ..store.schema import CANCELLED, DELIVERED, FAILED, PENDING
from .backoff import seconds_asked, seconds_until_retry
from .callbacks import callback_message
from .message import Message
from .transport import Answer

_STOP_STATUS = 489
_UNAVAILABLE = 503
_LOGGED_BYTES = 16_384  # of a response; a dead letter and a callback have all that was kept


@dataclass(slots=True)
class Outcome:
    """What to write, whom to tell, and when to try again (None: never)."""

    batch: Batch = field(default_factory=Batch)
    callbacks: list[Message] = field(default_factory=list)
    retry_at: int | None = None
    retried: int = 0  # how often it was retried, the next attempt included
    asked_until: int = 0


def conclude(message: Message, answer: Answer, clock: Clock, *, report: bool = True) -> Outcome:
    """Decide what follows from `answer`; the message itself is changed by the engine.

    `report` is whether its callbacks are called.
    """
    outcome, now = Outcome(), clock.now()
    if answer.delivered:
        _finish(outcome.batch, message, DELIVERED, now)
        log(outcome.batch, message, "DELIVERED", now)
    elif message.state != PENDING:
        log(outcome.batch, message, "ERROR", now, answer=answer)
        cancelled(outcome.batch, message, now)
    elif _is_last(message, answer) and not _came_early(message, answer, now):
        log(outcome.batch, message, "ERROR", now, answer=answer)
        _fail(outcome, message, answer, now, report=report)
    else:
        outcome.retry_at = clock.after(seconds_until_retry(message, answer))
        log(outcome.batch, message, "ERROR", now, answer=answer, next_delivery=outcome.retry_at)
        log(outcome.batch, message, "RETRY", now, next_delivery=outcome.retry_at)
        early = _came_early(message, answer, now)
        outcome.retried = message.retried + (not early)
        outcome.asked_until = message.asked_until if early else _asked_until(answer, now)
        outcome.batch.reschedules.append((outcome.retry_at, outcome.retried, message.seq))
    if message.options.callback and report:
        outcome.callbacks.append(callback_message(message, message.options.callback, answer))
    return outcome


def cancelled(batch: Batch, message: Message, now: int) -> None:
    _finish(batch, message, CANCELLED, now)
    log(batch, message, "CANCELED", now)


def log(
    batch: Batch,
    message: Message,
    state: str,
    now: int,
    *,
    answer: Answer | None = None,
    next_delivery: int | None = None,
) -> None:
    """Add a log entry to `batch`."""
    if answer is None:
        batch.events.append((message.seq, now, state, next_delivery, None, None, None, None))
        return
    headers, body = _stored(answer)
    response = (answer.status, headers, body[:_LOGGED_BYTES])
    batch.events.append((message.seq, now, state, next_delivery, answer.problem, *response))


def _asked_until(answer: Answer, now: int) -> int:
    """Return the real moment until which a destination says that it is unavailable."""
    seconds = seconds_asked(answer) if answer.status == _UNAVAILABLE else None
    return now + round((seconds or 0) * 1000)


def _came_early(message: Message, answer: Answer, now: int) -> bool:
    """Say whether it was tried sooner than its destination asked for, and found it still away.

    That happens where time passes faster (`--speed`), while a destination's own time, such as the
    lease of a worker that died, does not. Such an attempt uses up no retry.
    """
    return answer.status == _UNAVAILABLE and now < message.asked_until


def _is_last(message: Message, answer: Answer) -> bool:
    stop = (answer.header("Upstash-Nonretryable-Error") or "").strip().lower() == "true"
    return message.retried >= message.options.retries or (answer.status == _STOP_STATUS and stop)


def _fail(outcome: Outcome, message: Message, answer: Answer, now: int, *, report: bool) -> None:
    dlq_id = f"{now}-{message.seq}"
    _finish(outcome.batch, message, FAILED, now)
    log(outcome.batch, message, "FAILED", now)
    outcome.batch.dead_letters.append(
        (dlq_id, message.seq, now, answer.error, answer.status, *_stored(answer))
    )
    if message.options.failure_callback and report:
        target = message.options.failure_callback
        outcome.callbacks.append(callback_message(message, target, answer, dlq_id=dlq_id))


def _finish(batch: Batch, message: Message, state: int, now: int) -> None:
    batch.states.append((state, message.retried, now, message.seq))


def _stored(answer: Answer) -> tuple[str, bytes]:
    return json.dumps(answer.headers), answer.body
