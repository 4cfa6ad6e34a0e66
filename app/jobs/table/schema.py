"""JOBS_SCHEMA: the schema that has the tables of jobs, found by the search path.

Most of our statements are text, written once for all apps, and name the tables alone. SQLAlchemy's
`schema_translate_map` leaves text as it is, and names put in for each app would give each its own
statements to parse, cache and prepare. A search path costs one statement per connection. Ours is
its last schema, so that the app's own names go on meaning what they meant.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, current_app, has_app_context
from sqlalchemy import Connection, Engine, event, text

from ..errors import JobsNotInitialised, MigrationRefused, quoted

#: In bytes; PostgreSQL would cut a longer one.
_LONGEST = 63
_KEPT = "jobs_schema"

# `current_schemas` has only those of the search path that are there.
_APPEND = """
    SELECT set_config(
             'search_path',
             concat_ws(', ', nullif(current_setting('search_path'), ''),
                       quote_ident(%(schema)s::text)),
             false)
     WHERE (%(schema)s::text)::name <> ALL (current_schemas(false))
"""
_PATH = text("SELECT current_setting('search_path')")
_SET_PATH = text("SELECT set_config('search_path', :path, true)")
_RIGHTS = text(
    """
    SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE')
      FROM pg_namespace WHERE nspname = :schema
    """
)
_HAS = text(
    """
    SELECT CASE WHEN :schema = '' THEN to_regclass(quote_ident(:table)) IS NOT NULL
                ELSE EXISTS (
                  SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                   WHERE relname = :table AND nspname = :schema
                     AND has_schema_privilege(relnamespace, 'USAGE')) END
    """
)
_MAY_CREATE = text("SELECT has_database_privilege(current_database(), 'CREATE')")
_BEFORE_OURS = text(
    """
    SELECT quote_ident(nspname) || '.' || quote_ident(relname)
      FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (schema, place)
      JOIN pg_namespace ON nspname = schema
      JOIN pg_class ON relnamespace = pg_namespace.oid
     WHERE relname = ANY(:names)
       AND place < coalesce(
             array_position(current_schemas(false), (CAST(:schema AS text))::name), 2147483647)
     ORDER BY 1
    """
)

_PLACES = text(
    """
    SELECT name, nspname::text AS place
      FROM unnest(CAST(:names AS text[])) AS name
      LEFT JOIN pg_class ON pg_class.oid = to_regclass(quote_ident(name))
      LEFT JOIN pg_namespace ON pg_namespace.oid = relnamespace
    """
)
_FROM_THE_START = text(
    "SELECT reset_val LIKE '%' || quote_ident(:schema) || '%' FROM pg_settings"
    " WHERE name = 'search_path'"
)
_SERVER = text("SELECT pg_backend_pid()")


def init_app(app: Flask, engine: Engine) -> None:
    """Have every connection of the engine find the tables.

    Raises:
        JobsNotInitialised: JOBS_SCHEMA cannot be the name of a schema.
    """
    name = app.config["JOBS_SCHEMA"]
    if not name:
        return
    _check(name)

    def find(connection: Any, record: Any) -> None:
        record.info[_KEPT] = name
        with connection.cursor() as cursor:
            cursor.execute(_APPEND, {"schema": name})
        connection.commit()

    event.listen(engine, "connect", find)
    # Connections that the app has made by now would not find them.
    engine.dispose()


def find_again(connection: Any, record: Any) -> None:
    """Undo that a connection has forgotten its search path."""
    if name := record.info.get(_KEPT):
        connection.execute(_APPEND, {"schema": name}, prepare=False)


def name_of_schema() -> str:
    """Return the current app's JOBS_SCHEMA; empty where it has none."""
    return str(current_app.config["JOBS_SCHEMA"]) if has_app_context() else ""


def has(connection: Connection, table: str) -> bool:
    """Tell whether there is such a table of ours; one that this role may not see is none."""
    asked = {"schema": name_of_schema(), "table": table}
    return bool(connection.scalar(_HAS, asked))


