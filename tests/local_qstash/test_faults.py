"""Faults on purpose, as clients and destinations meet them."""

import httpx
import pytest
from qstash import QStash
from qstash.errors import QStashError

from app.local_qstash.errors import InvalidFaultError
from app.local_qstash.faults import DELIVERY, Faults, parse_fault, parse_faults
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, Reply
from tests.support.publishing import connect
from tests.support.waiting import wait_until

SOON = "0"  # a retry delay


def _errors(client: QStash) -> list[str]:
    return [log.error for log in client.log.list().logs if log.error]


def _delivered(client: QStash) -> bool:
    return "DELIVERED" in [log.state.value for log in client.log.list().logs]


def test_a_dropped_delivery_never_arrives_and_counts_as_a_failed_attempt(
    destination: HttpServer,
) -> None:
    with LocalQStash(faults=["drop=1"]) as server, connect(server.url) as client:
        client.message.publish(url=destination.url, retries=1, retry_delay=SOON)
        [letter] = wait_until(lambda: client.dlq.list().messages)
        assert letter.response_status == 0
        assert _errors(client) == ["fault injected: drop, the request was not sent"] * 2
        assert server.faults.injected == {"drop": 2}
    assert destination.received == []


def test_a_delivery_whose_answer_is_lost_arrives_and_is_retried(destination: HttpServer) -> None:
    with LocalQStash(faults=["lose-answer=1"]) as server, connect(server.url) as client:
        client.message.publish(url=destination.url, retries=50, retry_delay="100")
        destination.wait()
        server.faults.clear()
        wait_until(lambda: _delivered(client))
    assert len(destination.received) >= 2
    assert len({got.headers["upstash-message-id"] for got in destination.received}) == 1


def test_a_failed_delivery_shows_its_status_without_a_call(destination: HttpServer) -> None:
    with LocalQStash(faults=["fail=1:418"]) as server, connect(server.url) as client:
        client.message.publish(url=destination.url, retries=0)
        [letter] = wait_until(lambda: client.dlq.list().messages)
    assert letter.response_status == 418
    assert destination.received == []


def test_a_duplicate_is_the_same_message_twice_at_a_time(destination: HttpServer) -> None:
    destination.replies["/"] = [Reply(200), Reply(500)]
    with LocalQStash(faults=["duplicate=1"]) as server, connect(server.url) as client:
        sent = client.message.publish(url=f"{destination.url}/")
        both = destination.wait(2)
        wait_until(lambda: _delivered(client))
    ids = {got.headers["upstash-message-id"] for got in both}
    assert ids == {sent.message_id}  # type: ignore[union-attr]
    assert [got.headers["upstash-retried"] for got in both] == ["0", "0"]


def test_a_delayed_delivery_is_overtaken(destination: HttpServer) -> None:
    with LocalQStash(faults=["delay=1:400ms"]) as server, connect(server.url) as client:
        client.message.publish(url=f"{destination.url}/late")
        wait_until(lambda: server.faults.injected["delay:400ms"])
        server.faults.clear()
        client.message.publish(url=f"{destination.url}/soon")
        assert [got.path for got in destination.wait(2)] == ["/soon", "/late"]


def test_a_reordered_delivery_comes_behind_the_next(destination: HttpServer) -> None:
    with LocalQStash(faults=["reorder=1"]) as server, connect(server.url) as client:
        client.message.publish(url=f"{destination.url}/first")
        wait_until(lambda: server.faults.injected["reorder"])
        server.faults.clear()
        client.message.publish(url=f"{destination.url}/second")
        assert [got.path for got in destination.wait(2)] == ["/second", "/first"]


def test_a_reordered_delivery_goes_although_no_other_comes(destination: HttpServer) -> None:
    with LocalQStash(faults=["reorder=1"]) as server, connect(server.url) as client:
        client.message.enqueue(queue="fifo", url=f"{destination.url}/1")
        client.message.enqueue(queue="fifo", url=f"{destination.url}/2")
        assert [got.path for got in destination.wait(2)] == ["/1", "/2"]


