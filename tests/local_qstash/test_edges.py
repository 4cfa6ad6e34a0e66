"""Whatever an attempt brings, its slots are given back; and what else happens at the edges."""

import asyncio
import sqlite3
import threading
import time
from base64 import b64encode
from typing import Any

import httpx
import pytest

from app.local_qstash.clock import Clock
from app.local_qstash.engine import engine as engine_module
from app.local_qstash.engine import outcome
from app.local_qstash.engine.timers import Timers
from app.local_qstash.settings import Limits
from app.local_qstash.store.batch import Batch
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

NEVER = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
SERIAL = {"Upstash-Flow-Control-Key": "k", "Upstash-Flow-Control-Value": "parallelism=1"}


def _get(http: httpx.Client, path: str) -> Any:
    answer = http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _idle(http: httpx.Client) -> bool:
    return _get(http, "/v2/globalParallelism")["parallelismCount"] == 0


@pytest.mark.parametrize(
    "value", [NEVER, "Mon, 01 Jan 0001 00:00:00 +2359", "9" * 5000, "9" * 400 + "h", "\udcff", "²"]
)
@pytest.mark.parametrize("name", ["Retry-After", "X-RateLimit-Reset"])
def test_fault_F2_a_wait_that_cannot_be_read_is_ignored(
    http: httpx.Client, destination: HttpServer, name: str, value: str
) -> None:
    value = value.encode("utf-8", "surrogateescape").decode("latin-1")
    destination.replies["/"] = [Reply(503, headers={name: value})]
    http.post(f"/v2/enqueue/q/{destination.url}/", headers=SERIAL)

    destination.wait(2)  # by the default backoff
    wait_until(lambda: _get(http, "/v2/queues/q")["lag"] == 0)
    assert _get(http, "/v2/flowControl/k")["parallelismCount"] == 0


def test_fault_F2_such_answers_leave_an_origin_its_connections(destination: HttpServer) -> None:
    destination.replies["/bad"] = Reply(503, headers={"Retry-After": NEVER})
    headers = {"Authorization": f"Bearer {LocalQStash.token}", "Upstash-Retries": "0"}
    with LocalQStash(limits=Limits(parallelism_per_origin=3)) as server:
        for path in ("bad", "bad", "bad", "good"):
            url = f"{server.url}/v2/publish/{destination.url}/{path}"
            assert httpx.post(url, headers=headers).status_code == 200
        destination.wait(1, "/good")


@pytest.mark.parametrize("error", [OverflowError, UnicodeError, TypeError, RecursionError])
@pytest.mark.parametrize("status", [200, 500])
def test_fault_F2_whatever_an_outcome_raises_its_slots_are_given_back(
    http: httpx.Client,
    destination: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    status: int,
) -> None:
    """Not by anything that is known to be left; so a fault is put in."""
    failed = threading.Event()

    def conclude(*args: Any, **options: Any) -> Any:
        if not failed.is_set():
            failed.set()
            raise error("put in by the test")
        return outcome.conclude(*args, **options)

    monkeypatch.setattr(engine_module, "conclude", conclude)
    destination.replies["/one"] = [Reply(status)]
    headers = SERIAL | {"Upstash-Callback": f"{destination.url}/told"}
    http.post(f"/v2/enqueue/q/{destination.url}/one", headers=headers)
    http.post(f"/v2/enqueue/q/{destination.url}/two", headers=SERIAL)

    destination.wait(1, "/two")
    assert len(destination.at("/one")) == (1 if status == 200 else 2)
    wait_until(lambda: _get(http, "/v2/queues/q")["lag"] == 0)
    assert _get(http, "/v2/flowControl/k")["parallelismCount"] == 0
    wait_until(lambda: _idle(http))


