"""The spans of a job, in this process; tests/e2e/test_telemetry.py sees a whole trace."""

import os
import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

from app.jobs import batch, enqueue, enqueue_many, signal, workflow
from app.jobs.events import observe
from app.jobs.otel.sdk import hide_links
from app.jobs.otel.spans import Spans
from app.jobs.publish import relay
from app.jobs.table.job_rows import get_job_execution_by_job_id
from app.jobs.testing import deliver, drain
from tests.support.apps import settings
from tests.support.sample_jobs import Sample, noop, sample


class Ended(InMemorySpanExporter):
    """The spans that have ended."""

    def __getitem__(self, name: str) -> Any:
        return next(span for span in self.get_finished_spans() if span.name == name)


@pytest.fixture
def spans(app: Flask) -> Ended:
    ended, provider = Ended(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(ended))
    observe(app, Spans(provider.get_tracer("tests")))
    return ended


def test_every_publish_of_a_job_belongs_to_the_trace_that_enqueued_it(spans: Ended) -> None:
    job_id = enqueue("sample", {"action": "none"})  # QStash is away
    enqueued = spans["enqueue sample"].context
    spans.clear()
    relay.publish_job(job_id)  # as a sweep does, in another process

    row = get_job_execution_by_job_id(job_id)
    assert row is not None
    trace_id, span_id = format_trace_id(enqueued.trace_id), format_span_id(enqueued.span_id)
    assert row.options["headers"]["traceparent"].startswith(f"00-{trace_id}-{span_id}-")
    assert spans["publish sample"].context.trace_id == enqueued.trace_id
    assert spans["publish sample"].attributes["error.type"] == "PublishUnavailable"


def test_where_requests_are_not_traced_a_delivery_goes_on_with_its_header(
    spans: Ended, published: object
) -> None:
    deliver(enqueue("sample", {"action": "none"}))

    enqueued, process = spans["enqueue sample"].context, spans["process sample"]
    assert process.context.trace_id == enqueued.trace_id
    assert process.parent.span_id == enqueued.span_id


def test_an_app_that_has_set_up_opentelemetry_keeps_its_provider_and_instrumentations() -> None:
    script = """
from types import SimpleNamespace
from flask import Flask
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from app.jobs import otel
trace.set_tracer_provider(own := TracerProvider())
app = Flask("host")
app.extensions["jobs"] = jobs = SimpleNamespace(observers=[])
otel.init_app(app)
is_instrumented = getattr(app, "_is_instrumented_by_opentelemetry", False)
print(trace.get_tracer_provider() is own, is_instrumented, len(jobs.observers))
"""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OTEL_TRACES_EXPORTER": "console"},
    )

    assert done.stdout == "True False 1\n"


def test_what_an_app_answers_before_its_views_is_traced_and_no_500() -> None:
    script = """
from types import SimpleNamespace
from flask import Flask, abort, request
from app.jobs import otel
app = Flask("host")
app.extensions["jobs"] = SimpleNamespace(observers=[])
app.before_request(lambda: ("Who are you?", 401) if request.path == "/in" else None)
app.url_value_preprocessor(lambda *_: abort(403) if request.path == "/odd" else None)
app.add_url_rule("/in", view_func=lambda: "in", endpoint="in")
app.add_url_rule("/odd", view_func=lambda: "odd", endpoint="odd")
otel.init_app(app)
otel.init_app(app)
client = app.test_client()
print([client.get(path).status_code for path in ("/in", "/odd")])
"""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OTEL_TRACES_EXPORTER": "console"},
    )

    assert "[401, 403]" in done.stdout
    assert '"http.status_code": 401' in done.stdout


def test_a_batch_is_linked_to_each_of_its_jobs(spans: Ended, published: object) -> None:
    enqueue_many("noop", [{"action": "none"}] * 3)

    publish = spans["publish noop"]
    assert publish.attributes["messaging.batch.message_count"] == 3
    assert {link.context.span_id for link in publish.links} == {
        spans["enqueue noop"].context.span_id
    }


def test_one_trace_goes_through_a_batch_and_what_follows_it(
    spans: Ended, published: object
) -> None:
    with batch("invoices", then=noop.s(Sample("none"))) as made:
        made.enqueue_many([noop.s(Sample("none")), sample.s(Sample("none"))])
    drain()

    enqueued = spans["enqueue batch"].context
    finished: Any = spans.get_finished_spans()
    process = [span for span in finished if span.name.startswith("process ")]
    assert len(process) == 3
    assert {span.context.trace_id for span in process} == {enqueued.trace_id}
    assert {span.parent.span_id for span in process} == {enqueued.span_id}
    assert {span.attributes["job.batch.id"] for span in process} == {made.id}


def test_one_trace_goes_through_all_steps_and_what_they_add(
    spans: Ended, published: object, app: Flask
) -> None:
    with workflow("steps", then=noop.s(Sample("none"))) as made:
        made.add("first", sample.s(Sample("none")))
        made.add("many", sample.s(Sample("fan-out", 2)), after=["first"])
        made.wait_for("go", timeout="1d", after=["many"])
        made.add("last", sample.s(Sample("none")), after=["go"])
    drain()
    signal("go")
    drain()

    finished: Any = spans.get_finished_spans()
    process = [span for span in finished if span.name.startswith("process ")]
    assert len(process) == 6
    traces = {span.context.trace_id for span in process}
    assert traces == {spans["enqueue workflow"].context.trace_id}
    assert spans["enqueue batch"].context.trace_id in traces  # what the second step added


def test_a_failure_is_named_and_its_message_left_out(spans: Ended, published: object) -> None:
    deliver(enqueue("sample", {"action": "fail"}))

    process = spans["process sample"]
    assert process.attributes["error.type"] == "ValueError"
    assert process.attributes["job.attempt"] == 1
    assert " bad " not in process.to_json()  # with blanks, as an id may have the letters


def test_the_token_of_a_link_is_in_no_span(app: Flask) -> None:
    ended, provider = Ended(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(ended))
    instrumentor = FlaskInstrumentor()
    instrumentor.instrument_app(app, tracer_provider=provider, response_hook=hide_links)
    for path in ("/api/artifacts/s3cret", f"/api/jobs/{uuid4()}?token=s3cret", "/x?token=s3cret"):
        app.test_client().get(path)
    instrumentor.uninstrument_app(app)

    spans = [span.to_json() for span in ended.get_finished_spans()]
    assert len(spans) == 3
    assert "/api/artifacts/(hidden)" in spans[0]
    assert "s3cret" not in "".join(spans)


def test_without_the_extra_the_start_says_what_to_install(database_url: str) -> None:
    script = f"""
import sys
sys.modules["opentelemetry"] = None
from app import create_app
from app.config import ConfigError
try:
    create_app({{**{settings(database_url)!r}, "OTEL_TRACES_EXPORTER": "console"}})
except ConfigError as error:
    print(error.format_message())
"""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )

    fix = "needs more packages: pip install -r requirements/otel.txt"
    assert f"OTEL_TRACES_EXPORTER: {fix}" in done.stdout
