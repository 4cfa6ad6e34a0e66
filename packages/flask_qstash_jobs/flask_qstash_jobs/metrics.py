"""Jobs in Prometheus, with the extra `metrics`: `metrics.init_app(app)`."""

from .jobs.metrics import *  # noqa: F403 - the face is listed once, in its `__all__`
