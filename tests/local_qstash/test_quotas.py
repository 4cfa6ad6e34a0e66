"""A plan's limits: what is refused, with which answer, and what was counted until then."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from qstash import QStash
from qstash.errors import DailyMessageLimitExceededError, QStashError, RateLimitExceededError

from app.local_qstash.settings import DEVELOPMENT, Limits
from app.local_qstash.testing import LocalQStash
from tests.local_qstash.command import announced, started
from tests.support.http_server import HttpServer, Reply
from tests.support.publishing import connect
from tests.support.waiting import wait_until

Start = Callable[..., tuple[LocalQStash, QStash]]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def run(speed: float = 100, **limits: Any) -> tuple[LocalQStash, QStash]:
            server = stack.enter_context(LocalQStash(speed=speed, limits=Limits(**limits)))
            return server, stack.enter_context(connect(server.url))

        yield run


@contextmanager
def raw(server: LocalQStash) -> Iterator[httpx.Client]:
    token = {"Authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=server.url, headers=token, verify=False) as client:  # noqa: S501 - plain http
        yield client


def until_midnight() -> float:
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - now).total_seconds()


def test_the_day_s_messages_are_used_up_by_publishes_retries_and_callbacks(
    start: Start, destination: HttpServer
) -> None:
    server, client = start(messages_per_day=4)
    destination.replies["/"] = [Reply(500), Reply(200)]
    callback = f"{destination.url}/told"
    client.message.publish(url=f"{destination.url}/", callback=callback)
    destination.wait(2, "/told")
    counted = {"published": 1, "scheduled": 0, "retries": 1, "callbacks": 2}
    assert dict(server.usage.today) == counted

    with pytest.raises(DailyMessageLimitExceededError) as refused:
        client.message.publish(url=destination.url)
    assert (refused.value.limit, refused.value.remaining) == ("4", "0")
    assert int(refused.value.reset or 0) == server.usage.resets_at


def test_a_batch_is_taken_as_far_as_the_day_has_room(start: Start, destination: HttpServer) -> None:
    server, _ = start(messages_per_day=2)
    with raw(server) as http:
        items = [{"destination": destination.url, "body": str(n)} for n in range(3)]
        taken = http.post("/v2/batch", json=items)
        refused = http.post("/v2/batch", json=items)

    assert taken.status_code == 200
    assert ["messageId" in slot for slot in taken.json()] == [True, True, False]
    assert taken.json()[2] == {"error": "quota maxMessagesPerDay exceeded: at most 2"}
    assert (refused.status_code, refused.headers["RateLimit-Limit"]) == (429, "2")
    assert len(destination.wait(2)) == 2


def test_the_next_day_there_is_room_again_and_reading_was_free(
    start: Start, destination: HttpServer
) -> None:
    server, client = start(speed=until_midnight() / 2, messages_per_day=1)
    client.message.publish(url=destination.url)
    with pytest.raises(DailyMessageLimitExceededError):
        client.message.publish(url=destination.url)
    client.log.list()

    wait_until(lambda: server.usage.room, "the next day")
    client.message.publish(url=destination.url)
    assert server.usage.total["published"] == 2


def test_a_schedule_that_finds_the_day_used_up_publishes_nothing(
    start: Start, destination: HttpServer
) -> None:
    server, client = start(speed=200, messages_per_day=1)
    client.message.publish(url=f"{destination.url}/own")
    schedule_id = client.schedule.create(destination=f"{destination.url}/fired", cron="* * * * *")

    def error() -> str | None:
        with raw(server) as http:
            found: str | None = http.get(f"/v2/schedules/{schedule_id}").json().get("error")
            return found

    wait_until(error, "the firing")
    assert error() == "quota maxMessagesPerDay exceeded: at most 1"
    assert [got.path for got in destination.received] == ["/own"]


def test_more_schedules_queues_and_groups_than_the_plan_has_are_412(
    start: Start, destination: HttpServer
) -> None:
    server, client = start(schedules=1, queues=1, url_groups=1)
    client.schedule.create(destination=destination.url, cron="@daily", schedule_id="one")
    client.schedule.create(destination=destination.url, cron="@hourly", schedule_id="one")
    client.queue.upsert("one")
    client.message.enqueue(queue="one", url=destination.url)
    client.url_group.upsert_endpoints("one", [{"url": destination.url}])
    refused: list[Callable[[], Any]] = [
        lambda: client.schedule.create(destination=destination.url, cron="@daily"),
        lambda: client.queue.upsert("two"),
        lambda: client.message.enqueue(queue="two", url=destination.url),
        lambda: client.url_group.upsert_endpoints("two", [{"url": destination.url}]),
    ]
    for request in refused:
        with pytest.raises(QStashError, match=r"status: 412, body: .*quota max\w+ exceeded"):
            request()
    with raw(server) as http:
        items = [{"destination": destination.url, "queue": name} for name in ("two", "one")]
        slots = http.post("/v2/batch", json=items).json()
    assert ["messageId" in slot for slot in slots] == [False, True]


def test_only_requests_that_publish_nothing_are_limited_by_the_second(
    start: Start, destination: HttpServer
) -> None:
    _, client = start(requests_per_second=3)
    for _ in range(20):
        client.message.publish(url=destination.url)

    def list_often() -> None:
        for _ in range(20):
            client.schedule.list()

    with pytest.raises(RateLimitExceededError) as refused:
        list_often()
    assert (refused.value.limit, refused.value.remaining) == ("3", "0")


def test_a_restart_on_the_same_file_does_not_give_the_day_back(
    tmp_path: Path, destination: HttpServer
) -> None:
    limits = Limits(messages_per_day=2)
    for left in (2, 1):
        with LocalQStash(state=tmp_path / "state", limits=limits) as server:
            assert server.usage.room == left
            with connect(server.url) as client:
                client.message.publish(url=destination.url)
            destination.wait(3 - left)


def test_the_command_takes_a_plan_and_tells_what_it_counted(
    tmp_path: Path, destination: HttpServer
) -> None:
    with started("--quota", "free", "--memory", cwd=tmp_path) as process:
        url = announced(process)["QSTASH_URL"]
        with connect(url) as client:
            client.message.publish(url=destination.url)
        token = {"Authorization": f"Bearer {DEVELOPMENT.token}"}
        told = httpx.get(f"{url}/local/usage", headers=token).json()

    assert (told["today"]["published"], told["room"]) == (1, 999)
    assert told["limits"]["schedules"] == 10
