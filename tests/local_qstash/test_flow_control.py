"""Limits shared by all messages with one key, whatever their destination."""

import threading
from typing import TYPE_CHECKING

import httpx
import pytest
from qstash import QStash
from qstash.log import LogState

from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from qstash.message import FlowControl


def test_parallelism_is_shared_across_destinations(client: QStash, destination: HttpServer) -> None:
    held = threading.Event()
    flow: FlowControl = {"key": "k", "parallelism": 2}
    for number in range(5):
        destination.replies[f"/{number}"] = Reply(hold=held)
        client.message.publish(url=f"{destination.url}/{number}", flow_control=flow)
    destination.wait(2)
    key = client.flow_control.get("k")
    assert (key.parallelism_count, key.wait_list_size) == (2, 3)
    assert len(destination.received) == 2
    held.set()
    destination.wait(5)
    wait_until(lambda: client.flow_control.get("k").parallelism_count == 0)


def test_rate_bounds_the_starts_of_a_period(client: QStash, destination: HttpServer) -> None:
    flow: FlowControl = {"key": "k", "rate": 2, "period": 1}
    for _ in range(5):
        client.message.publish(url=destination.url, flow_control=flow)
    destination.wait(5)
    started = sorted(log.time for log in client.log.list().logs if log.state is LogState.ACTIVE)
    # The third starts no earlier than a period after the first, the fifth than two. On a busy
    # machine a start is logged a moment after it was counted.
    assert started[2] - started[0] >= 900
    assert started[4] - started[0] >= 1900


def test_the_newest_messages_limits_win(client: QStash, destination: HttpServer) -> None:
    client.flow_control.pause("k")
    client.message.publish(url=destination.url, flow_control={"key": "k", "rate": 1, "period": 60})
    client.message.publish(url=destination.url, flow_control={"key": "k", "rate": 9, "period": 60})
    client.flow_control.resume("k")
    destination.wait(2)


def test_a_cancelled_message_gives_its_place_to_the_next(
    client: QStash, destination: HttpServer
) -> None:
    flow: FlowControl = {"key": "k", "parallelism": 1}
    client.flow_control.pause("k")
    doomed = client.message.publish(url=f"{destination.url}/doomed", flow_control=flow)
    client.message.publish(url=f"{destination.url}/next", flow_control=flow)
    client.message.cancel(doomed.message_id)  # type: ignore[union-attr]
    client.flow_control.resume("k")
    assert destination.wait()[0].path == "/next"
    wait_until(lambda: client.flow_control.get("k").parallelism_count == 0)


def test_keys_can_be_listed_and_searched(http: httpx.Client) -> None:
    for key in ("alpha", "beta"):
        http.post(f"/v2/flowControl/{key}/pause")
    shown = http.get("/v2/flowControl?search=alp").json()
    assert [key["flowControlKey"] for key in shown] == ["alpha"]
    assert shown[0]["isPaused"] is True


@pytest.mark.parametrize("verb", ["reset", "resetRate"])
def test_a_rate_is_reset_under_both_names(
    client: QStash, http: httpx.Client, destination: HttpServer, verb: str
) -> None:
    for _ in range(2):
        flow: FlowControl = {"key": "k", "rate": 1, "period": "1d"}
        client.message.publish(url=destination.url, flow_control=flow)
    destination.wait(1)
    assert client.flow_control.get("k").wait_list_size == 1
    assert http.post(f"/v2/flowControl/k/{verb}").status_code == 200
    destination.wait(2)
