"""The arithmetic of Upstash-Retry-Delay."""

import pytest

from app.local_qstash.errors import ApiError
from app.local_qstash.protocol.expressions import DAY_MS, compile_retry_delay, retry_delay_ms


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("1000", [1000, 1000]),
        ("1000*(1+retried)", [1000, 2000, 3000]),
        ("pow(2, retried) * 1e3", [1000, 2000, 4000]),
        ("max(10, pow(2, retried))", [10, 10, 10, 10, 16]),
        ("min(5, 3, 4) + max(7)", [10]),
        ("2 + 3 * 4 - 6 / 3", [12]),
        ("10 - 4 - 3", [3]),
        ("-(-7 % 4)", [3]),
        ("--5", [5]),
        ("sqrt(abs(-16)) + floor(1.9) + ceil(.1) + round(2.6)", [9]),
        ("exp(0)", [1]),
        ("-5", [0]),
        ("1e300 * 1e300", [DAY_MS]),
        ("1 / retried", [DAY_MS, 1]),
        ("exp(99999)", [DAY_MS]),
        ("sqrt(-1)", [DAY_MS]),
    ],
)
def test_an_expression_gives_milliseconds_between_none_and_a_day(
    expression: str, values: list[float]
) -> None:
    assert [retry_delay_ms(expression, retried) for retried in range(len(values))] == values


@pytest.mark.parametrize(
    "expression",
    ["", " ", "1 +", "* 2", "(1", "1)", "1 2", "foo", "foo(1)", "pow(1)", "abs()", "retried()",
     "1..2", "0x10", "retried.real", "a=1", "min(1,)",
     "(" * 100 + "1" + ")" * 100, "1+" * 300 + "1",
     "-" * 100 + "1", "__class__", "'a'", "1;2"],
)  # fmt: skip
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(ApiError, match="invalid expression"):
        compile_retry_delay(expression)
