"""The SaaS domain that the job families act on."""

from flask import Flask

from app.accounts import cli, models

__all__ = ["init_app", "models"]


def init_app(app: Flask) -> None:
    """Add `flask accounts …`."""
    app.cli.add_command(cli.accounts)
