"""What users' tests get from `app.jobs.testing`."""

import httpx
import pytest

from app.local_qstash.testing import LocalQStash

pytest_plugins = ["app.jobs.testing"]
NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once


def publish(server: LocalQStash) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.token}"}
    return httpx.post(f"{server.url}/v2/publish/{NOWHERE}", headers=headers)


def test_local_qstash_is_a_running_server(local_qstash: LocalQStash) -> None:
    assert publish(local_qstash).json()["messageId"].startswith("msg_")


@pytest.mark.parametrize(
    "local_qstash", [{"faults": ["publish-fail=1:503"], "seed": 7}], indirect=True
)
def test_local_qstash_takes_the_options_of_the_server(local_qstash: LocalQStash) -> None:
    assert publish(local_qstash).status_code == 503
    assert local_qstash.faults.seed == 7