def quote(name: str) -> str:
    """Return a name as SQL takes it, whatever letters it has."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def only_here(connection: Connection) -> Iterator[None]:
    """Have names mean what is in our schema alone, for a block that makes or changes tables.

    A migration of the app's goes on in the same transaction, so its path is put back.
    """
    name = name_of_schema()
    if not name:
        yield
        return
    before = connection.scalar(_PATH)
    connection.execute(_SET_PATH, {"path": quote(name)})
    try:
        yield
    except MigrationRefused:
        connection.execute(_SET_PATH, {"path": before})
        raise
    # After any other error the transaction is over, and with it the setting.
    connection.execute(_SET_PATH, {"path": before})


def only_here_in_sql(statements: str) -> str:
    """Return statements that make the schema, and run in it, for `flask jobs db sql`."""
    name = name_of_schema()
    if not name:
        return statements
    return (
        f"CREATE SCHEMA IF NOT EXISTS {quote(name)};\n\n"
        "SELECT set_config('jobs.path', current_setting('search_path'), false);\n\n"
        f"SET search_path TO {quote(name)};\n\n"
        f"{statements.rstrip()}\n\n"
        "SELECT set_config('search_path', current_setting('jobs.path'), false);\n"
    )


def make(connection: Connection, tables: Iterable[str]) -> None:
    """Create the schema if it is missing, and see that tables in it would be found.

    Raises:
        MigrationRefused: This role may not, or another table would be found instead.
    """
    name = name_of_schema()
    if not name:
        return
    if found := hiding(connection, tables):
        raise MigrationRefused(
            f"nothing was changed: {', '.join(found)} would be found instead, as JOBS_SCHEMA "
            f"({name}) comes last in the search_path: {how_to_move(found)}"
        )
    rights = connection.scalar(_RIGHTS, {"schema": name})
    if rights is None:
        if not connection.scalar(_MAY_CREATE):
            raise MigrationRefused(
                f"there is no schema {name}, and this role may not create one: have the database's "
                f"owner run CREATE SCHEMA {quote(name)} AUTHORIZATION the role of this app"
            )
        connection.exec_driver_sql(f"CREATE SCHEMA {quote(name)}".replace("%", "%%"))
    elif not rights:
        raise MigrationRefused(
            f"this role may not create tables in the schema {name}: have its owner run "
            f"GRANT USAGE, CREATE ON SCHEMA {quote(name)} TO the role of this app"
        )


def hiding(connection: Connection, tables: Iterable[str]) -> list[str]:
    """Return what has the name of a table of ours in a schema that is searched before ours."""
    asked = {"names": list(tables), "schema": name_of_schema()}
    return list(connection.execute(_BEFORE_OURS, asked).scalars())


def places(connection: Connection, tables: Iterable[str]) -> dict[str, str | None]:
    """Return the schema in which each table is found; None where none is."""
    found = connection.execute(_PLACES, {"names": list(tables)})
    return {row.name: row.place for row in found}


def is_kept(connection: Connection) -> bool:
    """Tell whether the search path is the same in all transactions.

    PgBouncer gives each client a number of its own making instead of the server's process, and may
    give each of its transactions another server, where nobody has set a path.
    """
    driver: Any = connection.connection.driver_connection
    if driver.info.backend_pid == connection.scalar(_SERVER):
        return True
    return bool(connection.scalar(_FROM_THE_START, {"schema": name_of_schema()}))


def how_to_move(found: list[str]) -> str:
    """Say what to do about tables that are found instead of ours."""
    return (
        "rename what is the app's own; tables of jobs from before JOBS_SCHEMA was set move with "
        f"ALTER TABLE {found[0]} SET SCHEMA {quote(name_of_schema())}"
    )


def _check(name: Any) -> None:
    is_name = isinstance(name, str) and "\0" not in name and len(name.encode()) <= _LONGEST
    if not is_name or name.startswith("pg_"):
        raise JobsNotInitialised(
            f"JOBS_SCHEMA is {quoted(name)}: name a schema, with at most {_LONGEST} bytes and not "
            "beginning with pg_"
        )
