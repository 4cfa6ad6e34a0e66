"""Messages published by the clock; at this speed a minute takes a tenth of a second."""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from qstash import QStash

from app.local_qstash.cron import next_fire
from app.local_qstash.testing import LocalQStash

from .destination import Destination, Reply, eventually

EVERY_MINUTE = "* * * * *"


@pytest.fixture
def server() -> Iterator[LocalQStash]:
    with LocalQStash(speed=600) as running:
        yield running


def test_every_firing_is_a_message_of_its_own(client: QStash, destination: Destination) -> None:
    schedule_id = client.schedule.create(
        destination=destination.url, cron=EVERY_MINUTE, body="tick", headers={"X-A": "1"}
    )
    first, second = destination.wait(2)
    assert first.body == second.body == b"tick"
    assert first.headers["x-a"] == "1"
    assert first.headers["upstash-schedule-id"] == schedule_id
    assert first.headers["upstash-message-id"] != second.headers["upstash-message-id"]


def test_the_state_of_the_last_firing_is_shown(client: QStash, destination: Destination) -> None:
    destination.replies["/"] = Reply(500)
    schedule_id = client.schedule.create(
        destination=f"{destination.url}/", cron=EVERY_MINUTE, retries=0
    )
    eventually(lambda: _last_states(client, schedule_id) == {"FAIL"})
    assert client.schedule.get(schedule_id).last_schedule_time


def _last_states(client: QStash, schedule_id: str) -> set[str]:
    states = client.schedule.get(schedule_id).last_schedule_states or {}
    return {state.value for state in states.values()}


def test_a_paused_schedule_skips_its_firings(client: QStash, destination: Destination) -> None:
    paused = client.schedule.create(destination=f"{destination.url}/paused", cron=EVERY_MINUTE)
    client.schedule.pause(paused)
    before = len(destination.at("/paused"))
    client.schedule.create(destination=f"{destination.url}/running", cron=EVERY_MINUTE)
    destination.wait(3, "/running")
    assert len(destination.at("/paused")) == before
    client.schedule.resume(paused)
    destination.wait(before + 1, "/paused")


def test_a_schedule_delivers_to_a_group_through_a_queue(
    client: QStash, destination: Destination
) -> None:
    client.queue.upsert("q", parallelism=4)
    client.url_group.upsert_endpoints("g", [{"url": f"{destination.url}/{n}"} for n in "ab"])
    client.schedule.create(destination="g", cron=EVERY_MINUTE, queue="q")
    destination.wait(1, "/a")
    destination.wait(1, "/b")
    assert client.queue.get("q").parallelism == 4


def test_a_schedule_whose_group_is_gone_says_so(
    client: QStash, http: httpx.Client, destination: Destination
) -> None:
    client.url_group.upsert_endpoints("g", [{"url": destination.url}])
    schedule_id = client.schedule.create(destination="g", cron=EVERY_MINUTE)
    client.url_group.delete("g")
    shown = eventually(lambda: http.get(f"/v2/schedules/{schedule_id}").json().get("error"))
    assert "invalid destination url" in shown


def test_the_documented_post_pauses_as_the_sdks_patch_does(http: httpx.Client) -> None:
    headers = {"Upstash-Cron": EVERY_MINUTE, "Upstash-Schedule-Id": "mine"}
    http.post("/v2/schedules/http://127.0.0.1:1/pause", headers=headers)
    assert http.get("/v2/schedules/mine").json()["destination"] == "http://127.0.0.1:1/pause"
    assert http.post("/v2/schedules/mine/pause").status_code == 200
    assert http.get("/v2/schedules/mine").json()["isPaused"] is True


def _next(cron: str, after: str) -> str:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp() * 1000
    return datetime.fromtimestamp(next_fire(cron, int(moment)) / 1000, UTC).isoformat()[:16]


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
    ],
)
def test_cron_is_read_in_its_own_time_zone(cron: str, expected: str) -> None:
    assert _next(cron, "2026-03-28T12:00:00") == expected
