"""`flask jobs init`: from an installed package to an app with jobs."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy.exc import SQLAlchemyError

from .. import migrations
from ..errors import JobsError, JobsNotInitialised
from ..registry import registry_of
from ..table.db import db, upgrade_command
from . import dev, dev_database
from .group import confirm, is_terminal, jobs, needs_writing, yes

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

ENV = Path(".env")

_NOTE = "# By `flask jobs init`, for development: the keys of the local QStash server are public."
_NOTE_KEYS = "# By `flask jobs init`, for development: encrypts the sealed fields of payloads."
_NOTE_IDS = "# What the ids of your users are, in production, too."
_LINES = """\
from flask_qstash_jobs import JobBlueprint, Jobs

Jobs(app, db)                   # after db.init_app(app), your Flask-SQLAlchemy
app.register_blueprint(bp)      # each JobBlueprint of yours"""
_START = "`flask jobs dev` runs the app and a local QStash; then `flask jobs doctor`"
_KEYS = "JOBS_ENCRYPTION_KEYS"
_USERS = ("user", "users", "account", "accounts")


@jobs.command("init", with_appcontext=False)
@yes
@click.pass_context
def init(ctx: click.Context, *, yes: bool) -> None:
    r"""Write the settings to begin with, and print what is left to do.

    The settings are those of the local QStash server, and a new encryption key where a job type
    seals fields. They are appended to .env, once you agree, if neither it nor the environment nor
    the app has them.

    \b
    Examples:
      flask jobs init
      flask --app shop jobs init --yes
    """
    info = ctx.ensure_object(ScriptInfo)
    try:
        app = _keyed_app(info, sure=yes)
        if app is None:
            _offer(dev.settings(), note=_NOTE, sure=yes)
            app = _keyed_app(info, sure=yes)
    except SQLAlchemyError as error:
        _offer(dev.settings(), note=_NOTE, sure=yes)
        _left("Database", _about_database(error))
        return _left("Start", _START)
    if app is None:
        return _left(
            "Settings", f"the app has no settings for QStash yet:\n{_lines(dev.settings())}"
        )
    if "jobs" not in app.extensions:
        return _left("Extension", f"add to your app, then run this again:\n{_LINES}")
    with app.app_context():
        if (kind := _kind_of_ids(app)) not in (None, app.config["JOBS_ID_TYPE"]):
            _offer({"JOBS_ID_TYPE": str(kind)}, note=_NOTE_IDS, sure=yes)
        _left("Settings", _about_settings(app))
        if dev_database.has_none(app):
            _left("Database", dev_database.about_embedded())
        else:
            _left("Tables", _about_tables())
        if line := migrations.line_to_add():
            _left("Alembic", line)
        _left("Jobs", _about_families(app))
    _left("Start", _START)
    return None


class _LacksKeys(click.UsageError):
    """A job type seals fields, and nothing has a key for it."""


def _keyed_app(info: ScriptInfo, *, sure: bool) -> Flask | None:
    """Load the app as `_app` does, with a new key where it lacks one."""
    try:
        return _app(info)
    except _LacksKeys:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - slow to import, and rarely needed

        _offer({_KEYS: Fernet.generate_key().decode()}, note=_NOTE_KEYS, sure=sure)
        return _app(info)


def _app(info: ScriptInfo) -> Flask | None:
    """Load the app, which may lack a database yet; None where other settings are missing."""
    try:
        if dev_database.is_named():
            return info.load_app()
        with dev_database.without_address({}):
            return info.load_app()
    except JobsError as error:
        if isinstance(error, JobsNotInitialised) and any(
            name in str(error) for name in dev.settings()
        ):
            return None
        lacks_keys = _KEYS in str(error) and _KEYS not in os.environ
        raise (_LacksKeys if lacks_keys else click.UsageError)(str(error)) from error


def _offer(settings: dict[str, str], *, note: str, sure: bool) -> None:
    """Append what is missing to .env, and have this process know it."""
    there = ENV.read_text("utf-8") if ENV.exists() else ""
    names = {line.removeprefix("export ").split("=")[0].strip() for line in there.splitlines()}
    missing = {name: value for name, value in settings.items() if name not in names}
    os.environ.update({name: value for name, value in settings.items() if name not in os.environ})
    if not missing:
        return
    click.echo(f"{_lines(missing)}\n")
    if not (sure or is_terminal()):
        click.echo(f"Not in {ENV} yet: pass --yes to append this.\n")
        return
    if not sure:
        confirm(f"Append this to {ENV}?")
    with needs_writing(str(ENV)), ENV.open("a", encoding="utf-8") as file:
        file.write("" if not there or there.endswith("\n") else "\n")
        file.write(f"{note}\n{_lines(missing)}\n")
    loads = (
        "Flask loads it" if find_spec("dotenv") else "`pip install python-dotenv` has Flask load it"
    )
    click.echo(f"Written to {ENV}; {loads}.\n")


def _lines(settings: dict[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in settings.items())


def _left(what: str, said: str) -> None:
    first, *rest = said.split("\n")
    click.echo(f"{what:<11}{first}")
    for line in rest:
        click.echo(f"{'':<11}{line}".rstrip())


def _about_settings(app: Flask) -> str:
    return f"deliveries go to {app.config['BASE_URL']} from {app.config['QSTASH_URL']}"


def _about_database(error: SQLAlchemyError) -> str:
    """Say what is amiss with the database that the app, or this command, connects to."""
    if dev_database.is_named():
        return f"the database cannot be reached: {str(error).splitlines()[0]}"
    return dev_database.about_embedded()


def _about_tables() -> str:
    try:
        with db.engine.connect() as connection:
            found = migrations.current(connection)
    except SQLAlchemyError as error:
        return _about_database(error)
    if found == migrations.HEAD:
        return "they are there"
    return f"run `{upgrade_command()}`"


def _about_families(app: Flask) -> str:
    families = app.extensions["jobs"].families
    if families is not None:
        return f"in {families}; `flask jobs new FAMILY TYPE` writes one with its tests"
    number = len(list(registry_of(app)))
    done = f"{number} registered" if number else "register each JobBlueprint with the app"
    return (
        f"{done}. `flask jobs new` can write more, once they are kept in a package:\n"
        "Jobs(app, db, families='yourapp.families')"
    )


def _kind_of_ids(app: Flask) -> str | None:
    """Return what JOBS_ID_TYPE should be by the key of the app's table of users, if it has one."""
    host: SQLAlchemy = app.extensions["sqlalchemy"]
    for table in host.metadata.tables.values():
        keys: Any = list(table.primary_key)
        if table.name.lower() in _USERS and len(keys) == 1:
            try:
                python = keys[0].type.python_type
            except NotImplementedError:
                return None
            return {int: "integer", str: "text", UUID: "uuid"}.get(python)
    return None
