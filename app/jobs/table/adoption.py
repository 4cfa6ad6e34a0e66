"""The TypeScript starter's `job_executions`, made ours: rows kept, columns added, types widened.

The first migration adopts the table where it would create one. Whatever stands against that is said
before anything is changed; the way there is one statement, in the migration's transaction.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import DataError

from .db import Base
from .models import Status

TABLE = "job_executions"

_NUMBERS = ("smallint", "integer", "bigint")
_TEXTS = ("character varying", "text", "enum")
_TIMES = ("timestamp without time zone", "timestamp with time zone")
_TIMESTAMP = "timestamp with time zone"


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of the starter's becomes.

    Attributes:
        wanted: Its type then; None where `owner_columns` sees to that.
        taken: What it may be now.
        length: Of the longest text that it can hold.
        default: What a row has that says nothing; with it, it must not be null.
        needed: Whether a table without it is not a table of jobs.
    """

    wanted: str | None
    taken: tuple[str, ...]
    length: int | None = None
    default: str | None = None
    needed: bool = False

    @property
    def is_required(self) -> bool:
        return self.needed or self.default is not None


_OWNER = Column(None, (*_NUMBERS, "character varying", "text", "uuid"))
COLUMNS = {
    "id": Column("bigint", _NUMBERS, needed=True),
    "job_id": Column("character varying(255)", (*_TEXTS, "uuid"), length=255, needed=True),
    "job_type": Column("character varying(100)", _TEXTS, length=100, needed=True),
    "status": Column("character varying(50)", _TEXTS, length=50, default="'pending'", needed=True),
    "payload": Column("jsonb", ("json", "jsonb"), needed=True),
    "result": Column("jsonb", ("json", "jsonb")),
    "error": Column("text", _TEXTS),
    "retry_count": Column("integer", ("smallint", "integer"), default="0"),
    "user_id": _OWNER,
    "organization_id": _OWNER,
    "started_at": Column(_TIMESTAMP, _TIMES),
    "completed_at": Column(_TIMESTAMP, _TIMES),
    "created_at": Column(_TIMESTAMP, _TIMES, default="now()"),
    "updated_at": Column(_TIMESTAMP, _TIMES, default="now()"),
}
#: What the first migration adds to them, and how.
ADDED = {
    "message_id": "text",
    "idempotency_key": "varchar(255)",
    "schedule_id": "text",
    "queue": "text",
    "max_retries": "integer",
    "options": "jsonb DEFAULT '{}'::jsonb NOT NULL",
    "available_at": "timestamptz",
    "published_at": "timestamptz",
    "lease_token": "uuid",
    "lease_expires_at": "timestamptz",
    "progress": "jsonb",
    "attempts": "jsonb DEFAULT '[]'::jsonb NOT NULL",
    "generation": "integer DEFAULT 0 NOT NULL",
    "reschedules": "integer DEFAULT 0 NOT NULL",
    "dead_at": "timestamptz",
    "cancelled_at": "timestamptz",
}
#: What `complete` does to an adopted table; in an app's history, later migrations do.
_COMPLETED = (
    *(
        f"DROP INDEX IF EXISTS idx_{TABLE}_{name}"
        for name in ("created_at", "organization_id", "status", "status_created", "user_id")
    ),
    f"""
    ALTER TABLE {TABLE}
      ADD COLUMN legs integer DEFAULT 0 NOT NULL,
      ADD COLUMN checkpoint jsonb,
      ADD CONSTRAINT ck_{TABLE}_available_at CHECK (
        available_at >= '1970-01-01 00:00:00+00' AND available_at < '9000-01-01 00:00:00+00')
    """,
)
_STATUSES = ", ".join(f"'{status}'" for status in Status)

