"""Schedules declared in code: QStash is made to match, and what others made is left alone."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import pytest
from flask import Flask, current_app
from flask.testing import FlaskClient, FlaskCliRunner
from qstash import QStash
from sqlalchemy import text

from app.db import db
from app.extensions import jobs
from app.jobs import (
    DiscoveryError,
    InvalidOption,
    JobBlueprint,
    JobExecution,
    enqueue,
    schedule,
)
from tests.support.publishing import NOBODY, publishing
from tests.support.qstash import BASE_URL, deliver, envelope
from tests.support.rows import change_row, row_of
from tests.support.sample_jobs import Sample, SampleSchema
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("only_maintenance")

OWN = sha256(BASE_URL.encode()).hexdigest()[:8]
MAINTENANCE = f"code.{OWN}.jobs-maintenance"
Declare = Callable[..., None]


@pytest.fixture
def declare(app: Flask) -> Declare:
    """Declare a schedule of a job type of its own; once per test."""

    def declare(cron: str, payload: Any = None, **options: Any) -> None:
        bp = JobBlueprint("clock", __name__)
        handler = bp.job("nightly", "/nightly", payload=SampleSchema)(lambda *_: None)
        jobs.periodic(cron, payload or {"action": "none"}, **options)(handler)
        app.blueprints.pop("clock", None)
        if "clock.nightly" in app.view_functions:  # declared anew: the code has changed
            app.blueprints["clock"] = bp
        else:
            app.register_blueprint(bp)

    return declare


def sync(cli: FlaskCliRunner, *args: str) -> list[tuple[str, str]]:
    result = cli.invoke(args=["jobs", "schedules", "sync", "--json", *args])
    assert result.exit_code == 0, result.output
    return [(change["action"], change["id"]) for change in json.loads(result.stdout)]


def test_maintenance_is_installed_once(cli: FlaskCliRunner, qstash: QStash) -> None:
    assert sync(cli) == [("create", MAINTENANCE)]
    assert sync(cli) == []

    found = qstash.schedule.get(MAINTENANCE)
    assert found.destination == f"{BASE_URL}/api/jobs/maintenance"
    assert (found.cron, found.retries, found.failure_callback) == ("23 * * * *", 0, None)


def test_a_declared_schedule_is_installed(
    cli: FlaskCliRunner, qstash: QStash, declare: Declare
) -> None:
    declare("0 3 * * *", Sample("none"), timezone="Europe/Berlin", retries=1, name="late")

    assert ("create", f"code.{OWN}.nightly.late") in sync(cli)

    found = qstash.schedule.get(f"code.{OWN}.nightly.late")
    assert (found.cron, found.retries) == ("CRON_TZ=Europe/Berlin 0 3 * * *", 1)
    assert json.loads(found.body or "")["payload"] == {"action": "none", "count": 0}
    assert "tags" not in json.loads(found.body or "")["metadata"]
    assert sync(cli) == []


def test_a_declared_schedules_tags_are_those_of_its_jobs(
    cli: FlaskCliRunner, qstash: QStash, declare: Declare, client: FlaskClient
) -> None:
    name = f"code.{OWN}.nightly"
    declare("0 3 * * *")
    sync(cli)
    declare("0 3 * * *", tags=["night"])

    assert ("update", name) in sync(cli)

    sent = json.loads(qstash.schedule.get(name).body or "")
    deliver(client, sent, "/api/jobs/nightly", upstash_schedule_id=name)
    assert db.session.query(JobExecution).one().tags == ["night"]
    assert sync(cli) == []


def test_tags_that_cannot_be_are_refused(app: Flask, qstash: QStash, declare: Declare) -> None:
    with pytest.raises(InvalidOption, match="tags: 'a b' is not a tag"):
        schedule("sample", "0 3 * * *", {"action": "none"}, tags=["a b"])
    with pytest.raises(DiscoveryError, match="tags: 'a b' is not a tag"):
        declare("0 3 * * *", tags=["a b"])


@pytest.mark.parametrize("tags", [{"x": 1}, "night", ["a b"], 7, [["x"]]])
def test_what_another_producer_calls_tags_is_left_alone(
    app: Flask, client: FlaskClient, tags: Any
) -> None:
    body = envelope({"action": "none"})
    body["metadata"]["tags"] = tags

    assert deliver(client, body).status_code == 200
    assert db.session.query(JobExecution).one().tags is None


def test_only_what_differs_is_changed(
    cli: FlaskCliRunner, qstash: QStash, declare: Declare
) -> None:
    declare("0 3 * * *")
    sync(cli)

    declare("0 3 * * *", {"action": "echo"})
    assert sync(cli) == [("update", f"code.{OWN}.nightly")]
    declare("0 4 * * *", {"action": "echo"})
    assert sync(cli) == [("update", f"code.{OWN}.nightly")]
    assert qstash.schedule.get(f"code.{OWN}.nightly").cron == "0 4 * * *"


def test_a_rule_that_differs_is_a_difference(
    cli: FlaskCliRunner, qstash: QStash, declare: Declare
) -> None:
    declare("0 3 * * *")
    sync(cli)

    for rules in (
        {"overlap": "skip"},
        {"overlap": "queue"},
        {"jitter": "30s"},
        {"catch_up": "all"},
    ):
        declare("0 3 * * *", **rules)
        drift = cli.invoke(args=["jobs", "doctor", "--only", "schedules"]).stdout
        assert f"differ from the code: update  code.{OWN}.nightly" in drift
        assert sync(cli) == [("update", f"code.{OWN}.nightly")]
        assert sync(cli) == []
    body = json.loads(qstash.schedule.get(f"code.{OWN}.nightly").body or "")
    assert body["metadata"]["scheduleRules"] == {"id": f"code.{OWN}.nightly", "catchUp": "all"}


def test_a_rule_that_cannot_hold_is_refused_where_it_stands(declare: Declare) -> None:
    with pytest.raises(DiscoveryError, match="overlap: 'never' is none; known: allow, skip, queue"):
        declare("0 3 * * *", overlap="never")
    with pytest.raises(DiscoveryError, match="jitter: QStash's queues know no delay"):
        declare("0 3 * * *", jitter="30s", queue="mail")


def test_what_the_code_no_longer_declares_is_deleted(
    app: Flask, cli: FlaskCliRunner, qstash: QStash, declare: Declare
) -> None:
    declare("0 3 * * *")
    sync(cli)
    del app.blueprints["clock"]

    assert sync(cli) == [("delete", f"code.{OWN}.nightly")]
    assert [found.schedule_id for found in qstash.schedule.list()] == [MAINTENANCE]


def test_schedules_from_elsewhere_are_left_alone(cli: FlaskCliRunner, qstash: QStash) -> None:
    by_hand = schedule("sample", "0 3 * * *", {"action": "none"}, schedule_id="by-hand")
    another = "https://another.example/api/jobs/sample"
    qstash.schedule.create(destination=another, cron="0 3 * * *", schedule_id="code.another")

    sync(cli)

    left = {found.schedule_id for found in qstash.schedule.list()}
    assert left == {by_hand, "code.another", MAINTENANCE}


def test_a_dry_run_changes_nothing(cli: FlaskCliRunner, qstash: QStash) -> None:
    assert sync(cli, "--dry-run") == [("create", MAINTENANCE)]
    assert qstash.schedule.list() == []


def test_what_is_changed_is_said(cli: FlaskCliRunner, qstash: QStash) -> None:
    args = ["jobs", "schedules", "sync"]

    assert cli.invoke(args=args).output == f"create  {MAINTENANCE}  23 * * * *\n"
    assert cli.invoke(args=args).output == "QStash matches the code.\n"


def test_list_shows_what_calls_this_app(cli: FlaskCliRunner, qstash: QStash) -> None:
    assert cli.invoke(args=["jobs", "schedules", "list"]).output.startswith("No schedules.")
    sync(cli)

    shown = json.loads(cli.invoke(args=["jobs", "schedules", "list", "--json"]).output)
    assert [(one["id"], one["state"], one["from_code"]) for one in shown] == [
        (MAINTENANCE, "active", True)
    ]
    assert MAINTENANCE in cli.invoke(args=["jobs", "schedules", "list"]).output


def test_list_says_which_job_type_each_runs(
    cli: FlaskCliRunner, qstash: QStash, declare: Declare
) -> None:
    declare("0 3 * * *")
    sync(cli)

    listed = json.loads(cli.invoke(args=["jobs", "schedules", "list", "--json"]).output)
    lines = cli.invoke(args=["jobs", "schedules", "list"]).output.splitlines()

    assert {one["id"]: one["type"] for one in listed} == {
        f"code.{OWN}.nightly": "nightly",
        MAINTENANCE: None,
    }
    assert lines[0].split() == ["ID", "TYPE", "STATE", "CRON"]
    assert [line.split()[:3] for line in lines if "nightly" in line] == [
        [f"code.{OWN}.nightly", "nightly", "active"]
    ]


@pytest.mark.parametrize("command", ["list", "sync"])
def test_qstash_away_is_one_line(cli: FlaskCliRunner, command: str) -> None:
    result = cli.invoke(args=["jobs", "schedules", command])

    assert result.exit_code == 2
    assert "cannot be reached" in result.stderr


def test_a_bad_cron_is_refused_where_it_stands() -> None:
    with pytest.raises(DiscoveryError, match="cron: bad hour"):
        jobs.periodic("0 30 * * *")


def test_two_schedules_of_one_name_are_refused(
    cli: FlaskCliRunner, app: Flask, qstash: QStash, declare: Declare
) -> None:
    declare("0 3 * * *")
    bp = app.blueprints["clock"]
    assert isinstance(bp, JobBlueprint)
    jobs.periodic("0 4 * * *", {"action": "none"})(bp.job_types[0])

    result = cli.invoke(args=["jobs", "schedules", "sync"])

    assert result.exit_code == 2
    assert "two schedules are called 'code.nightly'" in result.stderr


def test_the_installed_schedule_sweeps(
    app: Flask, cli: FlaskCliRunner, live_qstash: QStash
) -> None:
    """Through the real server, whose clock runs a thousand times as fast."""
    with publishing(app, QSTASH_URL=NOBODY):
        left_behind = enqueue("sample", {"action": "none"})
    change_row(left_behind, updated_at=text("now() - interval '1 hour'"))

    sync(cli)

    wait_until(lambda: row_of(left_behind).status == "completed", "the job that a sweep publishes")


@pytest.fixture
def elsewhere(app: Flask, qstash: QStash) -> Iterator[Callable[..., FlaskCliRunner]]:
    """Another app on the same account: the same code at another address."""
    opened = ExitStack()

    def made(base_url: str = "https://staging.example.com", namespace: str = "") -> FlaskCliRunner:
        opened.enter_context(publishing(app, BASE_URL=base_url, JOBS_NAMESPACE=namespace))
        return app.test_cli_runner()

    with opened:
        yield made


def test_fault_A2_two_apps_of_one_account_have_schedules_of_their_own(
    cli: FlaskCliRunner, qstash: QStash, elsewhere: Callable[..., FlaskCliRunner]
) -> None:
    sync(cli)
    staging = elsewhere()
    ((action, theirs),) = sync(staging)

    assert (action, sync(staging)) == ("create", [])
    assert (
        elsewhere(BASE_URL)
        .invoke(args=["jobs", "schedules", "sync"])
        .output.startswith("QStash matches")
    )
    called = {one.schedule_id: one.destination for one in qstash.schedule.list()}
    assert called == {
        MAINTENANCE: f"{BASE_URL}/api/jobs/maintenance",
        theirs: "https://staging.example.com/api/jobs/maintenance",
    }


def test_fault_A2_an_id_that_calls_another_address_is_not_taken_over(
    cli: FlaskCliRunner, qstash: QStash, elsewhere: Callable[..., FlaskCliRunner]
) -> None:
    sync(elsewhere(BASE_URL, "shop"))
    moved = elsewhere("https://shop.example.com", "shop")

    refused = moved.invoke(args=["jobs", "schedules", "sync"])

    assert refused.exit_code == 2
    assert "not taken over: code.shop.jobs-maintenance calls https://app.example" in refused.stderr
    found = qstash.schedule.get("code.shop.jobs-maintenance")
    assert found.destination == f"{BASE_URL}/api/jobs/maintenance"
    reconciled = moved.invoke(args=["jobs", "reconcile", "--json"])
    assert [one["mended"] for one in json.loads(reconciled.stdout)] == [False]

    assert moved.invoke(args=["jobs", "schedules", "sync", "--take-over"]).exit_code == 0
    found = qstash.schedule.get("code.shop.jobs-maintenance")
    assert found.destination == "https://shop.example.com/api/jobs/maintenance"


@pytest.mark.parametrize("paused", [True, False])
def test_fault_A2_schedules_of_before_are_moved(
    cli: FlaskCliRunner, qstash: QStash, *, paused: bool
) -> None:
    old = "code.jobs-maintenance"
    url = f"{BASE_URL}/api/jobs/maintenance"
    qstash.schedule.create(destination=url, cron="*/5 * * * *", schedule_id=old)
    if paused:
        qstash.schedule.pause(old)

    assert sync(cli) == [("create", MAINTENANCE), ("delete", old)]

    assert [(one.schedule_id, one.paused) for one in qstash.schedule.list()] == [
        (MAINTENANCE, paused)
    ]


def test_fault_A2_a_schedule_by_hand_does_not_take_over_anothers_id(
    qstash: QStash, elsewhere: Callable[..., FlaskCliRunner]
) -> None:
    good = {"action": "none"}
    schedule("sample", "0 3 * * *", good, schedule_id="nightly")
    assert schedule("sample", "0 4 * * *", good, schedule_id="nightly") == "nightly"
    elsewhere()

    with pytest.raises(InvalidOption, match="schedule_id: 'nightly' belongs to another app"):
        schedule("sample", "0 5 * * *", good, schedule_id="nightly")

    assert qstash.schedule.get("nightly").cron == "0 4 * * *"


def test_fault_A2_the_apps_own_name_may_be_left_out_on_the_command_line(
    cli: FlaskCliRunner, qstash: QStash
) -> None:
    sync(cli)

    for name in ("code.jobs-maintenance", "jobs-maintenance", MAINTENANCE):
        assert cli.invoke(args=["jobs", "schedules", "pause", name]).exit_code == 0, name


@pytest.mark.parametrize(
    ("cron", "reason"),
    [
        ("0 0 L * *", "cron: bad day-of-month"),
        ("0 9 * * 7", "cron: bad day-of-week"),
        ("0 0 31 2 *", "cron: '0 0 31 2 \\*' does not fire within the next five years"),
        ("* * * *", "has 4 fields; it takes five"),
        ("@Daily", "cron: unrecognized descriptor"),
        ("", "has 0 fields"),
    ],
)
def test_fault_A8_K17_what_qstash_refuses_is_refused_where_it_is_declared(
    qstash: QStash, cron: str, reason: str
) -> None:
    for timezone in (None, "Europe/Berlin"):
        if cron:
            with pytest.raises(DiscoveryError, match=reason):
                jobs.periodic(cron, timezone=timezone)
        with pytest.raises(InvalidOption) as refusal:
            schedule("sample", cron, Sample("none"), schedule_id="mine", timezone=timezone)
        assert "the schedule mine of sample" in str(refusal.value)
    assert qstash.schedule.list() == []


@pytest.mark.parametrize(
    "cron", ["@daily", "@every 90m", "0 0 ? * MON", "5/10 * * * *", "1, * * * *"]
)
def test_fault_A8_K17_what_qstash_takes_is_taken_and_foretold(
    cli: FlaskCliRunner, qstash: QStash, declare: Declare, cron: str
) -> None:
    declare(cron, timezone="Europe/Berlin")
    sync(cli)

    result = cli.invoke(args=["jobs", "schedules", "list", "--json"])

    [found] = [one for one in json.loads(result.stdout) if one["id"] == f"code.{OWN}.nightly"]
    assert found["cron"] == f"CRON_TZ=Europe/Berlin {cron}"
    assert len(found["next"]) == 3


def test_fault_A8_K17_the_list_foretells_what_the_server_does(
    cli: FlaskCliRunner, qstash: QStash, declare: Declare
) -> None:
    """Odd days and Mondays: a star with a step restricts, as robfig/cron has it."""
    declare("0 0 */2 * 1")
    sync(cli)

    result = cli.invoke(args=["jobs", "schedules", "list", "--json"])

    [found] = [one for one in json.loads(result.stdout) if one["id"] == f"code.{OWN}.nightly"]
    first = datetime.fromisoformat(found["next"][0])
    at_qstash = qstash.http.request(path=f"/v2/schedules/code.{OWN}.nightly", method="GET")
    assert first.day % 2 == 1 or first.weekday() == 0
    assert found["when"] == "0 0 */2 * 1"  # in words it would be wrong
    assert at_qstash["cron"] == "0 0 */2 * 1"


def test_fault_K17_what_qstash_refuses_all_the_same_names_the_schedule(
    cli: FlaskCliRunner, qstash: QStash, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare("0 3 * * *", name="late")
    bad = "0 9 * * 7"  # as if the check here were behind QStash's own
    job_type = next(
        one for bp in _job_blueprints() for one in bp.job_types if one.type == "nightly"
    )
    monkeypatch.setattr(job_type, "schedules", [replace(job_type.schedules[0], cron=bad)])

    result = cli.invoke(args=["jobs", "schedules", "sync"])

    assert result.exit_code != 0
    assert f"code.{OWN}.nightly.late" in result.stderr
    assert bad in result.stderr
    assert "Traceback" not in result.stderr
    assert f"code.{OWN}.nightly.late" not in {one.schedule_id for one in qstash.schedule.list()}


def _job_blueprints() -> list[JobBlueprint]:
    return [bp for bp in current_app.blueprints.values() if isinstance(bp, JobBlueprint)]
