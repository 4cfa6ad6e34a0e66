"""The SaaS domain that the job families act on."""

from flask import Flask

from app.accounts import models

__all__ = ["init_app", "models"]


def init_app(app: Flask) -> None:
    """Add `flask accounts …`."""
