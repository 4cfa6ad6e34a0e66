"""gunicorn's entry, and what the `flask` command finds."""

import gc
import sys

# All that is loaded stays. For the collector to go through it meanwhile, and once more at the end,
# would be a third of what a short `flask` command costs.
gc.disable()

from app import INSTANCE, create_app  # noqa: E402 - as just said
from app.config import ConfigError  # noqa: E402
from app.jobs import StartRefused  # noqa: E402


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
gc.freeze()
gc.enable()
