"""What answers while the app cannot start."""

import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app.dev.stand_in import PATIENCE, TITLE, StandIn
from app.jobs.outcome import NOT_RUN
from app.jobs.publish.qstash import MARGIN
from app.ports import listen

SAID = ["Traceback", "SyntaxError: <b>'(' was never closed</b>", "[INFO] Shutting down: Master"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_every_request_is_told_why(method: str) -> None:
    with listen(0) as listening:
        stand_in = StandIn(listening, SAID)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/any"
        page = httpx.request(method, url, headers={"Accept": "text/html,*/*"})
        plain = httpx.request(method, url)
        stand_in.close()

    assert (page.status_code, plain.status_code) == (503, 503)
    if method != "HEAD":
        assert "SyntaxError: &lt;b&gt;&#x27;(&#x27; was never closed" in page.text
        assert plain.text.split("\n") == [f"{TITLE}: {SAID[1]}", "", *SAID, ""]


def test_a_page_in_a_browser_asks_again_by_itself() -> None:
    with listen(0) as listening:
        stand_in = StandIn(listening, SAID)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        page = httpx.get(url, headers={"Accept": "text/html"})
        stand_in.close()

    assert '<meta http-equiv="refresh" content="2">' in page.text


def test_a_delivery_is_kept_waiting_for_the_next_start() -> None:
    with listen(0) as listening, ThreadPoolExecutor(1) as pool:
        stand_in = StandIn(listening, SAID)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        asked = pool.submit(httpx.post, url, headers={"Upstash-Signature": "x"}, timeout=60)
        with pytest.raises(TimeoutError):
            asked.result(timeout=0.5)
        stand_in.close()

        assert asked.result().headers["Retry-After"] == "2"


def test_a_delivery_that_waited_in_vain_is_told_that_the_job_did_not_run() -> None:
    with listen(0) as listening:
        stand_in = StandIn(listening, SAID, patience=0.05)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        answer = httpx.post(url, headers={"Upstash-Signature": "x"})
        stand_in.close()

    assert (answer.status_code, answer.headers[NOT_RUN]) == (503, "true")


def test_qstash_still_listens_when_the_shortest_delivery_has_waited_in_vain() -> None:
    assert PATIENCE <= MARGIN


def test_after_it_the_socket_is_the_apps_again() -> None:
    with listen(0) as listening:
        StandIn(listening, SAID).close()
        with socket.create_connection(listening.getsockname()):
            taken, _ = listening.accept()
            taken.close()
