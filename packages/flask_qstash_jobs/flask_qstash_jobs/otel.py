"""Jobs in OpenTelemetry, with the extra `otel`: `otel.init_app(app)`."""

from .jobs.otel import *  # noqa: F403 - the face is listed once, in its `__all__`
