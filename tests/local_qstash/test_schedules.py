"""Messages published by the clock; at this speed a minute takes a tenth of a second."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from qstash import QStash

from app.local_qstash.protocol.cron import next_fire
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

EVERY_MINUTE = "* * * * *"


@pytest.fixture
def server() -> Iterator[LocalQStash]:
    with LocalQStash(speed=600) as running:
        yield running


def test_every_firing_is_a_message_of_its_own(client: QStash, destination: HttpServer) -> None:
    schedule_id = client.schedule.create(
        destination=destination.url, cron=EVERY_MINUTE, body="tick", headers={"X-A": "1"}
    )
    first, second = destination.wait(2)
    assert first.body == second.body == b"tick"
    assert first.headers["x-a"] == "1"
    assert first.headers["upstash-schedule-id"] == schedule_id
    assert first.headers["upstash-message-id"] != second.headers["upstash-message-id"]


def test_the_state_of_the_last_firing_is_shown(client: QStash, destination: HttpServer) -> None:
    destination.replies["/"] = Reply(500)
    schedule_id = client.schedule.create(
        destination=f"{destination.url}/", cron=EVERY_MINUTE, retries=0
    )
    wait_until(lambda: _last_states(client, schedule_id) == {"FAIL"})
    assert client.schedule.get(schedule_id).last_schedule_time


def _last_states(client: QStash, schedule_id: str) -> set[str]:
    states = client.schedule.get(schedule_id).last_schedule_states or {}
    return {state.value for state in states.values()}


def test_a_paused_schedule_skips_its_firings(
    server: LocalQStash, client: QStash, destination: HttpServer
) -> None:
    paused = client.schedule.create(destination=f"{destination.url}/paused", cron=EVERY_MINUTE)
    client.schedule.pause(paused)
    wait_until(lambda: server.server.services.engine.messages == {})  # one that came before
    before = len(destination.at("/paused"))
    client.schedule.create(destination=f"{destination.url}/running", cron=EVERY_MINUTE)
    destination.wait(3, "/running")
    assert len(destination.at("/paused")) == before
    client.schedule.resume(paused)
    destination.wait(before + 1, "/paused")


def test_a_schedule_delivers_to_a_group_through_a_queue(
    client: QStash, destination: HttpServer
) -> None:
    client.queue.upsert("q", parallelism=4)
    client.url_group.upsert_endpoints("g", [{"url": f"{destination.url}/{n}"} for n in "ab"])
    client.schedule.create(destination="g", cron=EVERY_MINUTE, queue="q")
    destination.wait(1, "/a")
    destination.wait(1, "/b")
    assert client.queue.get("q").parallelism == 4


def test_a_schedule_whose_group_is_gone_says_so(
    client: QStash, http: httpx.Client, destination: HttpServer
) -> None:
    client.url_group.upsert_endpoints("g", [{"url": destination.url}])
    schedule_id = client.schedule.create(destination="g", cron=EVERY_MINUTE)
    client.url_group.delete("g")
    shown = wait_until(lambda: http.get(f"/v2/schedules/{schedule_id}").json().get("error"))
    assert "invalid destination url" in shown


def test_the_documented_post_pauses_as_the_sdks_patch_does(http: httpx.Client) -> None:
    headers = {"Upstash-Cron": EVERY_MINUTE, "Upstash-Schedule-Id": "mine"}
    http.post("/v2/schedules/http://127.0.0.1:1/pause", headers=headers)
    assert http.get("/v2/schedules/mine").json()["destination"] == "http://127.0.0.1:1/pause"
    assert http.post("/v2/schedules/mine/pause").status_code == 200
    assert http.get("/v2/schedules/mine").json()["isPaused"] is True


def _next(cron: str, after: str) -> str:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp() * 1000
    following = next_fire(cron, int(moment))
    assert following is not None
    return datetime.fromtimestamp(following / 1000, UTC).isoformat()[:16]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("*/15 * * * *", "2026-03-28T12:15"),
        ("0 9 * * MON", "2026-03-30T09:00"),
        ("0 0 1 JAN *", "2027-01-01T00:00"),
        ("0 0 ? * 0", "2026-03-29T00:00"),
        ("CRON_TZ=Asia/Tokyo 0 9 * * *", "2026-03-29T00:00"),
        ("TZ=America/New_York 0 12 * * *", "2026-03-28T16:00"),
        # Clocks in Paris go from 2 to 3 that night: nine there is seven, no longer eight.
        ("CRON_TZ=Europe/Paris 0 9 29 3 *", "2026-03-29T07:00"),
        # Half past two is skipped that night.
        ("CRON_TZ=Europe/Paris 30 2 * * *", "2026-03-30T00:30"),
        # Odd days and Mondays: */2 is no *.
        ("0 0 */2 * 1", "2026-03-29T00:00"),
        ("@hourly", "2026-03-28T13:00"),
    ],
)
def test_cron_is_read_in_its_own_time_zone(cron: str, expected: str) -> None:
    assert _next(cron, "2026-03-28T12:00:00") == expected


SUMMER_ENDS = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # in Berlin's hour that comes twice


def test_fault_A7_in_the_hour_that_comes_twice_a_schedule_fires_ahead() -> None:
    assert _next("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-25T00:10:00") == "2026-10-25T00:30"
    assert _next("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-25T00:30:00") == "2026-10-25T01:30"
    assert _next("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-25T01:10:00") == "2026-10-25T01:30"
    assert _next("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-25T01:30:00") == "2026-10-26T01:30"


def test_fault_A7_a_server_started_in_that_hour_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: HttpServer
) -> None:
    state = tmp_path / "state.sqlite3"
    headers = {"Authorization": f"Bearer {LocalQStash.token}", "Upstash-Schedule-Id": "it"}
    headers |= {"Upstash-Cron": "CRON_TZ=Europe/Berlin */10 2 * * *"}
    with LocalQStash(state=state) as server:
        httpx.post(f"{server.url}/v2/schedules/{destination.url}", headers=headers)
    begin = time.time_ns()
    moment = int(SUMMER_ENDS.timestamp()) * 10**9
    monkeypatch.setattr(
        "app.local_qstash.clock.Clock.now",
        lambda _self: (moment + time.time_ns() - begin) // 1_000_000,
    )
    with LocalQStash(state=state, speed=600) as server:
        destination.wait(3)  # at 02:20, 02:30 and 02:40 of the second time
        found = httpx.get(f"{server.url}/v2/schedules/it", headers=headers, timeout=10).json()
    assert found["nextScheduleTime"] > SUMMER_ENDS.timestamp() * 1000


@pytest.mark.parametrize("cron", ["0 0 31 2 *", ", * * * *", "CRON_TZ=UTC 0 0 31 4,6 *"])
def test_fault_A8_what_never_fires_is_refused(http: httpx.Client, cron: str) -> None:
    answer = http.post("/v2/schedules/http://127.0.0.1:1", headers={"Upstash-Cron": cron})
    assert answer.status_code == 400
    assert "it does not fire within the next five years" in answer.json()["error"]


def test_fault_A8_every_so_often_counts_from_the_firing_before(
    http: httpx.Client, destination: HttpServer
) -> None:
    headers = {"Upstash-Cron": "@every 30s", "Upstash-Schedule-Id": "it"}
    assert http.post(f"/v2/schedules/{destination.url}", headers=headers).status_code == 200
    destination.wait(3)
    assert http.get("/schedules").status_code == 200


def test_fault_A8_a_schedule_that_an_older_version_took_does_not_stop_the_server(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state.sqlite3"
    headers = {"Authorization": f"Bearer {LocalQStash.token}"}
    with LocalQStash(state=state) as server:
        created = {"Upstash-Cron": "* * * * *", "Upstash-Schedule-Id": "old"}
        httpx.post(f"{server.url}/v2/schedules/http://127.0.0.1:1", headers=headers | created)
    with closing(sqlite3.connect(state)) as connection, connection:
        connection.execute("UPDATE schedules SET cron = '0 0 * * 6-1'")
    with LocalQStash(state=state) as server:
        shown = httpx.get(f"{server.url}/v2/schedules/old", headers=headers).json()
        assert httpx.get(f"{server.url}/schedules").status_code == 200
    assert "Bad day-of-week" in shown["error"]
    assert "nextScheduleTime" not in shown
