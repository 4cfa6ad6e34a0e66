"""gunicorn's entry, and what the `flask` command finds."""

import sys

from app import INSTANCE, create_app
from app.config import ConfigError
from app.jobs import StartRefused


def embedded_database() -> str:
    """Return the URL of development's own PostgreSQL, which is started if need be."""
    from app.dev.postgres import ensure_running  # noqa: PLC0415 - development only

    return ensure_running(INSTANCE)


try:
    app = create_app(embedded=embedded_database)
except (ConfigError, StartRefused) as error:
    sys.stderr.write(f"Error: {error.format_message()}\n")
    # 3 tells gunicorn that the worker cannot boot; with any other it would try for ever.
    sys.exit(3)
