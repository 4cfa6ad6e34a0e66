"""Files that jobs produce: written as a stream, completely or not at all, and served by link.

    with artifacts.create("users.csv", media_type="text/csv", job=job) as file:
        file.write(b"...")
    return {"url": artifacts.link(file.artifact)}

`writer` writes a file, `stores` keep it, `cleanup` removes it.
"""

from flask import Flask

from app.artifacts import cli, models, routes, stores
from app.artifacts.cleanup import Orphan, orphans, remove_expired, remove_orphans
from app.artifacts.errors import (
    ArtifactBusy,
    ArtifactError,
    ArtifactLost,
    InvalidArtifact,
    MissingExtra,
    StoreUnavailable,
)
from app.artifacts.files import create, delete, resume, store
from app.artifacts.links import link, links_of
from app.artifacts.models import Artifact
from app.artifacts.spooling import spool
from app.artifacts.writer import ArtifactFile
from app.jobs import register_links

__all__ = [
    "Artifact",
    "ArtifactBusy",
    "ArtifactError",
    "ArtifactFile",
    "ArtifactLost",
    "InvalidArtifact",
    "MissingExtra",
    "Orphan",
    "StoreUnavailable",
    "create",
    "delete",
    "init_app",
    "link",
    "models",
    "orphans",
    "remove_expired",
    "remove_orphans",
    "resume",
    "spool",
    "store",
]


def init_app(app: Flask) -> None:
    """Add the store, the endpoint that serves files, links to them, and `flask artifacts …`."""
    stores.init_app(app)
    app.register_blueprint(routes.bp)
    app.cli.add_command(cli.artifacts)
    register_links(app, links_of)
