"""What the buttons of the page do."""

import re

import httpx
import pytest

from tests.support.http_server import HttpServer
from tests.support.waiting import wait_until

from .visitor import NOWHERE, dead_letter, letters, press, publish


def test_a_dead_letter_is_retried_and_its_filters_are_kept(
    http: httpx.Client, page: httpx.Client, destination: HttpServer
) -> None:
    dead_letter(http, destination)
    destination.replies.clear()
    [letter] = letters(http)

    location = press(page, "dead-letters", "retry", letter["dlqId"], "/dead-letters?label=dead")

    assert location.startswith("/dead-letters?label=dead&done=dead-letters.retry&of=msg_")
    assert len(destination.wait(2, "/down")) == 2
    assert letters(http) == []
    assert "Sent again as" in page.get(location).text


def test_all_dead_letters_that_fit_the_filters_are_retried(
    http: httpx.Client, page: httpx.Client, destination: HttpServer
) -> None:
    for number in range(3):
        dead_letter(http, destination, f"/down{number}")
    other = dead_letter(http, destination, "/other")

    answer = page.post(
        "/dead-letters?url=/down", data={"action": "retry-all", "name": "all", "back": ""}
    )

    assert "of=3" in answer.headers["location"]
    wait_until(lambda: len(letters(http)) == 4)  # they failed again, with new ids
    assert other in {letter["messageId"] for letter in letters(http)}


def test_dead_letters_are_deleted_one_or_all(
    http: httpx.Client, page: httpx.Client, destination: HttpServer
) -> None:
    for number in range(3):
        dead_letter(http, destination, f"/down{number}")

    press(page, "dead-letters", "delete", letters(http)[0]["dlqId"])
    assert len(letters(http)) == 2
    press(page, "dead-letters", "delete-all", "all")
    assert letters(http) == []


def test_a_message_is_cancelled_or_delivered_now(
    http: httpx.Client, page: httpx.Client, destination: HttpServer
) -> None:
    kept = publish(http, f"{destination.url}/now", delay="1d")
    dropped = publish(http, f"{destination.url}/never", delay="1d")

    press(page, "messages", "deliver", kept, f"/messages/{kept}")
    press(page, "messages", "cancel", dropped)

    destination.wait(1, "/now")
    assert http.get(f"/v2/messages/{dropped}").status_code == 404


@pytest.mark.parametrize(
    ("section", "address", "field"),
    [
        ("schedules", "/v2/schedules/it", "isPaused"),
        ("queues", "/v2/queues/it", "paused"),
        ("flow-control", "/v2/flowControl/it", "isPaused"),
    ],
)
def test_schedules_queues_and_keys_are_paused_and_resumed(
    http: httpx.Client, page: httpx.Client, section: str, address: str, field: str
) -> None:
    named = {"Upstash-Cron": "0 0 1 1 *", "Upstash-Schedule-Id": "it"}
    http.post(f"/v2/schedules/{NOWHERE}", headers=named)
    http.post("/v2/queues", json={"queueName": "it"})
    http.post("/v2/flowControl/it/pin?rate=1")

    press(page, section, "pause", "it")
    assert http.get(address).json()[field] is True
    press(page, section, "resume", "it")
    assert not http.get(address).json().get(field)


def test_a_schedule_is_deleted(http: httpx.Client, page: httpx.Client) -> None:
    headers = {"Upstash-Cron": "0 0 1 1 *", "Upstash-Schedule-Id": "it"}
    http.post(f"/v2/schedules/{NOWHERE}", headers=headers)

    press(page, "schedules", "delete", "it")

    assert http.get("/v2/schedules").json() == []


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_a_button_never_leads_to_another_site(
    http: httpx.Client, page: httpx.Client, back: str
) -> None:
    http.post("/v2/queues", json={"queueName": "it"})

    assert re.match(r"/(queues|evil\.example|)\?", press(page, "queues", "pause", "it", back))