def test_several_faults_of_one_delivery_add_up(destination: HttpServer) -> None:
    faults = ["duplicate=1", "lose-answer=1", "delay=1:1ms"]
    with LocalQStash(faults=faults) as server, connect(server.url) as client:
        client.message.publish(url=destination.url, retries=0)
        wait_until(lambda: client.dlq.list().messages)
        assert server.faults.injected == {"delay:1ms": 1, "lose-answer": 1, "duplicate": 1}
    assert len(destination.received) == 2


def test_a_failed_publish_stores_nothing(destination: HttpServer) -> None:
    with LocalQStash(faults=["publish-fail=1:503"]) as server, connect(server.url) as client:
        for publish in (
            lambda: client.message.publish(url=destination.url),
            lambda: client.message.enqueue(queue="q", url=destination.url),
            lambda: client.message.batch([{"url": destination.url}]),
        ):
            with pytest.raises(QStashError, match="publish-fail, nothing was stored"):
                publish()
        assert client.log.list().logs == []
        assert client.queue.list() == []
        assert server.faults.injected == {"publish-fail:503": 3}


def test_a_dropped_publish_is_stored_and_delivered_but_never_answered(
    destination: HttpServer,
) -> None:
    with LocalQStash(faults=["publish-drop=1"]) as server, connect(server.url) as client:
        with pytest.raises(httpx.TransportError):
            client.message.publish(url=destination.url, body="kept")
        assert [got.body for got in destination.wait()] == [b"kept"]


def test_publishing_again_after_a_cut_is_made_harmless_by_deduplication(
    destination: HttpServer,
) -> None:
    with LocalQStash(faults=["publish-drop=0.5"], seed=1) as server:
        client = QStash(
            server.token,
            base_url=server.url,
            retry={"retries": 20, "backoff": lambda _: 0},
        )
        with client.http._client:
            for number in range(20):
                client.message.publish(url=destination.url, deduplication_id=str(number))
        assert server.faults.injected["publish-drop"] > 5
        destination.wait(20)
        assert server.faults.seen["publish"] > 25
    assert len(destination.received) == 20


def test_what_is_refused_as_wrong_is_not_counted_as_cut() -> None:
    with LocalQStash(faults=["publish-drop=1"]) as server, connect(server.url) as client:
        with pytest.raises(QStashError, match="scheme"):
            client.message.publish(url="ftp://a.test")
        assert server.faults.injected == {"publish-drop": 0}


def test_the_same_seed_strikes_the_same_publishes(destination: HttpServer) -> None:
    def struck(seed: int) -> list[int]:
        faults = ["publish-fail=0.3"]
        with LocalQStash(faults=faults, seed=seed) as server, connect(server.url) as client:
            return [number for number in range(30) if not _accepted(client, destination.url)]

    assert struck(7) == struck(7) != struck(8)


def _accepted(client: QStash, url: str) -> bool:
    try:
        client.message.publish(url=url)
    except QStashError:
        return False
    return True


def test_the_endpoint_sets_shows_and_clears_faults(
    server: LocalQStash, client: QStash, http: httpx.Client, destination: HttpServer
) -> None:
    wanted = {"faults": ["fail=1:500", "publish-drop=0"], "seed": 7}
    assert http.put("/local/faults", json=wanted).json()["injected"] == {
        "fail:500": 0,
        "publish-drop": 0,
    }
    client.message.publish(url=destination.url, retries=0)
    wait_until(lambda: client.dlq.list().messages)
    assert http.get("/local/faults").json() == {
        **wanted,
        "injected": {"fail:500": 1, "publish-drop": 0},
        "seen": {"delivery": 1, "publish": 1},
    }
    cleared = http.delete("/local/faults").json()
    assert (cleared["faults"], cleared["injected"]["fail:500"]) == ([], 1)
    client.message.publish(url=destination.url)
    destination.wait()


