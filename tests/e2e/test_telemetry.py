"""Two gunicorn workers, what they count together, and the trace of a webhook through QStash."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.config import DEV_WEBHOOKS
from app.dev.resend_server import ResendServer
from app.families.webhooks.samples import samples
from app.families.webhooks.sources import SOURCES
from tests.e2e.stack import Stack
from tests.support.http_server import HttpServer
from tests.support.metrics import Samples, parsed

TOKEN = "m" * 32
SPANS = {
    "POST /api/webhooks/<source>",
    "enqueue process-webhook",
    "publish process-webhook",
    "POST /api/jobs/webhook",
    "process process-webhook",
}


@pytest.fixture(scope="module")
def collector() -> Iterator[HttpServer]:
    """Take what the exporter sends, as a collector of OpenTelemetry does."""
    with HttpServer() as server:
        yield server


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory,
    database_url: str,
    resend: ResendServer,
    collector: HttpServer,
) -> Iterator[Stack]:
    """Run the stack with two workers, metrics and traces."""
    stack = Stack(tmp_path_factory.mktemp("watched"), database_url, resend)
    stack.settings |= {
        "WEB_CONCURRENCY": "2",
        "JOBS_METRICS_TOKEN": TOKEN,
        "LOG_FORMAT": "json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    try:
        stack.start_qstash()
        stack.start_web()
        stack.await_that(lambda: len(workers(stack)) == 2, "both workers to have served")
        yield stack
    finally:
        stack.stop()


def send_webhook(stack: Stack) -> None:
    """Post what makes the app enqueue a job whose handler writes to the database."""
    body = json.dumps(samples("resend")["email.bounced"]).encode()
    signed = SOURCES["resend"].verifier.sign(
        body, DEV_WEBHOOKS["WEBHOOK_RESEND_SECRET"], delivery_id=str(uuid4())
    )
    headers = {"Content-Type": "application/json", **signed}
    url = f"{stack.base_url}/api/webhooks/resend"
    urllib.request.urlopen(urllib.request.Request(url, body, headers)).close()  # noqa: S310 - our own


def scrape(stack: Stack) -> Samples:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(f"{stack.base_url}/metrics", headers=headers)  # noqa: S310 - our own
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - likewise
        return parsed(answer.read().decode())


def workers(stack: Stack) -> set[int]:
    return {int(key[1]) for key in scrape(stack) if key[0] == "process_start_time_seconds"}


def completed(stack: Stack) -> float:
    return scrape(stack).get(("jobs_deliveries_total", "completed", "process-webhook"), 0)


def test_whichever_worker_is_asked_tells_the_sum_of_all(watched: Stack) -> None:
    before = completed(watched)
    for _ in range(10):
        send_webhook(watched)
    watched.await_that(lambda: completed(watched) == before + 10, "ten deliveries to be counted")

    for _ in range(10):
        found = scrape(watched)
        assert found["jobs_enqueued_total", "process-webhook"] == before + 10
        assert found["jobs_in_flight", "process-webhook"] == 0
        assert found["jobs_processes",] == 2


def test_what_a_worker_counted_outlives_it_and_what_it_was_does_not(watched: Stack) -> None:
    before, killed = completed(watched), min(workers(watched))
    os.kill(killed, signal.SIGKILL)
    watched.await_that(lambda: len(workers(watched) - {killed}) == 2, "another in its place")

    assert completed(watched) == before
    assert scrape(watched)["jobs_processes",] == 2


@dataclass
class Trace:
    """The spans of one trace."""

    spans: list[Span]

    def __getitem__(self, name: str) -> Span:
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def children(self, parent: Span) -> list[Span]:
        return [span for span in self.spans if span.parent_span_id == parent.span_id]


def exported(collector: HttpServer) -> list[Span]:
    requests = [ExportTraceServiceRequest.FromString(body) for body in collector.bodies]
    resources = [resource for request in requests for resource in request.resource_spans]
    return [span for one in resources for scope in one.scope_spans for span in scope.spans]


def test_one_trace_runs_from_the_request_through_qstash_to_the_sql(
    watched: Stack, collector: HttpServer
) -> None:
    since = time.time_ns()
    send_webhook(watched)

    def whole() -> Trace | None:
        """Give the webhook's trace, once both workers have exported their parts of it."""
        spans = exported(collector)
        for root in (span for span in spans if span.start_time_unix_nano > since):
            trace = Trace([span for span in spans if span.trace_id == root.trace_id])
            if {span.name for span in trace.spans} >= SPANS:
                return trace
        return None

    watched.await_that(whole, "the spans of the request and of the delivery")
    trace = whole()
    assert trace is not None

    request, enqueue = trace["POST /api/webhooks/<source>"], trace["enqueue process-webhook"]
    delivery, process = trace["POST /api/jobs/webhook"], trace["process process-webhook"]
    assert request.parent_span_id == b""
    assert enqueue.parent_span_id == request.span_id
    assert trace["publish process-webhook"].parent_span_id == enqueue.span_id
    assert delivery.parent_span_id == enqueue.span_id
    assert process.parent_span_id == delivery.span_id
    assert {"SELECT", "INSERT"} <= {span.name for span in trace.children(process)}
    assert "UPDATE" in {span.name for span in trace.children(delivery)}  # the claim
    assert_logged(watched, request.trace_id.hex())
    # Neither the scrapes nor their SQL are traces.
    roots = {span.name for span in exported(collector) if not span.parent_span_id}
    assert roots <= {"GET /", "POST /api/webhooks/<source>"}


def assert_logged(stack: Stack, trace_id: str) -> None:
    lines = [json.loads(line) for line in log(stack).splitlines() if trace_id in line]

    said = {line["message"] for line in lines if line["trace_id"] == trace_id}
    assert {"[jobs] Enqueueing job", "[jobs] Processing job"} <= said


def log(stack: Stack) -> str:
    return Path(stack.folder / "web.log").read_text()
