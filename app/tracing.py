"""Traces of this app, if its settings say where they go: only then is OpenTelemetry imported."""

from flask import Flask

from app.config import ConfigError

SETTINGS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER")


def init_app(app: Flask) -> None:
    """Trace this app.

    Raises:
        ConfigError: The extra is missing.
    """
    wanted = [name for name in SETTINGS if app.config[name]]
    if not wanted or app.config["OTEL_TRACES_EXPORTER"] == "none":
        return
    try:
        from app.jobs import otel  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        needs = f"needs more packages: pip install -r requirements/otel.txt ({error})."
        raise ConfigError({wanted[0]: [needs]}) from error
    otel.init_app(app, service_name=app.config["APP_NAME"])
