"""Traces by OpenTelemetry: one runs from the request that enqueued, through QStash, to the SQL.

Nothing of OpenTelemetry is imported unless OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER says
where traces go.
"""

from flask import Flask

from app.config import ConfigError
from app.jobs.events import observe

SETTINGS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER")


def init_app(app: Flask) -> None:
    """Trace what this app does, if its settings say where to.

    Raises:
        ConfigError: The extra is missing.
    """
    wanted = [name for name in SETTINGS if app.config[name]]
    if not wanted or app.config["OTEL_TRACES_EXPORTER"] == "none":
        return
    try:
        from app.tracing import sdk, spans  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        needs = f"needs more packages: pip install -r requirements/otel.txt ({error})."
        raise ConfigError({wanted[0]: [needs]}) from error
    observe(app, spans.Spans(sdk.init_app(app)))
    spans.add_to_log_lines()
