"""A wrong argument is refused in a sentence that names it and the fix; nothing is recorded."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from qstash import QStash
from sqlalchemy import select

from app.db import db
from app.jobs import (
    BatchRefused,
    DiscoveryError,
    InvalidOption,
    JobBlueprint,
    Unique,
    UnknownJobType,
    UpdateRefused,
    batch,
    batch_of,
    batch_status_url,
    chain,
    create_job_execution,
    enqueue,
    enqueue_many,
    pause,
    paused,
    periodic,
    resume,
    schedule,
    signature,
    workflow,
    workflow_of,
)
from app.jobs.operate import Filter, list_jobs, schedules
from app.jobs.table.firing_models import JobSchedule
from tests.support.publishing import publishing
from tests.support.rows import count_rows
from tests.support.sample_jobs import Sample, SampleSchema

GOOD = {"action": "none"}
NO_TEXTS = [None, 5, 1.5, True, b"sample", ["sample"], {"a": 1}, UUID(int=1)]


def nightly(cron: Any = "@daily", **options: Any) -> None:
    bp = JobBlueprint("clock", __name__)
    periodic(cron, GOOD, **options)(
        bp.job("nightly", "/nightly", payload=SampleSchema)(lambda *_: None)
    )


@pytest.mark.parametrize("given", NO_TEXTS)
@pytest.mark.parametrize(
    "call",
    [
        lambda given: enqueue(given, GOOD),
        lambda given: enqueue_many(given, [GOOD]),
        lambda given: schedule(given, "@daily", GOOD),
        lambda given: chain(signature(given, GOOD)),
    ],
)
def test_a_job_type_that_is_no_text_is_unknown(
    app: Flask, call: Callable[[Any], object], given: Any
) -> None:
    with publishing(app), pytest.raises(UnknownJobType, match="is not the name of a job type"):
        call(given)

    assert count_rows() == 0


@pytest.mark.parametrize("given", [None, 5, "ab", b"ab", GOOD, {}, "", Sample("none")])
def test_one_payload_is_not_taken_for_many(app: Flask, given: Any) -> None:
    with publishing(app), pytest.raises(InvalidOption, match=r"^payloads: .* is not a list; write"):
        enqueue_many("sample", given)

    assert count_rows() == 0


@pytest.mark.parametrize("given", [None, signature("sample", GOOD), "", {}])
def test_one_signature_is_not_taken_for_many(app: Flask, given: Any) -> None:
    with publishing(app), pytest.raises(InvalidOption, match=r"^signatures: .* is not a list"):  # noqa: SIM117 - the block is what raises
        with batch("some") as made:
            made.enqueue_many(given)


@pytest.mark.parametrize("given", [None, 5, "job", {"batch_id": "x"}])
@pytest.mark.parametrize("function", [batch_of, workflow_of])
def test_what_is_no_running_job_has_no_batch(function: Callable[[Any], object], given: Any) -> None:
    with pytest.raises(BatchRefused, match=r"_of takes the job that a handler is called with, not"):
        function(given)


@pytest.mark.parametrize("given", [None, 5, b"x", UUID(int=1), timedelta(1)])
def test_what_is_no_batchs_id_has_no_link(app: Flask, given: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^batch_id: .* is not the id of a batch"):
        batch_status_url(given)


@pytest.mark.parametrize("given", [False, 0, "", [], ()])
def test_what_matches_a_signal_is_a_dict(app: Flask, given: Any) -> None:
    with workflow("some") as made, pytest.raises(BatchRefused, match=r"^match: .* is not a dict"):
        made.wait_for("paid", match=given, timeout="1d")


@pytest.mark.parametrize("given", [5, True, {"running": 1}, "pending", datetime.now(UTC)])
def test_the_states_of_a_unique_job_are_a_tuple(given: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^unique: while_: .* is no tuple of states"):
        Unique(while_=given)


@pytest.mark.parametrize("given", ["", " ", "\t"])
def test_a_blank_label_is_none(app: Flask, given: str) -> None:
    with publishing(app), pytest.raises(InvalidOption, match=r"^label: "):
        enqueue("sample", GOOD, label=given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cron": None}, "cron: None is not a text"),
        ({"cron": ["0 3 * * *"]}, "cron: ['0 3 * * *'] is not a text"),
        ({"cron": b"@daily"}, "cron: b'@daily' is not a text"),
        ({"timezone": 2}, "timezone: 2 is not a name; write 'Europe/Berlin'"),
        ({"timezone": UTC}, "timezone: datetime.timezone.utc is not a name"),
        ({"tags": False}, "tags: False is not a list of tags"),
        ({"tags": ""}, "tags: '' is not a list of tags"),
        ({"expires": 10**30}, "is more than a year; leave it out"),
        ({"expires": timedelta.max}, "is more than a year; leave it out"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(
    app: Flask, qstash: QStash, options: dict[str, Any], said: str
) -> None:
    given = {"cron": "@daily", **options}
    with pytest.raises(DiscoveryError) as declared:
        nightly(**given)
    assert said in str(declared.value)
    with pytest.raises(InvalidOption) as refused:
        schedule("sample", given.pop("cron"), GOOD, **given)
    assert said in str(refused.value)

    assert qstash.schedule.list() == []
    db.session.rollback()
    assert db.session.scalars(select(JobSchedule)).all() == []


@pytest.mark.parametrize("given", ["a b", "a/b", "ä", "", " ", "a\n", "x" * 257, 5, b"x", ["x"]])
def test_an_id_that_qstash_would_refuse_is_refused_at_once(
    app: Flask, qstash: QStash, given: Any
) -> None:
    with pytest.raises(InvalidOption, match=r"^schedule_id: .* is not 1 to 256 letters, digits"):
        schedule("sample", "@daily", GOOD, schedule_id=given)

    assert qstash.schedule.list() == []


def test_an_id_that_qstash_takes_is_taken(app: Flask, qstash: QStash) -> None:
    longest = "Digest_of-7." * 21 + "only"
    assert len(longest) == 256

    assert schedule("sample", "@daily", GOOD, schedule_id=longest) == longest


def test_an_id_that_a_sync_would_delete_is_refused(app: Flask, qstash: QStash) -> None:
    with pytest.raises(
        InvalidOption, match=r"^schedule_id: 'code\.mine' begins like those of the co"
    ):
        schedule("sample", "@daily", GOOD, schedule_id="code.mine")


def test_the_command_refuses_such_an_id(cli: FlaskCliRunner, qstash: QStash) -> None:
    given = ["sample", "@daily", '{"action": "none"}', "--id", "every day"]
    done = cli.invoke(args=["jobs", "schedules", "create", *given])

    assert done.exit_code == 2
    assert "schedule_id: 'every day' is not 1 to 256 letters" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("given", ["every day", "a/b", "ä", " ", "x" * 101, None, 5, ["x"]])
def test_a_name_that_qstash_would_refuse_is_refused_where_it_is_declared(given: Any) -> None:
    with pytest.raises(DiscoveryError, match=r"^`@periodic.*: name: .* is not 1 to 100 letters"):
        nightly(name=given)


@pytest.mark.usefixtures("only_maintenance")
def test_a_declared_schedule_does_not_take_the_place_of_the_sweeps(
    app: Flask, qstash: QStash
) -> None:
    bp = JobBlueprint("clock", __name__)
    job = bp.job("jobs-maintenance", "/jobs-maintenance", payload=SampleSchema)
    periodic("@daily", GOOD)(job(lambda *_: None))
    app.register_blueprint(bp)

    with pytest.raises(InvalidOption, match=r"two schedules are called 'code\.jobs-maintenance'"):
        schedules.plan()


@pytest.mark.parametrize("given", [True, False, 1, "production", [len]])
def test_what_cannot_be_asked_whether_there_is_a_schedule_is_refused(given: Any) -> None:
    with pytest.raises(DiscoveryError, match=r"^`@periodic.*: when: .* write it as a function"):
        nightly(when=given)


@pytest.mark.parametrize("kind", ["type", "queue", "key"])
@pytest.mark.parametrize("given", [None, 5, b"mail", ["mail"], "a\0b"])
def test_what_is_no_name_is_not_paused(app: Flask, kind: str, given: Any) -> None:
    with pytest.raises(InvalidOption, match=f"^name: .* is not the name of a {kind}"):
        pause(kind, given, reason="why", by="me")
    with pytest.raises(InvalidOption, match=f"^name: .* is not the name of a {kind}"):
        resume(kind, given, by="me")

    assert paused() == []


@pytest.mark.parametrize("given", [None, 5, b"me"])
def test_who_pauses_and_why_are_texts(app: Flask, given: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^reason: .* is not a text"):
        pause("queue", "mail", reason=given, by="me")
    with pytest.raises(InvalidOption, match=r"^by: .* is not a text"):
        pause("queue", "mail", reason="why", by=given)
    with pytest.raises(InvalidOption, match=r"^by: .* is not a text"):
        resume("queue", "mail", by=given)


@pytest.mark.parametrize("spelled", [7, "7", "007"])
def test_an_organization_is_resumed_however_its_id_is_spelled(app: Flask, spelled: Any) -> None:
    pause("organization", spelled, reason="why", by="me")

    assert [one.pause.name for one in paused()] == ["7"]
    assert resume("organization", spelled, by="me").pause.name == "7"


@pytest.mark.parametrize("field", ["created_at", "started_at", "completed_at", "updated_at"])
@pytest.mark.parametrize(
    "given",
    [
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.fromisoformat("0001-01-01T00:00+14:00"),
        datetime.fromisoformat("9999-12-31T23:00-12:00"),
    ],
)
def test_a_moment_that_could_not_be_read_again_is_not_written(
    app: Flask, field: str, given: datetime
) -> None:
    row = {"job_id": "one", "job_type": "sample", "payload": {}}
    with pytest.raises(UpdateRefused, match=f"^{field}: .* at the edge of the calendar"):
        create_job_execution(row | {field: given})

    assert count_rows() == 0


@pytest.mark.parametrize("text", ["\0", "a\0b", "\udcff"])
@pytest.mark.parametrize(
    "command",
    [
        *(["list", option] for option in ("--type", "--error", "--message-id", "--schedule")),
        *([action, "--yes", "--error"] for action in ("retry", "cancel", "delete")),
        ["retry", "--yes", "--type"],
        ["dlq", "retry"],
        ["dlq", "list", "--type"],
    ],
)
def test_bytes_that_are_no_text_are_no_stack_trace(
    cli: FlaskCliRunner, qstash: QStash, command: list[str], text: str
) -> None:
    done = cli.invoke(args=["jobs", *command, text])

    assert isinstance(done.exception, SystemExit | None), done.exception


@pytest.mark.parametrize(
    "command", [["usage", "--since"], ["reconcile", "--grace"], ["list", "--newer-than"]]
)
@pytest.mark.parametrize("time", ["9" * 40, "99999999999999d"])
def test_a_time_before_all_calendars_is_refused(
    cli: FlaskCliRunner, qstash: QStash, command: list[str], time: str
) -> None:
    done = cli.invoke(args=["jobs", *command, time])

    assert done.exit_code == 2
    assert "the time is more than a hundred years; give less" in done.stderr


def test_an_error_that_had_no_text_is_found_by_what_it_was(app: Flask) -> None:
    create_job_execution(
        {"job_id": "one", "job_type": "sample", "payload": {}, "error": "a bad \0 day"}
    )

    assert [one.job_id for one in list_jobs(Filter(error="bad \0 day")).jobs] == ["one"]
