"""OpenTelemetry traces, from the request that enqueued a job, through QStash, to its SQL.

OpenTelemetry is imported only if OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER says where
traces go.
"""

from flask import Flask

from app.config import ConfigError
from app.jobs.events import observe

SETTINGS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER")


def init_app(app: Flask) -> None:
    """Trace this app, if its settings say where traces go.

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