_FOUND = text("SELECT to_regclass(:name) IS NOT NULL")
_PRESENT = text(
    f"""
    SELECT attname AS name, attnotnull AS required,
           attidentity <> '' OR attgenerated <> '' OR atthasdef AS fills_itself,
           CASE typtype WHEN 'e' THEN 'enum' ELSE format_type(atttypid, NULL) END AS type
      FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
     WHERE attrelid = '{TABLE}'::regclass AND attnum > 0 AND NOT attisdropped
    """  # noqa: S608 - the only values in the text are this module's names
)
_CONSTRAINTS = text(
    f"""
    SELECT conname AS name, contype::text AS kind, pg_get_constraintdef(oid) AS definition
      FROM pg_constraint WHERE conrelid = '{TABLE}'::regclass AND contype <> 'n'
    """  # noqa: S608 - as above
)
_VIEWS = text(
    f"""
    SELECT DISTINCT ev_class::regclass::text
      FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid
     WHERE classid = 'pg_rewrite'::regclass AND refobjid = '{TABLE}'::regclass
       AND ev_class <> refobjid
    """  # noqa: S608 - as above
)
# What names a column keeps PostgreSQL from changing that column's type, even to the same one.
_USES = text(
    f"""
    SELECT DISTINCT pg_describe_object(classid, objid, objsubid)
      FROM pg_depend
      JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
      LEFT JOIN pg_attrdef ON classid = 'pg_attrdef'::regclass AND pg_attrdef.oid = objid
     WHERE refobjid = '{TABLE}'::regclass AND attname = ANY(:columns)
       AND (classid IN ('pg_trigger'::regclass, 'pg_policy'::regclass)
            OR adnum <> refobjsubid
            OR (classid = 'pg_class'::regclass AND objid = refobjid))
    """  # noqa: S608 - as above
)
_KIND = text(
    f"""
    SELECT relkind::text, pg_has_role(relowner, 'USAGE')
      FROM pg_class WHERE oid = '{TABLE}'::regclass
    """  # noqa: S608 - as above
)
# QStash waits a day at most before a retry: what has not been touched for two is not retried.
_BURY = text(
    f"""
    UPDATE {TABLE} SET dead_at = updated_at
     WHERE status = 'failed' AND updated_at < now() - interval '2 days'
    """  # noqa: S608 - as above
)


def is_there(connection: Connection) -> bool:
    return bool(connection.execute(_FOUND, {"name": TABLE}).scalar())


def problems(connection: Connection, tables: Iterable[Table]) -> list[str]:
    """Say what keeps a database that has no tables of ours yet from getting them."""
    found = [*_taken_names(connection, tables)]
    return found + list(_unadoptable(connection)) if is_there(connection) else found


def adopt(connection: Connection) -> None:
    """Turn the starter's table into what the first migration creates, but for its indexes."""
    present = {row.name: row.type for row in connection.execute(_PRESENT)}
    changes = [change for name in COLUMNS for change in _changes(name, present.get(name))]
    changes += [f"ADD COLUMN {name} {definition}" for name, definition in ADDED.items()]
    changes += [f"ADD CONSTRAINT ck_{TABLE}_status CHECK (status IN ({_STATUSES}))"]
    _rename_constraints(connection)
    connection.execute(text(f"ALTER TABLE {TABLE} {', '.join(changes)}"))
    sequence = text(f"SELECT pg_get_serial_sequence('{TABLE}', 'id')")
    if found := connection.execute(sequence).scalar():
        connection.execute(text(f"ALTER SEQUENCE {found} AS bigint"))
    connection.execute(_BURY)


def complete(connection: Connection) -> None:
    """Turn an adopted table into what the migrations that the extension ships go on from."""
    for statement in _COMPLETED:
        connection.execute(text(statement))


def _taken_names(connection: Connection, tables: Iterable[Table]) -> Iterator[str]:
    """Yield the tables that the migrations would create, and that are there already."""
    here = "quote_ident(current_schema()) || '.' || quote_ident(:name)"
    for table in tables:
        found = connection.execute(text(f"SELECT to_regclass({here})"), {"name": table.name})
        if table.name != TABLE and found.scalar() is not None:
            yield (
                f"there is a table {table.name} already: rename it, or give this app's tables a"
                " separate schema that comes first in the search_path of DATABASE_URL"
            )


def _unadoptable(connection: Connection) -> Iterator[str]:
    kind, may_change = connection.execute(_KIND).one()
    if kind != "r":
        yield f"{TABLE} is not a plain table: copy its rows into one"
        return
    if not may_change:
        yield f"{TABLE} belongs to another role: run the upgrade as its owner"
    unfit = [*_unfit_columns(connection)] or [*_unfit_json(connection)]
    yield from unfit or _unfit_rows(connection)
    yield from _unfit_constraints(connection)
    for view in connection.execute(_VIEWS).scalars():
        yield f"the view {view} shows {TABLE}, whose types change: drop it, create it again after"
    for use in connection.execute(_USES, {"columns": list(COLUMNS)}).scalars():
        yield f"{use} goes by columns whose types change: drop it, create it again after"


def _unfit_columns(connection: Connection) -> Iterator[str]:
    present = {row.name: row for row in connection.execute(_PRESENT)}
    own = set(Base.metadata.tables[TABLE].columns.keys()) - COLUMNS.keys()
    for name, column in COLUMNS.items():
        if name not in present:
            if column.needed:
                yield f"{TABLE} has no column {name}: add it, as every job has one"
        elif present[name].type not in column.taken:
            is_now, may_be = present[name].type, ", ".join(column.taken)
            yield f"{TABLE}.{name} is {is_now}: change its type to one of {may_be}"
    if "id" in present and not present["id"].fills_itself:
        yield f"{TABLE}.id has no default: make it an identity column"
    for name, found in present.items():
        if name in own:
            yield f"{TABLE} already has a column {name}, which the upgrade adds: rename it"
        elif name not in COLUMNS and found.required and not found.fills_itself:
            yield f"{TABLE}.{name} is not known to this app and must not be null: give it a default"


