"""What a browser sends for another site: the token is public, so the API must tell by the rest."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from app.local_qstash.settings import Credentials
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer

CALLS = [
    ("POST", "/v2/publish/http://127.0.0.1:1/hook"),
    ("POST", "/v2/enqueue/q/http://127.0.0.1:1/hook"),
    ("POST", "/v2/schedules/http://127.0.0.1:1/hook?upstash-cron=*+*+*+*+*"),
    ("POST", "/v2/keys/rotate"),
    ("GET", "/v2/keys"),
    ("GET", "/v2/events"),
    ("DELETE", "/local/faults"),
    ("GET", "/healthz"),
]


@pytest.fixture
def stranger(server: LocalQStash) -> Iterator[httpx.Client]:
    """A page of another site, which knows the published token."""
    with httpx.Client(base_url=server.url, params={"qstash_token": server.token}) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},  # another program of this machine
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8080"},
    ],
)
def test_fault_R5_F16_no_other_site_can_use_the_api(
    stranger: httpx.Client, http: httpx.Client, method: str, path: str, headers: dict[str, str]
) -> None:
    before = http.get("/v2/keys").json()

    separator = "&" if "?" in path else "?"
    answer = stranger.request(
        method,
        f"{path}{separator}qstash_token={LocalQStash.token}",
        headers=headers | {"Content-Type": "text/plain"},
    )

    assert answer.status_code == 403
    assert list(answer.json()) == ["error"]
    assert next(iter(headers)) in answer.json()["error"]
    assert "sig_" not in answer.text
    assert http.get("/v2/keys").json() == before
    assert http.get("/v2/events").json()["events"] == []
    assert http.get("/v2/schedules").json() == []


@pytest.mark.parametrize(
    "names", [[("Origin", "own"), ("Origin", "https://evil.example")],
              [("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "cross-site")]]
)  # fmt: skip
def test_fault_R5_a_second_header_does_not_hide_behind_the_first(
    server: LocalQStash, http: httpx.Client, names: list[tuple[str, str]]
) -> None:
    headers = [(name, server.url if value == "own" else value) for name, value in names]
    assert http.get("/v2/keys", headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_fault_R5_every_name_of_this_machine_may_be_used(http: httpx.Client, host: str) -> None:
    assert http.get("/v2/keys", headers={"Host": host}).status_code == 200


def test_fault_R5_our_own_pages_and_typed_addresses_may(
    server: LocalQStash, http: httpx.Client
) -> None:
    for headers in ({"Origin": server.url, "Sec-Fetch-Site": "same-origin"},
                    {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Mode": "cors"}):  # fmt: skip
        assert http.get("/v2/keys", headers=headers).status_code == 200


class ExposedQStash(LocalQStash):
    def __init__(self) -> None:
        super().__init__()
        secret = Credentials("sesame", "sig_current", "sig_next")
        self._settings = replace(self._settings, host="0.0.0.0", credentials=secret)  # noqa: S104 - what is tested


def test_fault_R5_beyond_loopback_a_secret_token_is_what_counts(destination: HttpServer) -> None:
    """In a container the server has a name that it does not know."""
    with ExposedQStash() as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - see above
        answer = httpx.post(
            f"{url}/v2/publish/{destination.url}",
            headers={"Authorization": "Bearer sesame", "Host": "qstash:8080"},
        )
    assert answer.status_code == 200
