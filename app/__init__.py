"""The application: `create_app` is its table of contents."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flask import Flask

INSTANCE = Path(__file__).parent.parent / "instance"


def create_app(
    overrides: Mapping[str, Any] | None = None,
    *,
    instance: Path = INSTANCE,
    embedded: Callable[[], str] | None = None,
) -> Flask:
    """Return a new app.

    Args:
        overrides: Settings that stand above the environment's, for tests.
        instance: Where this copy keeps what it writes.
        embedded: Starts a database and returns its URL, for development without DATABASE_URL.

    Raises:
        ConfigError: Settings are missing or invalid.
        DiscoveryError: A job family is broken.
    """
    # Imported here, so that commands that need no app start without it.
    from app import (  # noqa: PLC0415
        accounts,
        admin,
        api,
        artifacts,
        config,
        engine,
        extensions,
        logs,
        tracing,
    )
    from app.db import db  # noqa: PLC0415
    from app.jobs import metrics  # noqa: PLC0415
    from app.web import headers, limits, problems, proxies  # noqa: PLC0415

    app = Flask(__name__, instance_path=str(instance))
    app.config.from_mapping(config.load(instance))
    app.config.from_mapping(overrides or {})
    logs.init_app(app)
    engine.init_app(app, embedded or engine.none_embedded)
    extensions.init_migrations(app, db)
    limits.init_app(app)
    extensions.jobs.init_app(app, db, families="app.families")
    accounts.init_app(app)
    artifacts.init_app(app)
    api.init_app(app)
    admin.init_app(app)
    metrics.init_app(app)
    tracing.init_app(app)
    problems.init_app(app)
    headers.init_app(app)
    proxies.init_app(app)
    return app
