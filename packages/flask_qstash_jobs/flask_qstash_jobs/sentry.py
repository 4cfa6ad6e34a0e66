"""Jobs in Sentry, with the extra `sentry`: `sentry.init_app(app)`."""

from .jobs.sentry import *  # noqa: F403 - the face is listed once, in its `__all__`
