"""`flask qstash next`: when an expression fires, from the code that the server fires by."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.local_qstash.cli import qstash


def _next(*args: str) -> Result:
    return CliRunner().invoke(qstash, ["next", *args])


def test_fault_A8_next_says_when_an_expression_fires_in_its_own_time_zone() -> None:
    result = _next(
        "CRON_TZ=Europe/Berlin 30 2 * * *", "--after", "2026-10-24T18:00Z", "--count", "3"
    )
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "At 02:30 every day (Europe/Berlin)",
        "Sun 2026-10-25 02:30:00 CEST",
        "Sun 2026-10-25 02:30:00 CET",
        "Mon 2026-10-26 02:30:00 CET",
    ]


@pytest.mark.parametrize(
    "after", ["2026-10-24T18:00Z", "2026-10-24T20:00+02:00", "2026-10-24T18:00"]
)
def test_fault_A8_next_for_programs_is_in_utc(after: str) -> None:
    cron = "CRON_TZ=Europe/Berlin 30 2 * * *"
    told: dict[str, Any] = json.loads(
        _next(cron, "--after", after, "--count", "2", "--json").stdout
    )
    assert told == {
        "cron": cron,
        "when": "At 02:30 every day",
        "next": ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"],
    }


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["0 9 * * 7"], 1, "Bad day-of-week: end of range (7) above maximum (6)"),
        (["0 0 L * *"], 1, "Bad day-of-month"),
        ([""], 1, "empty spec string"),
        (["0 0 31 2 *"], 1, "does not fire"),
        (["* * * * *", "--after", "tomorrow"], 2, "'tomorrow' is not a time"),
        (["* * * * *", "--after", "0001-01-01T00:00+14:00"], 2, "is not a time"),
        (["* * * * *", "--count", "0"], 2, "--count"),
    ],
)
def test_fault_A8_next_says_what_is_wrong(args: list[str], code: int, words: str) -> None:
    result = _next(*args)
    assert result.exit_code == code
    assert words in result.output
    assert "Traceback" not in result.output


def test_fault_A8_next_at_the_ends_of_the_calendar_is_no_trace() -> None:
    for after in ("0001-01-01T00:00Z", "9999-12-31T23:59Z", "1969-12-31T23:59:30Z"):
        result = _next("CRON_TZ=Asia/Tokyo * * * * *", "--after", after, "--count", "1")
        assert result.exception is None or isinstance(result.exception, SystemExit), after
