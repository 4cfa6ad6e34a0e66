"""Files that jobs produce: written as a stream, whole or not at all, and handed out by link."""

from flask import Flask

from app.artifacts import models

__all__ = ["init_app", "models"]


def init_app(app: Flask) -> None:
    """Add the endpoint that hands files out."""
