"""The list of messages and the page of one, as a visitor gets them."""

import re
import threading
from html import unescape

import httpx
import pytest

from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

from .visitor import NOWHERE, dead_letter, ids_on, letters, publish

NASTY = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/", "Nothing published yet"),
        ("/?state=active", "None active right now"),
        ("/dead-letters", "No dead letters"),
        ("/schedules", "No schedules"),
        ("/queues", "No queues"),
        ("/flow-control", "No flow-control keys"),
        ("/url-groups", "No URL groups"),
        ("/?label=none", "No messages match these filters"),
    ],
)
def test_every_section_says_when_it_is_empty(page: httpx.Client, address: str, words: str) -> None:
    answer = page.get(address)

    assert answer.status_code == 200
    assert words in answer.text


def test_the_newest_message_comes_first(http: httpx.Client, page: httpx.Client) -> None:
    published = [publish(http, NOWHERE, delay="1d") for _ in range(3)]

    assert ids_on(page, "/") == ids_on(page, "/?state=pending") == published[::-1]


def test_each_state_lists_its_own_messages(
    http: httpx.Client, page: httpx.Client, destination: HttpServer
) -> None:
    failed = dead_letter(http, destination)
    delivered = publish(http, f"{destination.url}/fine")
    waiting = publish(http, NOWHERE, delay="1d")
    cancelled = publish(http, NOWHERE, delay="1d")
    http.delete(f"/v2/messages/{cancelled}")
    destination.wait(1, "/fine")

    wait_until(lambda: ids_on(page, "/?state=delivered") == [delivered])
    assert ids_on(page, "/?state=failed") == [failed]
    assert ids_on(page, "/?state=pending") == [waiting]
    assert ids_on(page, "/?state=cancelling") == [cancelled]


def test_a_message_in_flight_is_active_and_one_that_failed_is_to_be_retried(
    http: httpx.Client, page: httpx.Client, destination: HttpServer
) -> None:
    hold = threading.Event()
    destination.replies = {"/slow": Reply(hold=hold), "/down": Reply(500)}
    slow = publish(http, f"{destination.url}/slow")
    down = publish(http, f"{destination.url}/down", retry_delay="86400000")

    wait_until(lambda: ids_on(page, "/?state=retrying") == [down])
    wait_until(lambda: ids_on(page, "/?state=active") == [slow])
    assert "in flight for" in page.get(f"/messages/{slow}").text
    hold.set()


def test_filters_narrow_the_list(http: httpx.Client, page: httpx.Client) -> None:
    one = publish(http, f"{NOWHERE}/one?x=1", delay="1d", label="red,blue")
    two = publish(http, f"{NOWHERE}/two", delay="1d", label="redder")

    assert ids_on(page, "/?url=one%3Fx") == [one]
    assert ids_on(page, "/?label=red&state=pending") == [one]
    assert ids_on(page, f"/?id={two}") == [two]
    assert ids_on(page, f"/?id={two}&label=red") == []


@pytest.mark.parametrize("state", ["all", "pending", "cancelling"])
def test_paging_shows_every_message_once(
    http: httpx.Client, page: httpx.Client, state: str
) -> None:
    batch = [
        {"destination": f"{NOWHERE}/{n}", "headers": {"Upstash-Delay": "1d"}} for n in range(120)
    ]
    published = [one["messageId"] for one in http.post("/v2/batch", json=batch).json()]
    if state == "cancelling":
        http.delete("/v2/messages")

    seen, address = [], f"/?state={state}"
    while address:
        seen += ids_on(page, address)
        found = re.search(r'href="([^"]+)" rel="next"', page.get(address).text)
        address = unescape(found[1]) if found else ""

    assert seen == published[::-1]


def test_a_message_shows_its_attempts_with_their_answers(
    http: httpx.Client, page: httpx.Client, destination: HttpServer
) -> None:
    destination.replies["/flaky"] = [Reply(500, b"first", {"X-Try": "one"}), Reply(502, b"second")]
    message = publish(http, f"{destination.url}/flaky", b'{"id": 12345678901234567890.10}')

    wait_until(lambda: "the destination answered 2xx" in page.get(f"/messages/{message}").text)
    shown = page.get(f"/messages/{message}").text
    for words in ("Attempt 1", "500", "first", "X-Try", "Attempt 2", "second", "Attempt 3"):
        assert words in shown
    assert "12345678901234567890.10" in shown, "a number is shown as it was published"


def test_a_message_that_waits_says_for_what(http: httpx.Client, page: httpx.Client) -> None:
    http.post("/v2/queues", json={"queueName": "held", "paused": True})
    message = http.post(f"/v2/enqueue/held/{NOWHERE}").json()["messageId"]

    assert "Waiting for queue held, which is paused" in page.get(f"/messages/{message}").text


def test_untrusted_text_is_escaped(
    http: httpx.Client, page: httpx.Client, destination: HttpServer
) -> None:
    destination.replies["/x"] = Reply(500, NASTY.encode(), {"X-Nasty": NASTY})
    http.post("/v2/topics/group/endpoints", json={"endpoints": [{"name": NASTY, "url": NOWHERE}]})
    message = publish(
        http,
        f"{destination.url}/x?{NASTY}",
        NASTY.encode(),
        retries="0",
        label=NASTY,
        forward_note=NASTY,
        flow_control_key=NASTY,
        flow_control_value="rate=100",
    )
    wait_until(lambda: letters(http))

    for path in ("/", f"/messages/{message}", "/dead-letters", "/flow-control", "/url-groups"):
        shown = page.get(path).text
        assert "alert(1)" in shown or path == "/url-groups"
        assert NASTY not in shown
    assert NASTY not in page.get("/", params={"label": NASTY, "done": "x", "of": NASTY}).text


def test_redacted_fields_are_not_shown(http: httpx.Client, page: httpx.Client) -> None:
    message = publish(
        http,
        NOWHERE,
        b"hush-hush",
        delay="1d",
        redact_fields="body,header[Authorization]",
        forward_authorization="my-password",
        forward_plain="open",
    )
    shown = page.get(f"/messages/{message}").text

    assert "hush-hush" not in shown
    assert "my-password" not in shown
    assert "open" in shown
    assert shown.count("redacted</em>") == 2


def test_a_binary_body_is_named_and_a_long_one_cut(http: httpx.Client, page: httpx.Client) -> None:
    binary = publish(http, NOWHERE, b"\xff\xfe", delay="1d")
    long = publish(http, NOWHERE, "é".encode() * 100_000 + b"the end", delay="1d")

    assert "Binary body, 2 B" in page.get(f"/messages/{binary}").text
    shown = page.get(f"/messages/{long}").text
    assert "The first 65.5 kB of 200.0 kB" in shown
    assert "the end" not in shown
