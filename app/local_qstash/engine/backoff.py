"""How long to wait before the next attempt."""

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from time import time

from ..protocol.durations import parse_go_duration
from ..protocol.expressions import retry_delay_ms
from .message import Message
from .transport import Answer

_DAY = 86_400.0
_WAIT_HEADERS = (
    "Retry-After",
    "X-Ratelimit-Reset",
    "X-Ratelimit-Reset-Requests",
    "X-Ratelimit-Reset-Tokens",
)


def seconds_until_retry(message: Message, answer: Answer) -> float:
    """Return the wait after a failed attempt.

    What the destination asks for comes first, then the publisher's expression, then QStash's
    own e^(2.5 n) seconds for the n-th retry, at most a day.
    """
    asked = seconds_asked(answer)
    if asked is not None:
        return asked
    if message.options.retry_delay is not None:
        return retry_delay_ms(message.options.retry_delay, message.retried) / 1000
    return min(_DAY, math.exp(min(2.5 * (message.retried + 1), 12)))


def seconds_asked(answer: Answer) -> float | None:
    """Return the wait that a destination asks for; None if it asks for none, or for over a day."""
    text = next((value for name in _WAIT_HEADERS if (value := answer.header(name))), None)
    seconds = None if text is None else _seconds(text.strip())
    return seconds if seconds is not None and 0 <= seconds <= _DAY else None


def _seconds(text: str) -> float | None:
    if text.isascii() and text.isdigit():
        return float(text)
    if (duration := parse_go_duration(text)) is not None:
        return duration
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - time())
    except (ValueError, OverflowError):
        return None