@pytest.mark.parametrize("error", [OverflowError, UnicodeError])
def test_fault_F2_an_outcome_that_cannot_be_written_gives_its_place_back(
    server: LocalQStash,
    http: httpx.Client,
    destination: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    real, failed = Batch.write_rows, threading.Event()

    def write_rows(batch: Batch, *args: Any) -> None:
        if batch.states and not failed.is_set():
            failed.set()
            raise error("put in by the test")
        real(batch, *args)

    monkeypatch.setattr(Batch, "write_rows", write_rows)
    for path in ("one", "two"):
        http.post(f"/v2/enqueue/q/{destination.url}/{path}")
    destination.wait(1, "/two")
    assert failed.is_set()


def test_fault_F2_a_log_entry_that_cannot_be_written_holds_up_no_other(
    server: LocalQStash, http: httpx.Client
) -> None:
    def spoil() -> None:
        server.server.services.store.soon().events.append((2**70, 0, "", *[None] * 5))

    server._loop.call_soon_threadsafe(spoil)
    http.post("/v2/publish/http://127.0.0.1:1", headers={"Upstash-Retries": "0"})
    wait_until(lambda: _get(http, "/v2/events?state=FAILED")["events"])


def test_fault_F2_a_timer_that_fails_or_comes_at_once_stops_no_other() -> None:
    async def run() -> list[str]:
        timers, seen = Timers(Clock()), []
        done = asyncio.Event()

        def again() -> None:
            seen.append("again")
            timers.at(0, again)

        timers.at(0, lambda: 1 // 0)
        timers.at(0, again)
        timers.at(0, lambda: seen.append("other"))
        timers.at(0, done.set)
        await asyncio.wait_for(done.wait(), 5)
        await asyncio.sleep(0)
        timers.stop()
        return seen

    assert "other" in asyncio.run(run())


@pytest.mark.parametrize("where", ["publish", "batch", "enqueue", "schedules"])
def test_fault_F4_a_workflow_is_refused_with_the_reason(http: httpx.Client, where: str) -> None:
    url = "http://example.com/workflow"
    headers = {"Upstash-Workflow-RunId": "wfr_1", "Upstash-Workflow-Init": "true",
               "Upstash-Cron": "* * * * *"}  # fmt: skip
    if where == "batch":
        item = {"destination": url, "headers": headers}
        answer = http.post("/v2/batch", json=[{"destination": url}, item])
    else:
        answer = http.post(
            f"/v2/{where}/{'q/' if where == 'enqueue' else ''}{url}", headers=headers
        )
    assert answer.status_code == 400
    assert "Upstash Workflow is not part of this server" in answer.json()["error"]
    assert _get(http, "/v2/events")["events"] == []
    assert _get(http, "/v2/schedules") == []


REDACTED = {"Upstash-Redact-Fields": "body, header[X-K]", "Upstash-Forward-X-K": "SECRET-H",
            "Upstash-Callback-Forward-X-K": "SECRET-C"}  # fmt: skip


@pytest.mark.parametrize("kind", ["Callback", "Failure-Callback"])
def test_fault_F6_what_is_redacted_is_hidden_in_callbacks_and_delivered_all_the_same(
    http: httpx.Client, destination: HttpServer, kind: str
) -> None:
    destination.replies["/"] = Reply(500)
    destination.replies["/told"] = Reply(500)
    headers = REDACTED | {f"Upstash-{kind}": f"{destination.url}/told", "Upstash-Retries": "0"}
    http.post(f"/v2/publish/{destination.url}/", headers=headers, content=b"SECRET-B")

    [report] = destination.wait(1, "/told")
    secret = b64encode(b"SECRET-B")
    assert secret in report.body
    assert b"SECRET-H" in report.body
    wait_until(lambda: len(_get(http, "/v2/dlq")["messages"]) == 2)
    for path in ("/v2/events", "/v2/logs", "/v2/dlq", "/dead-letters", "/messages"):
        shown = http.get(path).text
        assert secret.decode() not in shown, path
        assert b64encode(report.body).decode() not in shown, path
        assert "SECRET" not in shown, path
    letter = next(one for one in _get(http, "/v2/dlq")["messages"] if one["url"].endswith("told"))
    assert letter["body"].startswith("REDACTED:")


def _publish_many(http: httpx.Client, number: int, size: int) -> None:
    item = {"destination": "http://127.0.0.1:1", "body": "b" * size,
            "headers": {"Upstash-Delay": "1d"}}  # fmt: skip
    for start in range(0, number, 10):
        http.post("/v2/batch", json=[item] * min(10, number - start))


def test_fault_F7_the_log_list_gives_a_hundred_unless_it_is_asked_for_more(
    http: httpx.Client,
) -> None:
    _publish_many(http, 120, 1)
    first = _get(http, "/v2/events")
    assert len(first["events"]) == 100
    assert "logs" not in first  # the same again would double every body
    assert len(_get(http, f"/v2/events?cursor={first['cursor']}")["events"]) == 20
    assert len(_get(http, "/v2/events?count=1000")["events"]) == 120


@pytest.mark.parametrize(("trim", "length"), [("true", 0), ("false", 50), ("7", 7), ("1000", 50)])
def test_fault_F7_bodies_are_trimmed_on_request(http: httpx.Client, trim: str, length: int) -> None:
    _publish_many(http, 1, 50)
    [event] = _get(http, f"/v2/events?trimBody={trim}")["events"]
    assert event.get("body", "") == b64encode(b"b" * length).decode()
    assert http.get("/v2/events?trimBody=some").status_code == 400


@pytest.mark.parametrize("path", ["events", "dlq"])
def test_fault_F7_a_page_of_large_bodies_ends_early(http: httpx.Client, path: str) -> None:
    item = {"destination": "http://127.0.0.1:1", "body": "b" * 1_500_000,
            "headers": {"Upstash-Retries": "0"}}  # fmt: skip
    for _ in range(6):
        http.post("/v2/batch", json=[item])
    wait_until(lambda: _get(http, "/v2/events?state=FAILED&trimBody=true&count=6")["events"][5:])
    key, seen, cursor = ("events" if path == "events" else "messages"), 0, ""
    while True:
        answer = http.get(f"/v2/{path}?count=100{'&state=CREATED' * (path == 'events')}{cursor}")
        assert len(answer.content) < 10_000_000
        seen += len(answer.json()[key])
        if "cursor" not in answer.json():
            break
        cursor = f"&cursor={answer.json()['cursor']}"
    assert seen == 6


@pytest.mark.parametrize("lane", ["queue", "flow", "origin"])
def test_fault_F7_a_body_that_waits_for_its_turn_is_not_kept_in_memory(
    destination: HttpServer, lane: str
) -> None:
    destination.replies["/"] = Reply(hold=threading.Event())
    headers = {"flow": SERIAL}.get(lane, {})
    path = "/v2/enqueue/q" if lane == "queue" else "/v2/publish"
    with LocalQStash(limits=Limits(parallelism_per_origin=1)) as server:
        for n in range(5):
            answer = httpx.post(
                f"{server.url}{path}/{destination.url}/",
                headers=headers | {"Authorization": f"Bearer {server.token}"},
                content=bytes([n]) * 100_000,
            )
            assert answer.status_code == 200
        destination.wait()
        waiting = [one for one in server.server.services.engine.messages.values()
                   if not one.in_flight]  # fmt: skip
        assert [one.body for one in waiting] == [None] * 4
        destination.replies["/"].hold.set()  # type: ignore[union-attr]
        bodies = [one.body for one in destination.wait(5)]
    assert bodies == [bytes([n]) * 100_000 for n in range(5)]


def test_fault_F8_a_queue_exists_although_its_first_enqueue_failed(
    server: LocalQStash, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = Batch.write_rows, [1, 2]  # once with others, then alone

    def write_rows(batch: Batch, *args: Any) -> None:
        if batch.messages and left:
            left.pop()
            raise sqlite3.OperationalError("put in by the test, as by a full disk")
        real(batch, *args)

    monkeypatch.setattr(Batch, "write_rows", write_rows)
    headers = SERIAL | {"Upstash-Delay": "1d"}
    assert http.post("/v2/enqueue/q/http://127.0.0.1:1", headers=headers).status_code == 500
    assert http.post("/v2/enqueue/q/http://127.0.0.1:1", headers=headers).status_code == 200
    assert _get(http, "/v2/queues/q")["lag"] == 1
    assert [one["name"] for one in _get(http, "/v2/queues")] == ["q"]
    kept = server.server.services.store._connection.execute("SELECT key FROM flow_keys").fetchall()
    assert [row["key"] for row in kept] == ["k"]  # the same thought, of flow-control keys


@pytest.mark.parametrize("size", [8_300, 60_000])
def test_fault_F10_an_answer_with_long_or_many_headers_is_a_delivery(
    http: httpx.Client, destination: HttpServer, size: int
) -> None:
    many = {f"X-{n}": "v" for n in range(300)}
    destination.replies["/"] = [Reply(200, headers={"Content-Security-Policy": "x" * size} | many)]
    http.post(f"/v2/publish/{destination.url}/")
    wait_until(lambda: _get(http, "/v2/events?state=DELIVERED")["events"])
    assert len(destination.received) == 1


def test_fault_F14_the_group_and_its_endpoint_are_two_destinations(
    http: httpx.Client, destination: HttpServer
) -> None:
    headers = {"Upstash-Content-Based-Deduplication": "true"}
    http.post("/v2/topics/g/endpoints", json={"endpoints": [{"url": destination.url}]})
    assert http.post("/v2/publish/g", headers=headers).status_code == 200
    assert http.post(f"/v2/publish/{destination.url}", headers=headers).status_code == 200
    assert http.post("/v2/publish/g", headers=headers).status_code == 202
    assert http.post(f"/v2/enqueue/q/{destination.url}", headers=headers).status_code == 202
    assert len(destination.wait(2)) == 2


def test_fault_F14_the_order_of_headers_does_not_count_but_that_of_one_name_does(
    http: httpx.Client, destination: HttpServer
) -> None:
    def publish(*forwarded: tuple[str, str]) -> int:
        headers = [("Upstash-Content-Based-Deduplication", "true")]
        headers += [(f"Upstash-Forward-{name}", value) for name, value in forwarded]
        return http.post(f"/v2/publish/{destination.url}", headers=headers).status_code

    assert publish(("A", "1"), ("B", "2")) == 200
    assert publish(("B", "2"), ("A", "1")) == 202
    assert publish(("A", "1"), ("A", "2")) == 200
    assert publish(("A", "2"), ("A", "1")) == 200


@pytest.mark.parametrize("path", ["queues/", "events/", "queues/q/", "queues/q/pause/", "dlq/"])
def test_fault_F15_a_trailing_slash_is_taken(http: httpx.Client, path: str) -> None:
    assert http.post("/v2/queues/", json={"queueName": "q"}).status_code == 200
    method = "POST" if "pause" in path else "GET"
    assert http.request(method, f"/v2/{path}").status_code == 200


@pytest.mark.parametrize("where", ["publish", "enqueue/q", "schedules", "batch"])
def test_fault_F17_a_language_model_is_refused_with_the_reason(
    http: httpx.Client, where: str
) -> None:
    if where == "batch":
        error = http.post("/v2/batch", json=[{"destination": "api/llm"}]).json()[0]["error"]
    else:
        headers = {"Upstash-Cron": "* * * * *"} if where == "schedules" else {}
        answer = http.post(f"/v2/{where}/api/llm", headers=headers)
        assert answer.status_code == 400
        error = answer.json()["error"]
    assert "publish to a provider's own URL" in error


def test_fault_A15_a_destination_that_is_away_costs_no_retries_of_a_fast_clock(
    destination: HttpServer,
) -> None:
    """As when a worker died: its lease of two seconds runs in real time, the clock does not."""
    free = time.monotonic() + 2
    with LocalQStash(speed=20) as server:
        destination.replies["/"] = Leased(free)
        httpx.post(
            f"{server.url}/v2/publish/{destination.url}/",
            headers={"Authorization": f"Bearer {server.token}", "Upstash-Retries": "1"},
        )
        last = wait_until(lambda: next(iter(_statuses(server, "DELIVERED,FAILED")), None))
    assert last == "DELIVERED"
    assert {one.headers["upstash-retried"] for one in destination.received} == {"0", "1"}


class Leased(Reply):
    """503 with the seconds left until `free`, then 200."""

    def __init__(self, free: float) -> None:
        super().__init__()
        self._free = free

    @property
    def status(self) -> int:
        return 503 if time.monotonic() < self._free else 200

    @status.setter
    def status(self, value: int) -> None: ...

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(max(1, round(self._free - time.monotonic() + 0.5)))}

    @headers.setter
    def headers(self, value: dict[str, str]) -> None: ...


def _statuses(server: LocalQStash, states: str) -> list[str]:
    headers = {"Authorization": f"Bearer {server.token}"}
    events = httpx.get(f"{server.url}/v2/events?state={states}", headers=headers).json()["events"]
    return [event["state"] for event in events]


def test_fault_A15_at_the_usual_speed_every_answer_costs_a_retry(
    destination: HttpServer, http: httpx.Client
) -> None:
    destination.replies["/"] = Reply(503, headers={"Retry-After": "0"})
    http.post(f"/v2/publish/{destination.url}/", headers={"Upstash-Retries": "2"})
    wait_until(lambda: _get(http, "/v2/dlq")["messages"])
    assert len(destination.received) == 3


@pytest.mark.parametrize("where", ["publish", "enqueue/q", "batch"])
def test_a_cron_on_a_publish_is_refused_rather_than_ignored(http: httpx.Client, where: str) -> None:
    url, headers = "http://example.com", {"Upstash-Cron": "* * * * *"}
    if where == "batch":
        item = {"destination": url, "headers": headers}
        error = http.post("/v2/batch", json=[item]).json()[0]["error"]
    else:
        error = http.post(f"/v2/{where}/{url}", headers=headers).json()["error"]
    assert "/v2/schedules" in error


def test_a_duplicate_of_what_cannot_be_written_is_answered_as_well(
    server: LocalQStash, monkeypatch: pytest.MonkeyPatch, destination: HttpServer
) -> None:
    real_commit, waiting, go = Batch.commit, threading.Event(), threading.Event()

    def commit(batch: Batch, connection: sqlite3.Connection) -> None:
        if batch.messages:
            waiting.set()
            go.wait(10)
            raise sqlite3.OperationalError("put in by the test, as by a full disk")
        real_commit(batch, connection)

    monkeypatch.setattr(Batch, "commit", commit)
    headers = {"Authorization": f"Bearer {server.token}", "Upstash-Deduplication-Id": "one"}
    url, statuses = f"{server.url}/v2/publish/{destination.url}", []

    def publish() -> None:
        statuses.append(httpx.post(url, headers=headers).status_code)

    threads = [threading.Thread(target=publish) for _ in range(2)]
    threads[0].start()
    assert waiting.wait(10)
    threads[1].start()
    wait_until(lambda: len(server.server.services.intake.deduplication._entries) == 1)
    go.set()
    for thread in threads:
        thread.join(20)
    assert statuses == [500, 500]


def test_many_headers_are_taken(http: httpx.Client, destination: HttpServer) -> None:
    headers = {f"Upstash-Forward-X-{n}": "v" for n in range(60)}  # http.server takes 100
    headers |= {f"X-Other-{n}": "v" for n in range(300)}
    assert http.post(f"/v2/publish/{destination.url}", headers=headers).status_code == 200
    assert destination.wait()[0].headers["x-59"] == "v"


def test_the_page_says_that_a_failing_callback_holds_a_queue(
    http: httpx.Client, destination: HttpServer
) -> None:
    destination.replies["/told"] = Reply(500, headers={"Retry-After": "3600"})
    headers = {"Upstash-Callback": f"{destination.url}/told"}
    http.post(f"/v2/enqueue/q/{destination.url}/one", headers=headers)
    destination.wait(1, "/told")
    wait_until(lambda: "blocked by a failing callback" in http.get("/queues").text)


def test_fault_F2_the_longest_timeout_of_a_callback_reaches_it(
    http: httpx.Client, destination: HttpServer
) -> None:
    """It is spelled anew when the callback is made, after the attempt."""
    headers = {
        "Upstash-Callback": f"{destination.url}/told",
        "Upstash-Callback-Timeout": "999999999999s",
    }
    http.post(f"/v2/publish/{destination.url}/", headers=headers)
    destination.wait(1, "/told")