def _unfit_json(connection: Connection) -> Iterator[str]:
    """Yield the columns with JSON that jsonb cannot hold, such as a text with a NUL."""
    present = {row.name for row in connection.execute(_PRESENT) if row.type == "json"}
    for name in sorted(present & COLUMNS.keys()):
        try:
            with connection.begin_nested():
                connection.execute(text(f"SELECT count({name}::jsonb) FROM {TABLE}"))  # noqa: S608 - as above
        except DataError as error:
            said = str(error.orig).partition("\n")[0]
            yield f"{TABLE}.{name} has JSON that jsonb does not take ({said}): change it"


def _unfit_rows(connection: Connection) -> Iterator[str]:
    present = {row.name for row in connection.execute(_PRESENT)}
    checks = {
        f"{name} that is null: give it a value": f"{name} IS NULL"
        for name, column in COLUMNS.items()
        if name in present and column.is_required
    } | {
        f"{name} of more than {column.length} characters: shorten it": (
            f"length({name}::text) > {column.length}"
        )
        for name, column in COLUMNS.items()
        if column.length is not None
    }
    checks |= {
        f"{name} outside of the years 1 to 9999: change it": (
            f"{name} NOT BETWEEN '0001-01-02' AND '9999-12-30'"
        )
        for name, column in COLUMNS.items()
        if name in present and column.wanted == _TIMESTAMP
    }
    checks |= {
        f"status that is none of {_STATUSES}: change it": f"status::text NOT IN ({_STATUSES})",
        "payload that is not a JSON object: change it": "jsonb_typeof(payload::jsonb) <> 'object'",
    }
    for said, condition in checks.items():
        query = text(f"SELECT count(*), min(id) FROM {TABLE} WHERE {condition}")  # noqa: S608 - as above
        count, first = connection.execute(query).one()
        if count:
            yield f"{TABLE} has {count} rows (the first with id {first}) with a {said}"
    double = text(
        f"SELECT job_id::text FROM {TABLE} GROUP BY job_id HAVING count(*) > 1 LIMIT 1"  # noqa: S608 - as above
    )
    if (job_id := connection.execute(double).scalar()) is not None:
        yield f"{TABLE} has the job_id {job_id!r} more than once: delete all rows but one"


def _unfit_constraints(connection: Connection) -> Iterator[str]:
    keys = {"PRIMARY KEY (id)": False, "UNIQUE (job_id)": False}
    for found in connection.execute(_CONSTRAINTS):
        if found.definition in keys:
            keys[found.definition] = True
        else:
            yield (
                f"{TABLE} has a constraint {found.name} ({found.definition}) that this app does not"
                " know, and may break: drop it"
            )
    if not keys["PRIMARY KEY (id)"]:
        yield f"{TABLE} has no primary key (id): add it"


def _rename_constraints(connection: Connection) -> None:
    names = {"PRIMARY KEY (id)": f"pk_{TABLE}", "UNIQUE (job_id)": f"uq_{TABLE}_job_id"}
    for found in connection.execute(_CONSTRAINTS).all():
        name = names.pop(found.definition, found.name)
        if found.name != name:
            connection.execute(
                text(f'ALTER TABLE {TABLE} RENAME CONSTRAINT "{found.name}" TO {name}')
            )
    for definition, name in names.items():
        connection.execute(text(f"ALTER TABLE {TABLE} ADD CONSTRAINT {name} {definition}"))


def _changes(name: str, present: str | None) -> Iterator[str]:
    """Yield what `ALTER TABLE` does to a column, in the order in which it may be written."""
    column = COLUMNS[name]
    if present is None:
        default = f" DEFAULT {column.default} NOT NULL" if column.default else ""
        yield f"ADD COLUMN {name} {column.wanted or 'bigint'}{default}"
        return
    if column.wanted is not None:
        if name != "id":
            yield f"ALTER {name} DROP DEFAULT"
        yield f"ALTER {name} TYPE {column.wanted} USING {_converted(name, column, present)}"
    if column.default is not None:
        yield f"ALTER {name} SET DEFAULT {column.default}"
    if column.is_required:
        yield f"ALTER {name} SET NOT NULL"


def _converted(name: str, column: Column, present: str) -> str:
    if present == "timestamp without time zone":  # the starter's are UTC
        return f"{name} AT TIME ZONE 'UTC'"
    by_way_of = "::text" if column.taken[0] in _TEXTS else ""
    return f"{name}{by_way_of}::{column.wanted}"
