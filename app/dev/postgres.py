"""The PostgreSQL of a `flask` command in development, when DATABASE_URL is not set."""

import sys
from pathlib import Path

from app.embedded_postgres.server import DEVELOPMENT_DATABASE, Server


def ensure_running(instance: Path) -> str:
    """Return the URL of the development database below `instance`, starting its server if needed.

    The server outlives this process. Its password and, where it is still free, its port are the
    same every time, and so is the URL.

    Raises:
        PostgresError: no PostgreSQL was found, or it did not start; the message says why.
    """
    server = Server(instance / "postgres")
    server.start()
    if server.started:
        sys.stderr.write(
            f"Started PostgreSQL in the background (data in {server.home});"
            " stop it with: python -m app.dev stop\n"
        )
    return server.create_database(DEVELOPMENT_DATABASE)
