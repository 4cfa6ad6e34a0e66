"""What an option may be: whatever QStash would refuse is refused before anything is recorded."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.db import db
from app.jobs import FlowControl, enqueue
from app.jobs.errors import InvalidOption
from app.local_qstash.errors import ApiError
from app.local_qstash.protocol.expressions import compile_retry_delay
from tests.support.rows import Rows

NOTHING = {"action": "none"}
HUGE = 10**5000

WRONG: list[dict[str, Any]] = [
    {"retries": 101}, {"retries": HUGE}, {"retries": True}, {"retries": 1.5},
    {"retry_delay": "(((("}, {"retry_delay": "1 +"}, {"retry_delay": "pow(1)"},
    {"retry_delay": "\uff11000"}, {"retry_delay": "1" * 600}, {"retry_delay": "-" * 50 + "1"},
    {"delay": HUGE}, {"delay": "9" * 5000 + "d"}, {"delay": timedelta(days=366)},
    {"delay": "\u0661m"}, {"delay": float("nan")},
    {"timeout": 315_360_000}, {"timeout": "3h"}, {"timeout": HUGE},
    {"not_before": HUGE}, {"not_before": -HUGE}, {"not_before": 1_795_889_124_000},
    {"not_before": True}, {"not_before": datetime.now(UTC) + timedelta(days=400)},
    {"label": ""}, {"label": []}, {"label": ["a", ""]}, {"label": "x" * 300},
    {"label": ["x" * 200] * 50},
    {"headers": {"Host": "x"}}, {"headers": {"Upstash-Signature": "x"}},
    {"headers": {"X": "y" * 5000}}, {"headers": {f"X-{n}": "y" for n in range(60)}},
    {"headers": {"X\r\nY": "z"}}, {"headers": {"X": "\u00e4"}},
    {"headers": {f"X-{n}": "y" * 4000 for n in range(6)}},
    {"callback": "http://127.0.0.1/" + "x" * 2048}, {"callback": "http://127.0.0.1/a b"},
    {"queue": "x" * 300}, {"queue": ""}, {"queue": "\uff51"},
    {"flow_control": FlowControl(key="a b", rate=1)},
    {"flow_control": FlowControl(key="", rate=1)},
    {"flow_control": FlowControl(key="a", rate=0)},
    {"flow_control": FlowControl(key="a", rate=1, period=HUGE)},
    {"flow_control": FlowControl(key="a", rate=2**31)},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda case: next(iter(case)))
def test_fault_D18_R19_what_qstash_would_refuse_is_not_recorded(
    app: Flask, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidOption, match=rf"^{next(iter(wrong))}[.:]") as caught:
        enqueue("sample", NOTHING, **wrong)

    assert len(str(caught.value)) < 250
    assert db.session.scalar(db.text("SELECT count(*) FROM job_executions")) == 0


@pytest.mark.parametrize(
    "text",
    ["1000", "1000 * (1 + retried)", "pow(2, retried) * 1000", "max(1000, min(5, .5e3))",
     "-retried % 7", "(1", "1)", "retried()", "min()", "1..2", "x", "1 2", "2**3", ""],
)  # fmt: skip
def test_fault_D18_an_expression_is_good_if_the_local_server_takes_it(
    app: Flask, text: str
) -> None:
    try:
        compile_retry_delay(text)
        is_good = True
    except ApiError:
        is_good = False

    try:
        enqueue("sample", NOTHING, retry_delay=text)
        taken = True
    except InvalidOption:
        taken = False

    assert taken == is_good


def test_fault_A23_not_before_may_be_what_qstashs_own_sdk_takes(rows: Rows) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)

    job_id = enqueue("sample", NOTHING, not_before=int(at.timestamp()))

    assert rows[job_id].available_at == at


@pytest.mark.parametrize("delay", ["\u00b2", "9" * 5000, "\uff11"])
def test_fault_D18_a_delay_on_the_command_line_is_named(cli: FlaskCliRunner, delay: str) -> None:
    result = cli.invoke(
        args=["jobs", "enqueue", "sample", '{"action": "none"}', f"--delay={delay}"]
    )

    assert result.exit_code in {1, 2}
    assert "delay: " in result.output
    assert "Traceback" not in result.output


def test_an_owner_of_thousands_of_digits_is_named(app: Flask) -> None:
    with pytest.raises(InvalidOption, match="user_id: a number of thousands of digits is not"):
        enqueue("sample", NOTHING, user_id=HUGE)


@pytest.mark.parametrize("key", ["\x00", "\udc00", "x" * 256, ""])
def test_an_idempotency_key_that_cannot_be_stored_is_named(app: Flask, key: str) -> None:
    with pytest.raises(InvalidOption, match="idempotency_key: "):
        enqueue("sample", NOTHING, idempotency_key=key)
