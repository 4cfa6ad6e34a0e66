"""What survives a restart, and state files that cannot be used."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from qstash import QStash

from app.local_qstash.errors import StateFileError
from app.local_qstash.settings import Limits
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, Reply
from tests.support.publishing import connect
from tests.support.waiting import wait_until


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "qstash.sqlite3"


@contextmanager
def running(state: Path, *, speed: float = 1, limits: Limits | None = None) -> Iterator[QStash]:
    with (
        LocalQStash(state=state, speed=speed, limits=limits) as server,
        connect(server.url) as client,
    ):
        yield client


def test_a_delayed_message_is_delivered_after_a_restart(
    state: Path, destination: HttpServer
) -> None:
    body = "x" * 100_000
    with running(state) as client:
        sent = client.message.publish(
            url=f"{destination.url}/?a=%20", body=body, headers={"X-A": "a"}, delay="1s"
        )
    assert destination.received == []
    with running(state):
        [got] = destination.wait()
    assert (got.path, got.body.decode(), got.headers["x-a"]) == ("/?a=%20", body, "a")
    assert got.headers["upstash-message-id"] == sent.message_id  # type: ignore[union-attr]


def test_a_retry_keeps_its_count_over_a_restart(state: Path, destination: HttpServer) -> None:
    destination.replies["/"] = Reply(500)
    with running(state) as client:
        sent = client.message.publish(url=f"{destination.url}/", retries=1, retry_delay="1000")
        wanted = {"message_id": sent.message_id}  # type: ignore[union-attr]
        wait_until(lambda: len(client.log.list(filter=wanted).logs) == 4)  # type: ignore[arg-type]
    with running(state) as client:
        wait_until(lambda: client.dlq.list().messages)
    assert [got.headers["upstash-retried"] for got in destination.received] == ["0", "1"]


def test_everything_that_was_configured_is_still_there(state: Path) -> None:
    with running(state) as client:
        client.queue.upsert("q", parallelism=5, paused=True)
        client.url_group.upsert_endpoints("g", [{"url": "http://a.test", "name": "n"}])
        client.schedule.create(destination="http://a.test", cron="0 0 1 1 *", schedule_id="s")
        client.schedule.pause("s")
        client.flow_control.pin("k", {"rate": 3, "period": 9})
        client.message.publish(
            url="http://127.0.0.1:1", deduplication_id="d", delay="1d", label="kept"
        )
        everything = _shown(client)
    with running(state) as client:
        assert _shown(client) == everything
        again = client.message.publish(url="http://127.0.0.1:1", deduplication_id="d")
        assert again.deduplicated  # type: ignore[union-attr]


def _shown(client: QStash) -> list[object]:
    key = client.flow_control.get("k")
    return [
        client.queue.list(),
        client.url_group.list(),
        client.schedule.list(),
        (key.rate_max, key.rate_period, key.is_pinned_rate),
        client.log.list().logs,
    ]


def test_a_queue_keeps_its_order_over_a_restart(state: Path, destination: HttpServer) -> None:
    destination.replies["/0"] = [Reply(500)]
    with running(state) as client:
        for number in range(4):
            client.message.enqueue(queue="q", url=f"{destination.url}/{number}", retry_delay="1000")
        destination.wait()
    with running(state):
        got = destination.wait(5)
    assert [one.path for one in got] == ["/0", "/0", "/1", "/2", "/3"]


def test_stopping_lets_an_attempt_in_flight_end(state: Path, destination: HttpServer) -> None:
    held = threading.Event()
    destination.replies["/"] = Reply(hold=held)
    with running(state) as client:
        client.message.publish(url=f"{destination.url}/")
        destination.wait()
        threading.Timer(0.2, held.set).start()
    with running(state) as client:
        assert _count(client, "DELIVERED") == 1
    assert len(destination.received) == 1


def test_what_was_cancelled_stays_cancelled(state: Path, destination: HttpServer) -> None:
    with running(state) as client:
        client.message.publish(url=f"{destination.url}/cancelled", delay="1s")
        client.message.cancel_all()
        client.message.publish(url=f"{destination.url}/kept", delay="1s")
    with running(state) as client:
        destination.wait(1, "/kept")
        wait_until(lambda: "CANCELED" in [log.state.value for log in client.log.list().logs])
    assert not destination.at("/cancelled")


def test_rotated_keys_are_forgotten_so_that_configured_clients_go_on(state: Path) -> None:
    with running(state) as client:
        before = client.signing_key.get()
        client.signing_key.rotate()
    with running(state) as client:
        assert client.signing_key.get() == before


def _not_sqlite(path: Path) -> None:
    path.write_bytes(b"This is a text file, and it is long enough to be looked at." * 20)


def _someone_elses(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")


def _newer(path: Path) -> None:
    with LocalQStash(state=path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def _damaged(path: Path) -> None:
    with running(path) as client:
        for _ in range(50):
            client.message.publish(url="http://127.0.0.1:1", body="b" * 3000, delay="1d")
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\xff" * (40960 - 8192)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (_not_sqlite, "not a database"),
        (_someone_elses, "another program's SQLite file"),
        (_newer, "newer version"),
        (_damaged, "damaged"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_left_as_it_was(
    state: Path, make: object, word: str
) -> None:
    state.parent.mkdir()
    make(state)  # type: ignore[operator]
    before = state.read_bytes()
    with pytest.raises(StateFileError, match=word) as raised, LocalQStash(state=state):
        pass
    assert str(state) in str(raised.value)
    assert state.read_bytes() == before


def test_a_file_in_use_by_another_server_is_refused(state: Path) -> None:
    with running(state) as client:
        with pytest.raises(StateFileError, match="in use by another server"), running(state):
            pass
        assert client.queue.list() == []


@pytest.mark.parametrize(
    "limits",
    [Limits(retained_messages=3), Limits(retention_seconds=0), Limits(retained_bytes=0)],
)
def test_finished_messages_are_pruned_by_count_age_and_size_but_never_waiting_ones(
    state: Path, destination: HttpServer, limits: Limits
) -> None:
    kept = 3 if limits.retained_messages == 3 else 0
    with ExitStack() as stack:
        server = stack.enter_context(LocalQStash(state=state, limits=limits))
        client = stack.enter_context(connect(server.url))
        waiting = client.message.publish(url=destination.url, delay="1d")
        for _ in range(10):
            client.message.publish(url=destination.url)
        wait_until(lambda: _count(client, "DELIVERED") == 10)
        _prune(server)
        assert _count(client, "DELIVERED") == kept
        assert client.message.get(waiting.message_id)  # type: ignore[union-attr]


def _count(client: QStash, state: str) -> int:
    return sum(log.state.value == state for log in client.log.list().logs)


def _prune(server: LocalQStash) -> None:
    pruning = server.server.services.janitor.prune()
    asyncio.run_coroutine_threadsafe(pruning, server._loop).result(10)
