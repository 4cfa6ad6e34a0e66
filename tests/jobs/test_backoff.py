"""The wait before a retry: declared on a job type or asked for at enqueue, evaluated by QStash."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from qstash import QStash

from app.jobs import InvalidOption, JobBlueprint, enqueue, get_job_config
from app.jobs.errors import DiscoveryError
from app.jobs.values.backoff import RetryDelay, expression
from app.local_qstash.protocol.expressions import retry_delay_ms
from tests.support.rows import Rows
from tests.support.sample_jobs import SampleSchema


def declare(app: Flask, job_type: str, retry_delay: RetryDelay, **options: Any) -> None:
    bp = JobBlueprint(job_type, __name__)
    decorate = bp.job(
        job_type, f"/{job_type}", payload=SampleSchema, retry_delay=retry_delay, **options
    )
    decorate(lambda _, __: None)
    app.register_blueprint(bp)


def waits(text: str, count: int = 6) -> list[float]:
    """What QStash makes of an expression, in seconds, for each retry."""
    return [retry_delay_ms(text, retried) / 1000 for retried in range(count)]


@pytest.mark.parametrize(
    ("delay_after", "expected"),
    [
        (lambda _: 5, [5, 5, 5, 5, 5, 5]),
        (lambda attempt: 2**attempt, [2, 4, 8, 16, 32, 32]),
        (lambda attempt: timedelta(minutes=attempt), [60, 120, 180, 240, 300, 300]),
        (lambda attempt: [1, 30, 30, 5, 0.25][attempt - 1], [1, 30, 30, 5, 0.25, 0.25]),
        (lambda _: 0, [0] * 6),
        (lambda attempt: 10.0**attempt, [10, 100, 1000, 10000, 86400, 86400]),
    ],
)
def test_a_function_of_the_attempt_becomes_what_qstash_evaluates(
    delay_after: Callable[[int], float | timedelta], expected: list[float]
) -> None:
    assert waits(expression(delay_after, 5)) == expected


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1000", 1000),
        (" 1000 * (1 + retried) ", 2000),
        ("1e3 * pow(2, retried)", 2000),
        ("min(0.5e4, max(1, 2, 3) % 7) / -2", 0),  # a negative delay is none
        ("floor(sqrt(abs(-retried))) + ceil(exp(1)) - round(+2.6)", 1),
    ],
)
def test_whatever_qstash_evaluates_is_taken_as_it_is(text: str, milliseconds: float) -> None:
    assert expression(text, 3) == text
    assert retry_delay_ms(text, 1) == milliseconds


def test_a_job_type_declares_its_backoff_and_enqueue_may_say_otherwise(
    app: Flask, qstash: QStash, rows: Rows
) -> None:
    declare(app, "backs-off", "1000 * pow(3, retried)")

    declared = rows[enqueue("backs-off", {"action": "x"})]
    asked = rows[enqueue("backs-off", {"action": "x"}, retry_delay="500")]

    assert (declared.options["retry_delay"], asked.options["retry_delay"]) == (
        "1000 * pow(3, retried)",
        "500",
    )
    for row in (declared, asked):
        message = qstash.message.get(row.message_id or "")
        assert message.retry_delay_expression == row.options["retry_delay"]


def test_a_function_is_asked_for_as_many_retries_as_the_job_has(app: Flask, rows: Rows) -> None:
    declare(app, "backs-off", lambda attempt: attempt, retries=2)

    few = rows[enqueue("backs-off", {"action": "x"})].options
    many = rows[enqueue("backs-off", {"action": "x"}, retries=4)].options

    assert waits(few["retry_delay"], 4) == [1, 2, 2, 2]
    assert waits(many["retry_delay"], 4) == [1, 2, 3, 4]
    assert get_job_config("backs-off").retries == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("soon", r"'soon' is not an expression that QStash accepts: numbers, \+ - \* / %"),
        ("1000 * retries", "not an expression"),
        ("open(1)", "not an expression"),
        ("1000 *", "not an expression"),
        ("", "not a line of printable ASCII"),
        ("retried if retried else 1", "not an expression"),
        ("min(1, key=2)", "not an expression"),
        ("'5s'", "not an expression"),
        ("pow(2)", "not an expression"),
        ("sqrt(retried, 2)", "not an expression"),
        ("min()", "not an expression"),
        ("(1)(2)", "not an expression"),
        ("0x10", "not an expression"),
        ("1_000", "not an expression"),
        ("2j", "not an expression"),
        ("2 ** retried", "not an expression"),
        ("[1, 2]", "not an expression"),
        ("1+" * 300 + "1", "601 characters, and QStash should get 500 at most"),
        (lambda _: -1, "-1 after attempt 1 is not a time from now on; give 0 or more seconds"),
        (lambda _: "5x", "'5x' after attempt 1 is not a duration"),
        (lambda _: float("nan"), "nan after attempt 1 is not a time"),
        (lambda _: None, "None after attempt 1 is not a duration"),
        (lambda attempt: [1][attempt - 1], "the function fails for attempt 2: IndexError"),
        (lambda: 1, "the function fails for attempt 1: TypeError"),
    ],
)
def test_what_is_no_backoff_is_refused_where_it_is_declared(
    app: Flask, given: Any, said: str
) -> None:
    with pytest.raises(DiscoveryError, match=f"job type 'backs-off' .*: retry_delay: .*{said}"):
        declare(app, "backs-off", given)


@pytest.mark.parametrize("given", ["soon", -5, lambda _: -1])
def test_what_is_no_backoff_is_refused_at_enqueue(app: Flask, given: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^retry_delay: "):
        enqueue("sample", {"action": "x"}, retry_delay=given)


def test_a_function_that_never_settles_is_told_to_write_an_expression(app: Flask) -> None:
    with pytest.raises(InvalidOption, match="let the wait change less often"):
        enqueue("sample", {"action": "x"}, retries=100, retry_delay=lambda attempt: attempt)
