"""OpenTelemetry, with the extra `otel`: `otel.init_app(app)`.

Traces go from the request that enqueued a job, through QStash, to its handler and SQL.
"""

from flask import Flask

from ..events import observe

try:
    from opentelemetry import trace

    from . import sdk, spans
except ImportError as error:
    said = f"the extra `otel` is missing: pip install 'flask-qstash-jobs[otel]' ({error})"
    raise ImportError(said) from error

__all__ = ["init_app"]


def init_app(app: Flask, *, service_name: str | None = None) -> None:
    """Trace this app's jobs from now on; call it after `Jobs.init_app`.

    An app that has set up a tracer provider before gets the spans of jobs in its own traces, and
    log lines with the ids of both. In any other, the SDK is set up from its own variables, if
    OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER says where traces go, and requests and SQL
    are traced too.

    Args:
        app: The app.
        service_name: The service's name where the environment has none; by default the app's.

    Raises:
        JobsNotInitialised: The app has no jobs yet.
    """
    observe(app, spans.Spans(trace.get_tracer("flask_qstash_jobs")))
    if not sdk.is_set_up() and sdk.is_wanted():
        sdk.set_up(service_name or app.name)
    if sdk.is_ours():
        sdk.instrument(app)
    spans.add_to_log_lines()
