"""OpenTelemetry's SDK, configured by its own environment variables, and its instrumentations.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables
"""

import os
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

#: Probes and scrapes come every few seconds and are of no interest.
UNTRACED = "healthz,readyz,metrics"


class Provider(TracerProvider):
    """A provider that was set up here, for which requests and SQL are traced."""


def is_wanted() -> bool:
    """Tell whether the environment says where traces go."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    return exporter != "none" and bool(exporter or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))


def is_set_up() -> bool:
    """Tell whether this process has a provider, whosever it is."""
    return isinstance(trace.get_tracer_provider(), TracerProvider)


def is_ours() -> bool:
    """Tell whether this process's provider was set up here."""
    return isinstance(trace.get_tracer_provider(), Provider)


def set_up(service_name: str) -> None:
    """Have this process's traces exported, under that name unless the environment has one."""
    named = {} if _has_service_name() else {"service.name": service_name}
    provider = Provider(resource=Resource.create(named))
    provider.add_span_processor(WithinTraces(_processor()))
    trace.set_tracer_provider(provider)


def instrument(app: Flask) -> None:
    """Trace the app's requests and this process's SQL."""
    untraced = os.environ.get("OTEL_PYTHON_FLASK_EXCLUDED_URLS", UNTRACED)
    befores = app.before_request_funcs.setdefault(None, [])
    known = len(befores)
    instrument_app: Any = FlaskInstrumentor.instrument_app  # has no annotations
    instrument_app(app, excluded_urls=untraced, response_hook=hide_links, enable_commenter=False)
    if len(befores) > known:  # first of all: an answer of the app's own, such as a 401, is traced
        befores.insert(0, befores.pop())
    # SQLAlchemy's instrumentation does not support version 2.1, so psycopg below it is traced.
    if not psycopg.PsycopgInstrumentor().is_instrumented_by_opentelemetry:
        psycopg.PsycopgInstrumentor().instrument()


def hide_links(span: Any, _status: str, _headers: Any) -> None:
    """Remove secrets from a request's span: the tokens of links, and all queries.

    It runs after the request: the instrumentation would overwrite an earlier change. There is no
    span where the app answered before one began, such as in a `url_value_preprocessor`.
    """
    if span is None or not span.is_recording():
        return
    token = (request.view_args or {}).get("token")
    path = request.path.replace(token, "(hidden)") if token else request.path
    shown = {"http.target": path, "url.path": path, "url.query": "", "http.url": path}
    for name in shown.keys() & span.attributes.keys():
        span.set_attribute(name, shown[name])


def _has_service_name() -> bool:
    resource = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return "OTEL_SERVICE_NAME" in os.environ or "service.name" in resource


def _processor() -> SpanProcessor:
    if os.environ.get("OTEL_TRACES_EXPORTER") == "console":
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