def test_a_seed_by_chance_is_shown_so_that_a_run_can_be_repeated(http: httpx.Client) -> None:
    seeds = {http.put("/local/faults", json={"faults": []}).json()["seed"] for _ in range(3)}
    assert len(seeds) > 1


def test_the_endpoint_asks_for_the_token(server: LocalQStash) -> None:
    answer = httpx.put(f"{server.url}/local/faults", json={"faults": ["drop=1"]})
    assert answer.status_code == 401
    assert server.faults.faults == []


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"faults": "drop=1"},
        {"faults": [1]},
        {"faults": [], "seed": -1},
        {"faults": [], "seed": True},
        {"faults": [], "sed": 1},
        {"faults": ["drop=2"]},
    ],
)
def test_a_wrong_body_is_refused_and_changes_nothing(http: httpx.Client, body: object) -> None:
    before = http.put("/local/faults", json={"faults": ["delay=0.5"], "seed": 3}).json()
    answer = http.put("/local/faults", json=body)
    assert answer.status_code == 400
    assert "drop=" in answer.json()["error"]
    assert http.get("/local/faults").json() == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("drop", "use KIND=SHARE"),
        ("drop=", "use KIND=SHARE"),
        ("drop=-1", "use KIND=SHARE"),
        ("drop=1e-3", "use KIND=SHARE"),
        ("drop=nan", "use KIND=SHARE"),
        ("lose=0.1", "not one of reorder, delay, drop"),
        ("drop=1.01", "from 0 to 1"),
        ("drop=5", "such as 0.05 for 5 %"),
        ("drop=0.1:503", "drop takes no detail"),
        ("drop=0.1:", "drop takes no detail"),
        ("delay=0.1:500", "such as 500ms"),
        ("delay=0.1:2h", "at most 1h"),
        ("fail=0.1:200", "a status from 300 to 599"),
        ("fail=0.1:soon", "a status from 300 to 599"),
        ("publish-fail=0.1:302", "a status from 400 to 599"),
    ],
)
def test_a_fault_that_is_written_wrongly_is_refused_with_the_fix(text: str, reason: str) -> None:
    with pytest.raises(InvalidFaultError, match=reason) as raised:
        parse_fault(text)
    assert text in str(raised.value)


def test_one_kind_may_be_given_twice_with_different_details_only() -> None:
    assert len(parse_faults(["fail=0.1:503", "fail=0.1:429"])) == 2
    with pytest.raises(InvalidFaultError, match="fail:503 is given 2 times"):
        parse_faults(["fail=0.1", "fail=0.2:503"])


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("drop=.05", "drop=0.05"),
        ("delay=1", "delay=1:1s"),
        ("delay=0.2:1m30s", "delay=0.2:1m30s"),
        ("fail=0", "fail=0:503"),
        ("publish-fail=0.5", "publish-fail=0.5:500"),
    ],
)
def test_a_fault_is_written_with_its_defaults(text: str, written: str) -> None:
    assert str(parse_fault(text)) == written


def _victims(*texts: str, seed: int = 1) -> dict[str, set[int]]:
    faults = Faults(parse_faults(texts), seed)
    struck = [faults.draw(DELIVERY) for _ in range(2000)]
    return {
        fault.kind: {number for number, those in enumerate(struck) if fault in those}
        for fault in faults.faults
    }


def test_a_share_is_the_part_that_is_struck() -> None:
    assert 140 < len(_victims("drop=0.1")["drop"]) < 260
    assert len(_victims("drop=1")["drop"]) == 2000
    assert len(_victims("drop=0")["drop"]) == 0


def test_a_greater_share_adds_victims_and_another_fault_changes_none() -> None:
    few = _victims("drop=0.1")["drop"]
    assert few < _victims("drop=0.2")["drop"]
    both = _victims("delay=0.3", "drop=0.1")
    assert both["drop"] == few
    assert both["delay"] != few
