"""The extensions, not yet bound to an app."""

from collections.abc import Callable
from typing import Any

import click
from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_sqlalchemy import SQLAlchemy
from werkzeug.local import LocalProxy

from app.jobs import Jobs

jobs = Jobs()
#: Counts in the process's memory, or for all processes at RATELIMIT_STORAGE_URI; if
#: that is away, in memory until it is back.
limiter = Limiter(get_remote_address, in_memory_fallback_enabled=True)


class _MigrationCommands(click.Group):
    """Stands in for `flask db`, and loads Flask-Migrate when that is called."""

    def __init__(self, app: Flask, load: Callable[[], object]) -> None:
        super().__init__("db", help="Perform database migrations.")
        self._app = app
        self._load = load

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Return the context of Flask-Migrate's own group, which is then invoked."""
        return self._group().make_context(*args, **kwargs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._group().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self._group().list_commands(ctx)

    def _group(self) -> click.Group:
        self._load()
        loaded: Any = self._app.cli.commands["db"]
        return loaded  # type: ignore[no-any-return]


def init_migrations(app: Flask, db: SQLAlchemy) -> None:
    """Bind Flask-Migrate on first use: with Alembic it is slow to import."""

    def load() -> object:
        from flask_migrate import Migrate  # noqa: PLC0415 - as just said

        # Replaces both stand-ins below.
        Migrate().init_app(app, db)
        return app.extensions["migrate"]

    app.extensions["migrate"] = LocalProxy(load)
    app.cli.add_command(_MigrationCommands(app, load))
