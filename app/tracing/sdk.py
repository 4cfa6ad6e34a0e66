"""OpenTelemetry's SDK, set up by its own environment variables, and what it instruments itself.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables
"""

import os
from typing import Any

from flask import Flask
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)

#: Probes and scrapes come every few seconds and say nothing.
UNTRACED = "healthz,readyz,metrics"


def init_app(app: Flask) -> None:
    """Trace the app's requests, and the SQL of this process."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider(resource=Resource.create(_named(app)))
        provider.add_span_processor(_processor(app))
        trace.set_tracer_provider(provider)
    untraced = os.environ.get("OTEL_PYTHON_FLASK_EXCLUDED_URLS", UNTRACED)
    instrument: Any = FlaskInstrumentor.instrument_app  # has no annotations
    instrument(app, excluded_urls=untraced, enable_commenter=False)
    # SQLAlchemy's own instrumentation does not know version 2.1; beneath it is psycopg.
    if not PsycopgInstrumentor().is_instrumented_by_opentelemetry:
        PsycopgInstrumentor().instrument()


def _named(app: Flask) -> dict[str, str]:
    """Return the service's name, unless the environment has one: that would not count then."""
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if "OTEL_SERVICE_NAME" in os.environ or "service.name" in given:
        return {}
    return {"service.name": app.config["APP_NAME"]}


def _processor(app: Flask) -> SpanProcessor:
    if app.config["OTEL_TRACES_EXPORTER"] == "console":
        return SimpleSpanProcessor(ConsoleSpanExporter())
    return BatchSpanProcessor(OTLPSpanExporter())
