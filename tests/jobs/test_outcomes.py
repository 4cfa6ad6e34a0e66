"""What a handler may return or raise by mistake: each is an outcome, recorded and answered."""

import asyncio
import dataclasses
import enum
import json
import logging
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from marshmallow import fields
from sqlalchemy import text

from app.db import db
from app.jobs import InvalidOption, Job, JobBlueprint, PayloadSchema, PermanentError, RetryLater
from app.jobs.events import Delivered, Ended, Event, Executing, Started, observe
from app.jobs.execute import raised
from app.jobs.outcome import LABELS, Answer, Outcome
from app.jobs.values.jsonb import MAX_TEXT_BYTES
from tests.support.qstash import deliver, envelope
from tests.support.rows import row_of

bp = JobBlueprint("mistaken", __name__)
scripts: list[Callable[[], Any]] = []
checks: list[Callable[[], Any]] = []


@dataclasses.dataclass(frozen=True, slots=True)
class Nothing:
    text: str = ""


def run_check(_: str) -> None:
    if checks:
        checks.pop()()


class NothingSchema(PayloadSchema[Nothing]):
    model = Nothing

    text = fields.String(load_default="", validate=run_check)


@bp.job("mistaken", "/mistaken", payload=NothingSchema, retries=2, timeout=10)
def mistaken(payload: Nothing, job: Job) -> Any:
    return scripts.pop()()


@pytest.fixture(autouse=True)
def _registered(app: Flask) -> None:
    app.register_blueprint(bp)
    scripts.clear()
    checks.clear()


def act(client: FlaskClient, script: Callable[[], Any], **headers: str) -> Any:
    """Deliver a job that does this; return the answer and its row."""
    scripts.append(script)
    job = envelope({}, job_type="mistaken")
    answer = deliver(client, job, "/api/jobs/mistaken", **headers)
    return answer, row_of(job)


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def script() -> NoReturn:
        raise error

    return script


#: Not written out below, where tracebacks show the line.
SECRET = "hunter2-secret"


def later(delay: Any) -> NoReturn:
    raise RetryLater(delay)


