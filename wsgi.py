"""gunicorn's entry, and what the `flask` command finds."""

import sys

from app import create_app
from app.config import ConfigError

try:
    app = create_app()
except ConfigError as error:
    sys.stderr.write(f"Error: {error.format_message()}\n")
    # 3 tells gunicorn that the worker cannot boot; with any other it would try for ever.
    sys.exit(3)
