"""A delivery for a path that this process does not have, as when it is older than the code."""

import pytest
from flask.testing import FlaskClient, FlaskCliRunner

from app.jobs import enqueue
from tests.support.qstash import deliver, envelope
from tests.support.rows import row_of

pytestmark = pytest.mark.usefixtures("published")

PATH = "/api/jobs/not-there-yet"
HINT = "If it is older than the code"


def test_fault_K19_A5_the_log_and_the_row_say_where_a_404_comes_from(
    client: FlaskClient, cli: FlaskCliRunner, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = enqueue("sample", {"action": "none"})
    answer = deliver(client, envelope({}, jobId=job_id), PATH)

    assert answer.status_code == 405
    assert HINT in caplog.text
    found = row_of(job_id)
    assert (found.status, found.dead_at) == ("pending", None)
    assert found.error is not None
    assert PATH in found.error
    assert "was answered 405" in cli.invoke(args=["jobs", "show", job_id]).stdout.replace("\n", " ")
    watched = cli.invoke(args=["jobs", "watch", job_id, "--timeout", "0"])
    assert HINT in watched.stdout


def test_a_later_delivery_that_arrives_forgets_it(client: FlaskClient) -> None:
    job_id = enqueue("sample", {"action": "none"})
    deliver(client, envelope({"action": "none"}, jobId=job_id), PATH)
    deliver(client, envelope({"action": "none"}, jobId=job_id))

    found = row_of(job_id)
    assert (found.status, found.error) == ("completed", None)


@pytest.mark.parametrize("signature", ["", "forged"])
def test_nobody_but_qstash_can_write_it(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, signature: str
) -> None:
    job_id = enqueue("sample", {"action": "none"})
    answer = deliver(client, envelope({}, jobId=job_id), PATH, signature=signature)

    assert answer.status_code == 405
    assert row_of(job_id).error is None
    assert HINT not in caplog.text


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'{"jobId": 5}', b'{"jobId": "order-17"}', b'{"jobId": "no\\u0000"}'],
)
def test_whatever_it_carries_the_answer_stays_404(client: FlaskClient, body: bytes) -> None:
    assert deliver(client, body, PATH).status_code == 405


@pytest.mark.usefixtures("no_database")
def test_without_a_database_it_is_answered_all_the_same(client: FlaskClient) -> None:
    assert deliver(client, envelope({}), PATH).status_code == 405
