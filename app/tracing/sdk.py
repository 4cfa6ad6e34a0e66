"""OpenTelemetry's SDK, configured by its own environment variables, and its instrumentations.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables
"""

from typing import Any

from flask import Flask, request
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation import psycopg
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)

from app.config import process

#: Probes and scrapes come every few seconds and are of no interest.
UNTRACED = "healthz,readyz,metrics"


def init_app(app: Flask) -> trace.Tracer:
    """Trace the app's requests and this process's SQL; return the tracer for further spans."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider(resource=Resource.create(_named(app)))
        provider.add_span_processor(WithinTraces(_processor(app)))
        trace.set_tracer_provider(provider)
    untraced = process.untraced_urls(UNTRACED)
    instrument: Any = FlaskInstrumentor.instrument_app  # has no annotations
    instrument(app, excluded_urls=untraced, response_hook=hide_links, enable_commenter=False)
    # SQLAlchemy's instrumentation does not support version 2.1, so psycopg below it is traced.
    if not psycopg.PsycopgInstrumentor().is_instrumented_by_opentelemetry:
        psycopg.PsycopgInstrumentor().instrument()
    return trace.get_tracer("app.jobs")


def hide_links(span: Any, _status: str, _headers: Any) -> None:
    """Remove secrets from a request's span: the tokens of links, and all queries.

    It runs after the request: the instrumentation would overwrite an earlier change.
    """
    if not span.is_recording():
        return
    token = (request.view_args or {}).get("token")
    path = request.path.replace(token, "(hidden)") if token else request.path
    shown = {"http.target": path, "url.path": path, "url.query": "", "http.url": path}
    for name in shown.keys() & span.attributes.keys():
        span.set_attribute(name, shown[name])


def _named(app: Flask) -> dict[str, str]:
    """Return the service's name, unless the environment has one, which ours would override."""
    return {} if process.has_service_name() else {"service.name": app.config["APP_NAME"]}


def _processor(app: Flask) -> SpanProcessor:
    if app.config["OTEL_TRACES_EXPORTER"] == "console":
        return SimpleSpanProcessor(ConsoleSpanExporter())
    return BatchSpanProcessor(OTLPSpanExporter())


class WithinTraces(SpanProcessor):
    """Passes on spans, except SQL without a parent, such as a probe's or a sweep's."""

    def __init__(self, then: SpanProcessor) -> None:
        self._then = then

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass it on."""
        self._then.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass it on, unless it is SQL without a parent."""
        scope = span.instrumentation_scope
        is_sql = scope is not None and scope.name == psycopg.__name__
        if span.parent is not None or not is_sql:
            self._then.on_end(span)

    def shutdown(self) -> None:
        """Send what is queued."""
        self._then.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is queued, for at most this long."""
        return self._then.force_flush(timeout_millis)