class OwnBaseException(BaseException):
    pass


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        SystemExit(4),
        SystemExit(),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        OwnBaseException("x"),
        BaseExceptionGroup("both", [SystemExit(3), ValueError("y")]),
        Mute(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_fault_K1_R6_D2_A6_whatever_a_handler_raises_is_a_failure_like_any_other(
    client: FlaskClient, error: BaseException
) -> None:
    answer, row = act(client, raising(error))

    assert (answer.status_code, row.status, row.dead_at) == (500, "failed", None)
    assert row.error.startswith(f"{type(error).__name__}: ")
    assert row.attempts[-1]["outcome"] == "failed"
    assert "in script" in row.attempts[-1]["traceback"]


def test_fault_K1_a_validator_that_exits_fails_the_attempt(client: FlaskClient) -> None:
    job = envelope({"text": "x"}, job_type="mistaken")
    checks.append(raising(SystemExit(3)))

    answer = deliver(client, job, "/api/jobs/mistaken")

    assert answer.status_code == 500
    assert (row_of(job).status, row_of(job).error) == ("failed", "SystemExit: 3")


def test_fault_K1_a_bug_in_a_validator_is_recorded_with_its_traceback(client: FlaskClient) -> None:
    job = envelope({"text": "x"}, job_type="mistaken")
    checks.append(raising(ZeroDivisionError("oops")))

    answer = deliver(client, job, "/api/jobs/mistaken")

    assert answer.status_code == 500
    assert "run_check" in row_of(job).attempts[0]["traceback"]


def test_fault_K1_an_observer_that_exits_disturbs_nothing(app: Flask, client: FlaskClient) -> None:
    observe(app, lambda _: sys.exit(3))

    answer, row = act(client, dict)

    assert (answer.status_code, row.status) == (200, "completed")


def test_fault_K1_a_job_run_by_hand_says_what_it_raised(cli: FlaskCliRunner) -> None:
    scripts.append(raising(SystemExit(3)))

    done = cli.invoke(args=["jobs", "run", "mistaken", "{}"])

    assert (done.exit_code, "SystemExit: 3" in done.output) == (1, True)


def test_fault_K1_no_view_ends_the_process(app: Flask, client: FlaskClient) -> None:
    @app.get("/exits")
    def exits() -> NoReturn:
        sys.exit(4)

    @app.get("/exits-late")
    def exits_late() -> Any:
        def parts() -> Any:
            yield b"a"
            sys.exit(4)

        return parts()

    app.testing = False
    assert client.get("/exits").status_code == 500
    with pytest.raises(RuntimeError, match="broke off"):
        _ = client.get("/exits-late").data


@dataclasses.dataclass
class Sum:
    total: Decimal
    at: datetime


class Colour(enum.Enum):
    RED = "red"


def test_fault_A10_R22_a_result_may_hold_what_has_a_usual_form_in_json(client: FlaskClient) -> None:
    now, an_id = datetime(2026, 1, 2, 3, 4, tzinfo=UTC), uuid.uuid4()
    result = {
        "at": now,
        "on": date(2026, 1, 2),
        "took": timedelta(seconds=90),
        "sum": Decimal("1.10"),
        "id": an_id,
        "each": [Sum(Decimal(2), now)],
        "colour": Colour.RED,
        1: "one",
        None: "none",
    }

    answer, row = act(client, lambda: result)

    assert (answer.status_code, row.status) == (200, "completed")
    assert row.result == answer.json["result"]
    assert row.result == {
        "at": "2026-01-02T03:04:00+00:00",
        "on": "2026-01-02",
        "took": 90.0,
        "sum": "1.10",
        "id": str(an_id),
        "each": [{"total": "2", "at": "2026-01-02T03:04:00+00:00"}],
        "colour": "red",
        "1": "one",
        "null": "none",
    }


def test_fault_A10_a_dataclass_is_a_result(client: FlaskClient) -> None:
    _, row = act(client, lambda: Sum(Decimal(1), datetime(2026, 1, 2, tzinfo=UTC)))

    assert row.result == {"total": "1", "at": "2026-01-02T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("delay", "seconds"), [("20s", 20), ("1m30s", 90), (timedelta(minutes=2), 120), (0.5, 0.5)]
)
def test_fault_A10_D4_a_delay_is_seconds_a_timedelta_or_a_duration(
    client: FlaskClient, delay: Any, seconds: float
) -> None:
    _, row = act(client, lambda: later(delay))

    assert RetryLater(delay).delay == seconds
    assert row.status == "pending"
    assert row.error == f"asked to run again in {seconds:g} s"


@pytest.mark.parametrize(
    "delay", [-5, float("inf"), float("nan"), 1e15, "soon", "5", "", None, True, [1], object()]
)
def test_fault_A10_D4_R22_any_other_delay_is_refused_where_it_is_given(
    client: FlaskClient, delay: Any
) -> None:
    with pytest.raises(InvalidOption, match="RetryLater"):
        RetryLater(delay)

    answer, row = act(client, lambda: later(delay))

    assert (answer.status_code, row.status) == (500, "failed")
    assert row.error.startswith("InvalidOption: RetryLater: ")


@pytest.mark.parametrize(
    ("asked", "header"),
    [
        (7, "7"),
        ("5", "5"),
        (timedelta(minutes=1), "60"),
        (1e18, "86400"),
        (-3, "0"),
        (float("nan"), None),
        (float("inf"), None),
        ("soon", None),
        ([1], None),
        (object(), None),
        (True, None),
    ],
)
def test_fault_D4_R22_whatever_retry_after_is_there_is_an_answer(
    client: FlaskClient, asked: Any, header: str | None
) -> None:
    error = ValueError("later")
    error.retry_after = asked  # type: ignore[attr-defined]

    answer, row = act(client, raising(error))

    assert (answer.status_code, row.status) == (500, "failed")
    assert answer.headers.get("Retry-After") == header


def test_fault_R22_what_cannot_be_recorded_is_recorded_as_a_failure(client: FlaskClient) -> None:
    class Own(RetryLater):
        def __init__(self) -> None:
            self.delay = "soon"  # type: ignore[assignment]

    answer, row = act(client, raising(Own()))

    assert (answer.status_code, row.status) == (500, "failed")
    assert row.error


@pytest.mark.parametrize(
    "text", ["e" * 3_000_000, "\U0001f600" * 1_000_000, "\x00\ud800" * 500_000]
)
def test_fault_K15_an_error_is_bounded_in_the_row_the_attempts_and_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    _, row = act(client, raising(ValueError(text)))

    assert 1000 < len(row.error.encode()) <= MAX_TEXT_BYTES
    assert len(json.dumps(row.attempts).encode()) < 8 * MAX_TEXT_BYTES
    assert "in script" in row.attempts[0]["traceback"]
    formatter = logging.Formatter()
    lines = [formatter.format(record) for record in caplog.records]
    assert max(map(len, lines)) < 4 * MAX_TEXT_BYTES
    said = [str(record.__dict__.get("error", "")) for record in caplog.records]
    assert max(map(len, said)) <= MAX_TEXT_BYTES


@pytest.mark.parametrize("kind", [RetryLater, PermanentError])
def test_fault_K15_so_are_reasons(client: FlaskClient, kind: Any) -> None:
    args = (5, "e" * 1_000_000) if kind is RetryLater else ("e" * 1_000_000,)

    _, row = act(client, raising(kind(*args)))

    assert len(row.error) <= MAX_TEXT_BYTES


def test_fault_K15_so_is_what_a_refused_payload_is_told(client: FlaskClient) -> None:
    job = envelope({"text": ["x"], "e" * 200_000: 1}, job_type="mistaken")

    deliver(client, job, "/api/jobs/mistaken")

    with db.engine.connect() as connection:
        longest = connection.scalar(text("SELECT max(length(error)) FROM job_executions"))
    assert longest is None or longest <= MAX_TEXT_BYTES


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO effects (id, job_id, note) VALUES (1, 'a', :secret), (1, 'b', :secret)",
        "INSERT INTO effects (id, job_id, note) VALUES (2, NULL, :secret)",
        "SELECT CAST(:secret AS int)",
        "SELECT no_such_column, :secret",
    ],
)
def test_fault_R20_errors_of_the_database_quote_no_values(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, statement: str
) -> None:
    caplog.set_level(logging.DEBUG)

    _, row = act(client, lambda: db.session.execute(text(statement), {"secret": SECRET}))

    assert row.status == "failed"
    kept = json.dumps([row.error, row.attempts])
    assert SECRET not in kept
    formatter = logging.Formatter()
    for record in caplog.records:
        assert SECRET not in formatter.format(record)


