"""Jobs in Sentry: the real SDK, with a transport that keeps what it would send."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from flask import Flask, got_request_exception
from flask.testing import FlaskClient
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

from app.jobs import PermanentError, enqueue, enqueue_many, sentry
from app.jobs.message import Message
from app.jobs.publish import relay
from app.jobs.testing import deliver
from tests.support.qstash import deliver as post
from tests.support.qstash import envelope
from tests.support.sealed_jobs import bp as sealed_jobs

CANARY = "https://app.example.com/reset/c4n4ry-5f1d7a84e0"


class Kept(Transport):
    """What would have been sent."""

    def __init__(self, _: Any = None) -> None:
        super().__init__()
        self.items: list[tuple[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.items += [(str(item.type), item.payload.json) for item in envelope.items]

    def of(self, kind: str) -> list[Any]:
        return [payload for found, payload in self.items if found == kind]

    def spans(self, op: str) -> list[Any]:
        found: list[Any] = []
        for one in self.of("transaction"):
            trace = one["contexts"]["trace"]
            if trace["op"] == op:
                found.append(trace)
            found += [span for span in one["spans"] if span["op"] == op]
        return found


@pytest.fixture
def app(app: Flask) -> Flask:
    app.register_blueprint(sealed_jobs)
    return app


@pytest.fixture
def kept(app: Flask) -> Iterator[Kept]:
    transport = Kept()
    sentry_sdk.init(
        dsn="http://key@127.0.0.1/1",
        transport=transport,
        traces_sample_rate=1.0,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[FlaskIntegration(), LoggingIntegration(), DedupeIntegration()],
    )
    sentry.init_app(app)
    yield transport
    app.extensions["jobs"].observers.pop()
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def test_two_jobs_that_fail_make_two_issues_with_stack_traces(
    app: Flask, kept: Kept, published: list[Message]
) -> None:
    deliver(enqueue("sample", {"action": "hiccup"}))
    deliver(enqueue("sample", {"action": "permanent"}))

    first, second = kept.of("event")
    for issue, kind in ((first, "Hiccup"), (second, "PermanentError")):
        [raised] = issue["exception"]["values"]
        assert raised["type"] == kind
        assert raised["stacktrace"]["frames"][-1]["function"] == "sample"
        assert raised["mechanism"]["type"] == "flask"
        assert issue["tags"]["job.type"] == "sample"
        assert issue["contexts"]["job"]["attempt"] == 1


def test_the_queues_page_is_filled(app: Flask, kept: Kept, published: list[Message]) -> None:
    with sentry_sdk.start_transaction(name="signup"):
        trace_id = sentry_sdk.get_traceparent()[:32]  # type: ignore[index]
        job_id = enqueue("sample", {"action": "none"})
    deliver(job_id, retried=2)

    [publish], [process] = kept.spans("queue.publish"), kept.spans("queue.process")
    for span in (publish, process):
        assert span["data"]["messaging.message.id"] == job_id
        assert span["data"]["messaging.destination.name"] == "sample"
        assert span["data"]["messaging.message.body.size"] > 100
        assert span["trace_id"] == trace_id
        assert span["status"] == "ok"
    assert process["data"]["messaging.message.retry.count"] == 2
    assert process["data"]["messaging.message.receive.latency"] >= 0


def test_a_publish_outside_of_a_trace_goes_on_with_that_of_the_enqueue(kept: Kept) -> None:
    with sentry_sdk.start_transaction(name="signup"):
        trace_id = sentry_sdk.get_traceparent()[:32]  # type: ignore[index]
        job_id = enqueue("sample", {"action": "none"})  # QStash is away
    relay.publish_job(job_id)  # as a sweep does, in another process

    spans = kept.spans("queue.publish")
    assert [span["status"] for span in spans] == ["internal_error"] * 2
    assert {span["trace_id"] for span in spans} == {trace_id}


def test_each_message_of_a_batch_is_counted(
    app: Flask, kept: Kept, published: list[Message]
) -> None:
    ids = enqueue_many("noop", [{"action": "none"}] * 3)

    spans = kept.spans("queue.publish")
    assert {span["data"]["messaging.message.id"] for span in spans} == set(ids)


@pytest.mark.parametrize(
    ("action", "statuses"),
    [
        ("none", ["in_progress", "ok"]),
        ("permanent", ["in_progress", "error"]),
        ("fail", ["in_progress"]),
    ],
)
def test_a_schedule_checks_in(
    client: FlaskClient, kept: Kept, action: str, statuses: list[str]
) -> None:
    firing = envelope({"action": action})
    firing["metadata"]["cron"] = "CRON_TZ=Europe/Berlin 0 9 * * *"
    post(client, firing, upstash_schedule_id="app/jobs:Nightly", upstash_message_id="msg_7")

    found = kept.of("check_in")
    assert [one["status"] for one in found] == statuses
    assert {one["monitor_slug"] for one in found} == {"app-jobs-nightly"}
    assert len({one["check_in_id"] for one in found}) == 1
    assert found[0]["monitor_config"] == {
        "schedule": {"type": "crontab", "value": "0 9 * * *"},
        "timezone": "Europe/Berlin",
    }


@pytest.mark.parametrize("deed", ["whole", "path", "quoted", "chained", "query", "commit"])
def test_no_issue_has_a_sealed_value(
    app: Flask, kept: Kept, published: list[Message], deed: str
) -> None:
    deliver(enqueue("send-letter", {"to": deed, "link": CANARY, "pin": 90210177}))

    issue = kept.of("event")[0]
    frames = issue["exception"]["values"][-1]["stacktrace"]["frames"]
    assert "send_letter" in [frame["function"] for frame in frames]
    sent = repr(kept.items)
    assert "c4n4ry" not in sent
    assert "5f1d7a84e0" not in sent
    assert "90210177" not in sent


def test_without_secrets_an_issue_has_the_handler_s_variables(
    app: Flask, kept: Kept, published: list[Message]
) -> None:
    deliver(enqueue("sample", {"action": "hiccup"}))

    [issue] = kept.of("event")
    frame = issue["exception"]["values"][-1]["stacktrace"]["frames"][-1]
    assert "Sample(action='hiccup'" in frame["vars"]["payload"]


def test_flask_s_signal_is_sent_for_each_failure_with_the_exception(
    app: Flask, published: list[Message]
) -> None:
    heard: list[tuple[Any, BaseException]] = []

    def hear(sender: Any, exception: BaseException, **_: Any) -> None:
        heard.append((sender, exception))
        raise RuntimeError("a receiver's own trouble")

    with got_request_exception.connected_to(hear, app):
        answer = deliver(enqueue("sample", {"action": "permanent"}))
        deliver(enqueue("sample", {"action": "none"}))

    [(sender, exception)] = heard
    assert answer.status_code == 489
    assert (sender, type(exception)) == (app, PermanentError)


def test_without_the_extra_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['sentry_sdk'] = None; import app.jobs.sentry"
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )

    assert "pip install 'flask-qstash-jobs[sentry]'" in done.stderr
