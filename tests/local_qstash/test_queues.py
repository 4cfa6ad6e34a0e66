"""FIFO order, parallelism, pausing: what a queue promises."""

import threading

import httpx
from qstash import QStash

from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until


def _enqueue(client: QStash, url: str, *bodies: str, **options: object) -> None:
    for body in bodies:
        client.message.enqueue(queue="q", url=url, body=body, **options)  # type: ignore[arg-type]


def test_messages_are_delivered_in_the_order_of_their_acceptance(
    client: QStash, destination: HttpServer
) -> None:
    bodies = [str(number) for number in range(20)]
    _enqueue(client, destination.url, *bodies)
    assert [got.body.decode() for got in destination.wait(20)] == bodies


def test_the_head_blocks_until_its_retries_and_callbacks_are_over(
    client: QStash, destination: HttpServer
) -> None:
    destination.replies["/first"] = Reply(500)
    destination.replies["/callback"] = [Reply(500)]
    _enqueue(
        client, f"{destination.url}/first", "", retries=1, callback=f"{destination.url}/callback"
    )
    _enqueue(client, f"{destination.url}/second", "")
    destination.wait(1, "/second")
    first, *between, last = [got.path for got in destination.received]
    assert (first, last) == ("/first", "/second")
    # Two attempts, a callback for each, and one callback that had to be tried again.
    assert sorted(between) == ["/callback"] * 3 + ["/first"]


def test_parallelism_bounds_how_many_are_worked_on(client: QStash, destination: HttpServer) -> None:
    held = threading.Event()
    destination.replies["/"] = Reply(hold=held)
    client.queue.upsert("q", parallelism=3)
    _enqueue(client, f"{destination.url}/", *"abcde")
    destination.wait(3)
    assert client.queue.get("q").lag == 5
    assert len(destination.received) == 3
    held.set()
    destination.wait(5)
    wait_until(lambda: client.queue.get("q").lag == 0)


def test_a_paused_queue_accepts_but_starts_nothing(client: QStash, destination: HttpServer) -> None:
    client.queue.upsert("q", paused=True)
    _enqueue(client, destination.url, "a", "b")
    client.message.publish(url=destination.url, body="elsewhere")
    destination.wait(1)
    assert client.queue.get("q").lag == 2
    client.queue.resume("q")
    assert [got.body for got in destination.wait(3)] == [b"elsewhere", b"a", b"b"]


def test_cancelling_a_waiting_message_lets_the_next_one_go(
    client: QStash, destination: HttpServer
) -> None:
    client.queue.upsert("q", paused=True)
    doomed = client.message.enqueue(queue="q", url=destination.url, body="doomed")
    _enqueue(client, destination.url, "next")
    client.message.cancel(doomed.message_id)  # type: ignore[union-attr]
    client.queue.resume("q")
    assert destination.wait()[0].body == b"next"


def test_deleting_a_queue_cancels_what_waits_in_it(client: QStash, destination: HttpServer) -> None:
    client.queue.upsert("q", paused=True)
    _enqueue(client, f"{destination.url}/old", "")
    client.queue.delete("q")
    _enqueue(client, f"{destination.url}/new", "")
    assert destination.wait()[0].path == "/new"


def test_changing_a_queue_leaves_it_paused_unless_it_says_otherwise(http: httpx.Client) -> None:
    http.post("/v2/queues", json={"queueName": "q", "parallelism": 2, "paused": True})
    http.post("/v2/queues", json={"queueName": "q", "parallelism": 3})
    shown = http.get("/v2/queues/q").json()
    assert (shown["paused"], shown["parallelism"]) == (True, 3)
    http.post("/v2/queues", json={"queueName": "q", "paused": False})
    shown = http.get("/v2/queues/q").json()
    assert (shown["paused"], shown["parallelism"]) == (False, 3)
