"""Whom the page refuses."""

import re
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from app.local_qstash.settings import Credentials, Settings
from app.local_qstash.testing import LocalQStash


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""]
)
def test_a_foreign_name_for_this_machine_is_refused(page: httpx.Client, host: str) -> None:
    """DNS rebinding: the name is a stranger's, the address ours."""
    answer = page.get("/setup", headers={"Host": host})

    assert answer.status_code == 403
    assert "QSTASH_TOKEN" not in answer.text


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_every_name_of_this_machine_is_welcome(page: httpx.Client, host: str) -> None:
    assert page.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", ""])
def test_a_form_from_another_site_does_nothing(
    http: httpx.Client, page: httpx.Client, origin: str
) -> None:
    http.post("/v2/queues", json={"queueName": "it"})
    form = {"action": "pause", "name": "it"}

    assert page.post("/queues", data=form, headers={"Origin": origin}).status_code == 403
    assert http.get("/v2/queues/it").json()["paused"] is False


def test_a_form_without_an_origin_does_nothing(server: LocalQStash, http: httpx.Client) -> None:
    http.post("/v2/queues", json={"queueName": "it"})

    answer = httpx.post(f"{server.url}/queues", data={"action": "pause", "name": "it"})

    assert answer.status_code == 403
    assert http.get("/v2/queues/it").json()["paused"] is False


def test_reading_never_changes_anything(http: httpx.Client, page: httpx.Client) -> None:
    http.post("/v2/queues", json={"queueName": "it"})

    page.get("/queues", params={"action": "pause", "name": "it"})

    assert http.get("/v2/queues/it").json()["paused"] is False


def test_nothing_but_get_and_post_is_answered(page: httpx.Client) -> None:
    assert page.delete("/queues").status_code == 405
    assert page.head("/queues").status_code == 200


def test_every_answer_keeps_other_sites_out(page: httpx.Client) -> None:
    style = re.search(r'href="(/static/[^"]+)"', page.get("/").text)
    assert style is not None

    for address in ("/", "/messages/none", style[1]):
        headers = page.get(address).headers
        assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert page.get("/").headers["cache-control"] == "no-store"


@pytest.fixture
def exposed() -> Iterator[httpx.Client]:
    """A visitor of a server that listens on every address."""
    with ExposedQStash() as running:
        url = running.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - see below
        with httpx.Client(base_url=url, headers={"Origin": url}) as visitor:
            yield visitor


class ExposedQStash(LocalQStash):
    def __init__(self) -> None:
        super().__init__()
        secret = Credentials("sesame", "sig_current", "sig_next")
        self._settings: Settings = replace(self._settings, host="0.0.0.0", credentials=secret)  # noqa: S104 - what is tested


def test_beyond_loopback_the_page_asks_for_the_token(exposed: httpx.Client) -> None:
    for answer in (exposed.get("/setup"), exposed.post("/queues", data={"action": "pause"})):
        assert answer.status_code == 401
        assert "Sign in" in answer.text
        assert "sesame" not in answer.text


def test_a_wrong_token_does_not_sign_in(exposed: httpx.Client) -> None:
    answer = exposed.post("/sign-in", data={"token": "sesam"})

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_the_token_signs_in_until_signing_out(exposed: httpx.Client) -> None:
    cookie = exposed.post("/sign-in", data={"token": "sesame"}).headers["set-cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "sesame" not in cookie
    assert "QSTASH_TOKEN=sesame" in exposed.get("/setup").text
    exposed.post("/sign-out")
    assert exposed.get("/setup").status_code == 401


def test_a_forged_cookie_does_not_sign_in(exposed: httpx.Client) -> None:
    for forged in ("", "sesame", "é", "0" * 64):
        headers = {b"Cookie": f"local_qstash_page={forged}".encode()}
        assert exposed.get("/", headers=headers).status_code == 401
