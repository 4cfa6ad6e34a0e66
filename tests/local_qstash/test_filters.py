"""Every filter of logs and dead letters, by what it selects of two that differ in all of them."""

import functools

import httpx
import pytest

from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

ONE = [
    "messageId={id}",
    "url={url}/one",
    "topicName=group",
    "queueName=queue",
    "scheduleId=schedule",
    "label=blue",
    "label=other,blue",
    "flowControlKey=key",
    "label=blue&queueName=queue",
]
LOGS = [*ONE, "messageIds={id}&messageIds=msg_x", "path=/one", "path=/one&host={host}"]
LETTERS = [*ONE, "dlqIds={letter}", "dlqIds={letter}&dlqIds=1-1", "responseStatus=500,501"]
NONE = ["callerIp=10.0.0.1", "fromDate=9999999999999", "toDate=1", "label=blue&queueName=other"]


HEADERS = {
    "Upstash-Retries": "0",
    "Upstash-Label": "blue",
    "Upstash-Cron": "* * * * *",
    "Upstash-Schedule-Id": "schedule",
    "Upstash-Queue-Name": "queue",
    "Upstash-Flow-Control-Key": "key",
    "Upstash-Flow-Control-Value": "parallelism=1",
}


def _fail_two(http: httpx.Client, destination: HttpServer) -> dict[str, str]:
    """Give up messages that have everything and one that has nothing; return the first's names."""
    destination.replies |= {"/one": Reply(500), "/two": Reply(404)}
    endpoint = {"url": f"{destination.url}/one"}
    http.post("/v2/topics/group/endpoints", json={"endpoints": [endpoint]})
    http.post("/v2/schedules/group", headers=HEADERS)
    http.post(f"/v2/publish/{destination.url}/two", headers={"Upstash-Retries": "0"})
    # The schedule may well fire again before it is deleted.
    one, _ = wait_until(lambda: _letters(http, destination, "/one", "/two"))
    http.delete("/v2/schedules/schedule")
    host = destination.url.removeprefix("http://")
    return {"id": one["messageId"], "letter": one["dlqId"], "url": destination.url, "host": host}


def _letters(http: httpx.Client, destination: HttpServer, *paths: str) -> list[dict[str, str]]:
    """Return the first dead letter of each path, or nothing until all of them have one."""
    letters = http.get("/v2/dlq").json()["messages"]
    found = {letter["url"]: letter for letter in reversed(letters)}
    urls = [f"{destination.url}{path}" for path in paths]
    return [found[url] for url in urls] if found.keys() >= set(urls) else []


def test_every_filter_selects_log_entries(http: httpx.Client, destination: HttpServer) -> None:
    names = _fail_two(http, destination)
    for query in (one.format(**names) for one in LOGS):
        found = http.get(f"/v2/events?{query}").json()["events"]
        assert {entry["url"] for entry in found} == {f"{destination.url}/one"}, query
    for query in NONE:
        assert http.get(f"/v2/logs?{query}").json()["logs"] == [], query


def test_every_filter_selects_dead_letters(http: httpx.Client, destination: HttpServer) -> None:
    names = _fail_two(http, destination)
    for query in (one.format(**names) for one in LETTERS):
        found = http.get(f"/v2/dlq?{query}").json()["messages"]
        assert {letter["url"] for letter in found} == {f"{destination.url}/one"}, query
    for query in (*NONE, "responseStatus=503"):
        assert http.get(f"/v2/dlq?{query}").json()["messages"] == [], query


@pytest.mark.parametrize(("noun", "entries"), [("dlq", "messages"), ("events", "events")])
def test_lists_run_in_the_order_that_is_asked_for(
    http: httpx.Client, destination: HttpServer, noun: str, entries: str
) -> None:
    destination.replies |= {"/one": Reply(500), "/two": Reply(500)}
    for path in ("/one", "/two"):
        http.post(f"/v2/publish/{destination.url}{path}", headers={"Upstash-Retries": "0"})
        wait_until(functools.partial(_letters, http, destination, path))
    early, late = (
        [one["messageId"] for one in http.get(f"/v2/{noun}?order={order}").json()[entries]]
        for order in ("earliestFirst", "latestFirst")
    )
    assert early == late[::-1]
    assert early[0] != late[0]
    usual = [one["messageId"] for one in http.get(f"/v2/{noun}").json()[entries]]
    assert usual == (early if noun == "dlq" else late)


def test_a_dead_letter_cannot_be_filtered_by_host_or_path(http: httpx.Client) -> None:
    for query in ("host=a.test", "path=/a"):
        assert http.get(f"/v2/dlq?{query}").status_code == 400
