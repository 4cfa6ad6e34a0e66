"""Everything that is not a message, and what cannot be shown."""

import re
from html import unescape

import httpx
import pytest

from app.local_qstash.page.formatting import CAP
from app.local_qstash.testing import LocalQStash

from .visitor import NOWHERE


def test_schedules_are_told_in_words_with_their_next_runs(
    http: httpx.Client, page: httpx.Client
) -> None:
    headers = {"Upstash-Cron": "CRON_TZ=Europe/Paris 30 9 * * MON", "Upstash-Schedule-Id": "weekly"}
    http.post(f"/v2/schedules/{NOWHERE}", headers=headers)
    shown = page.get("/schedules").text

    assert "At 09:30 on Monday (Europe/Paris)" in shown
    assert len(re.findall("<time", shown)) == 5


def test_queues_flow_keys_and_groups_show_their_numbers(
    http: httpx.Client, page: httpx.Client
) -> None:
    http.post("/v2/queues", json={"queueName": "pdf", "parallelism": 7, "paused": True})
    http.post(f"/v2/enqueue/pdf/{NOWHERE}")
    http.post("/v2/flowControl/tenant-1/pin?rate=5&period=60")
    http.post("/v2/topics/all/endpoints", json={"endpoints": [{"name": "crm", "url": NOWHERE}]})

    queues = re.sub(r"<[^>]+>|\s+", " ", page.get("/queues").text)
    assert re.search(r"pdf\s+Paused\s+1\s+0\s+of 7", queues)
    assert "of 5 per 1 min" in page.get("/flow-control").text
    assert "crm" in page.get("/url-groups").text


def test_the_set_up_gives_an_env_file(server: LocalQStash, page: httpx.Client) -> None:
    shown = page.get("/setup").text

    assert f"QSTASH_URL={server.url}\nQSTASH_TOKEN={server.token}\n" in shown
    assert f"QSTASH_NEXT_SIGNING_KEY={server.next_signing_key}" in shown


def test_a_poll_gets_only_what_changes(page: httpx.Client) -> None:
    part = page.get("/", headers={"X-Page-Poll": "1"}).text

    assert "<main" in part
    assert "<html" not in part


def test_counts_stop_at_the_cap(http: httpx.Client, page: httpx.Client) -> None:
    batch = [{"destination": NOWHERE, "headers": {"Upstash-Delay": "1d"}}] * (CAP + 5)
    http.post("/v2/batch", json=batch, timeout=60).raise_for_status()

    assert "10,000+" in page.get("/").text


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/messages/msg_none", 404, "message msg_none not found"),
        ("/messages", 404, "no such page"),
        ("/queues/x", 404, "no such page"),
        ("/static/page.html", 404, "no such file"),
        ("/static/..%2Fpage.py", 404, "no such file"),
        ("/?state=zombie", 400, "not one of active, all"),
        ("/?before=x-1", 400, "not a place in this list"),
        ("/?before=99999999999999999999-1", 400, "not a place in this list"),
        ("/schedules?page=0", 400, "not a page number"),
    ],
)
def test_what_cannot_be_shown_is_explained(
    page: httpx.Client, address: str, status: int, words: str
) -> None:
    answer = page.get(address)

    assert answer.status_code == status
    assert words in unescape(answer.text)
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("section", "form", "status"),
    [
        ("queues", {"action": "explode", "name": "x"}, 400),
        ("queues", {"action": "pause"}, 400),
        ("queues", {}, 400),
        ("queues", {"action": "pause", "name": "none"}, 404),
        ("dead-letters", {"action": "retry", "name": "none"}, 404),
        ("queues", {"action": "x" * 70_000}, 413),
    ],
)
def test_a_button_that_is_none_does_nothing(
    page: httpx.Client, section: str, form: dict[str, str], status: int
) -> None:
    assert page.post(f"/{section}", data=form).status_code == status
