"""What the tests of the page do over and over."""

import re
from typing import Any

import httpx

from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

NOWHERE = "http://127.0.0.1:9"


def publish(http: httpx.Client, url: str, body: bytes = b"", **headers: str) -> str:
    """Publish with `Upstash-…` headers given as `label=…`; return the message's id."""
    named = {f"Upstash-{name.replace('_', '-')}": value for name, value in headers.items()}
    answer = http.post(f"/v2/publish/{url}", content=body, headers=named)
    return str(answer.raise_for_status().json()["messageId"])


def dead_letter(http: httpx.Client, destination: HttpServer, path: str = "/down") -> str:
    """Let a message fail for good; return its id."""
    destination.replies[path] = Reply(503, b'{"reason": "<down>"}', {"X-Why": "<b>"})
    message = publish(http, f"{destination.url}{path}", retries="0", label="dead")
    wait_until(lambda: http.get("/v2/dlq", params={"messageId": message}).json()["messages"])
    return message


def letters(http: httpx.Client) -> list[dict[str, Any]]:
    return list(http.get("/v2/dlq").json()["messages"])


def ids_on(page: httpx.Client, address: str) -> list[str]:
    return re.findall(r'<tr id="(msg_\w+)"', page.get(address).raise_for_status().text)


def press(page: httpx.Client, section: str, action: str, name: str, back: str = "") -> str:
    """Press a button and return where it leads."""
    form = {"action": action, "name": name, "back": back}
    answer = page.post(f"/{section}", data=form)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]
