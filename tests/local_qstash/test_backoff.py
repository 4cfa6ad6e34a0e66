"""How long a failed attempt waits."""

from email.utils import formatdate
from time import time

import pytest

from app.local_qstash.engine.backoff import seconds_until_retry
from app.local_qstash.engine.message import Message
from app.local_qstash.engine.transport import Answer
from app.local_qstash.protocol.options import Options


def _wait(retried: int = 0, *, retry_delay: str | None = None, **headers: str) -> float:
    answer = Answer(500, tuple((name.replace("_", "-"), value) for name, value in headers.items()))
    options = Options(retry_delay=retry_delay)
    return seconds_until_retry(Message("http://x", options, b"", retried=retried), answer)


def test_the_default_is_e_to_the_two_and_a_half_n_at_most_a_day() -> None:
    assert [round(_wait(retried)) for retried in range(6)] == [12, 148, 1808, 22026, 86400, 86400]


def test_the_publishers_expression_replaces_the_default() -> None:
    assert [_wait(retried, retry_delay="1000*(1+retried)") for retried in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("7", 7), ("6m5s", 365), ("250ms", 0.25), ("1h30m", 5400), ("100us", 0.0001)],
)
def test_the_destination_is_heard_before_everybody_else(text: str, seconds: float) -> None:
    assert _wait(retry_delay="1", Retry_After=text) == pytest.approx(seconds)


def test_a_date_is_a_wait_until_then() -> None:
    assert _wait(Retry_After=formatdate(time() + 60, usegmt=True)) == pytest.approx(60, abs=2)
    assert _wait(Retry_After=formatdate(time() - 60, usegmt=True)) == 0


@pytest.mark.parametrize("text", ["soon", "-1", "86401", "25h", "1.5", "", "Mon, 99 Foo"])
def test_what_is_unreadable_or_longer_than_a_day_is_ignored(text: str) -> None:
    assert round(_wait(Retry_After=text)) == 12


def test_the_first_of_the_headers_counts() -> None:
    assert _wait(X_Ratelimit_Reset="9", X_Ratelimit_Reset_Tokens="3") == 9
