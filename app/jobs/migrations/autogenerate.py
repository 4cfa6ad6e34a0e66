"""Alembic's autogenerate in an app: it leaves the tables of jobs alone, as they are not the app's.

Flask-Migrate passes options on to Alembic, and so gets ours by itself. An env.py that has options
of its own passes one more to `context.configure`:

    include_object=migrations.include_object
"""

from pathlib import Path
from typing import Any

from flask import Flask, appcontext_pushed, current_app, has_app_context
from sqlalchemy import Table

from ..table.db import Base, db
from ..table.schema import name_of_schema, places
from ..values.face import face

VERSION_TABLE = "jobs_alembic_version"


def init_app(app: Flask) -> None:
    """See to Flask-Migrate, which may have been initialised, or will be before there is a command.

    Each command is in a context of the app.
    """
    appcontext_pushed.connect(_pass_on, app)
    _pass_on(app)


def include_object(
    object_: Any, name: str | None, type_: str, reflected: object, compare_to: Any
) -> bool:
    """Tell Alembic to leave out a table of jobs: one of the database that is no model of the app's.

    An app's own table of the same name is in another schema.
    """
    is_unknown = type_ == "table" and bool(reflected) and compare_to is None
    is_named_so = name in Base.metadata.tables or name == VERSION_TABLE
    return not (is_unknown and is_named_so and _is_in_our_schema(object_))


def line_to_add() -> str | None:
    """Say what to add to the app's env.py; None where it has none, or needs nothing."""
    directory = getattr(current_app.extensions.get("migrate"), "directory", "migrations")
    for env in (Path(directory, "env.py"), Path("alembic", "env.py")):
        text = env.read_text("utf-8") if env.is_file() else "include_object"
        if not any(word in text for word in ("include_object", "configure_args")):
            return (
                f"in {env}, add `include_object=migrations.include_object` to `context.configure`, "
                f"with `from {face()} import migrations`"
            )
    return None


def _pass_on(app: Flask, **_: Any) -> None:
    found: Any = app.extensions.get("migrate")
    # Its type is asked, as an app may have put something there that loads all of Alembic when used.
    if type(found).__module__.partition(".")[0] != "flask_migrate":
        return
    own = found.configure_args.get("include_object")

    def include(*about: Any) -> bool:
        return include_object(*about) and (own is None or own(*about))

    found.configure_args["include_object"] = include
    appcontext_pushed.disconnect(_pass_on, app)


def _is_in_our_schema(table: Table) -> bool:
    """Tell whether it is the table of jobs; without a schema it is what the search path finds."""
    ours = name_of_schema()
    if not ours:
        return table.schema is None or not has_app_context()
    if table.schema is not None:
        return table.schema == ours
    with db.engine.connect() as connection:
        return places(connection, [table.name])[table.name] == ours