def test_fault_A11_the_log_has_the_exception_and_its_traceback(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    error = ValueError("seen")

    act(client, raising(error))

    [record] = [each for each in caplog.records if "processing failed" in each.message]
    assert record.exc_info
    assert record.exc_info[1] is error


def test_fault_A11_observers_get_the_exception(app: Flask, client: FlaskClient) -> None:
    seen: list[Event] = []
    observe(app, seen.append)
    error = SystemExit(2)

    act(client, raising(error))

    steps = [event.step for event in seen if isinstance(event, Ended)]
    [step] = [step for step in steps if isinstance(step, Executing)]
    assert (step.error, step.exception) == ("SystemExit", error)
    assert Started(step) in seen


def test_fault_R22_settings_of_a_handler_end_with_it(client: FlaskClient) -> None:
    def script() -> None:
        db.session.execute(text("SET statement_timeout = 1"))
        db.session.execute(text("SET search_path = pg_catalog"))
        db.session.execute(text("SELECT pg_advisory_lock(1)"))
        db.session.execute(text("CREATE TEMP TABLE job_executions (x int)"))

    act(client, script)

    for _ in range(3):
        answer, _ = act(client, lambda: db.session.execute(text("SELECT pg_sleep(0.05)")) and None)
        assert answer.status_code == 200


@pytest.mark.parametrize("statement", ["SELECT CAST('x' AS int)", "SELECT 1 / 0", "SELECT nope()"])
def test_fault_D3_an_error_in_sql_is_the_jobs_failure_and_no_outage(
    client: FlaskClient, statement: str
) -> None:
    answer, row = act(client, lambda: db.session.execute(text(statement)))

    assert (answer.status_code, row.status) == (500, "failed")
    assert statement in row.attempts[0]["traceback"]


def test_a_new_outcome_is_one_class_and_one_statement(
    app: Flask,
    client: FlaskClient,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As CONTRIBUTING says; the rest follows from them."""
    labels = dict(LABELS)

    @dataclasses.dataclass(frozen=True)
    class Parked(Outcome):
        label = "parked"
        event = "[jobs] Job parked"
        logged = kept = ("why",)
        statement = text(
            "UPDATE job_executions SET status = 'cancelled', error = :why,"
            " attempts = attempts || CAST(:attempt AS jsonb), lease_token = NULL"
            " WHERE job_id = :job_id AND lease_token = :token RETURNING status"
        )

        why: str = "no room"

        def answer(self) -> Answer:
            return Answer(202, {"parked": self.why})

    seen: list[Event] = []
    observe(app, seen.append)
    monkeypatch.setattr(raised, "outcome_of", lambda *_: Parked())
    job = envelope({"action": "fail"})
    with caplog.at_level(logging.INFO):
        answer = deliver(client, job)

    assert "parked" in LABELS
    LABELS.clear()
    LABELS.update(labels)
    assert (answer.status_code, answer.json) == (202, {"parked": "no room"})
    row = row_of(job)
    assert (row.status, row.error) == ("cancelled", "no room")
    kept = row.attempts[-1]
    assert (kept["outcome"], kept["status"], kept["why"]) == ("parked", 202, "no room")
    line = next(one for one in caplog.records if one.message == "[jobs] Job parked")
    assert (line.__dict__["jobId"], line.__dict__["why"]) == (job["jobId"], "no room")
    assert [one.outcome for one in seen if isinstance(one, Delivered)] == ["parked"]
