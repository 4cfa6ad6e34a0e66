"""The tables of the state file, and how to open one without damaging it."""

import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import StateFileError

_APPLICATION_ID = 0x51535448  # "QSTH": marks the file as ours
_VERSION = 1

# State of a message. Only the first two are in the engine's memory.
PENDING, CANCELLING, DELIVERED, FAILED, CANCELLED = range(5)

_TABLES = """
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state INTEGER NOT NULL,
    url TEXT NOT NULL,
    headers TEXT NOT NULL,          -- JSON pairs, as options.parse_options reads them
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL,    -- unix ms, as all times here
    not_before INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    topic TEXT, endpoint TEXT, queue TEXT, schedule_id TEXT, caller_ip TEXT,
    flow_key TEXT, labels TEXT,     -- labels as ",a,b,"
    held_queue TEXT, held_by INTEGER,  -- a callback holds its original's place in the queue
    finished_at INTEGER
);
CREATE INDEX messages_state ON messages (state, finished_at);
CREATE INDEX messages_schedule ON messages (schedule_id, seq) WHERE schedule_id IS NOT NULL;
CREATE INDEX messages_queue ON messages (queue, state) WHERE state = 0 AND queue IS NOT NULL;
CREATE INDEX messages_retrying ON messages (state, finished_at, retried)
    WHERE state = 0 AND retried > 0;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    time INTEGER NOT NULL,
    state TEXT NOT NULL,
    next_delivery INTEGER,
    error TEXT,
    status INTEGER, response_headers TEXT, response_body BLOB
);
CREATE INDEX events_message ON events (message);
CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    message INTEGER NOT NULL,
    time INTEGER NOT NULL,
    error TEXT,
    status INTEGER NOT NULL, response_headers TEXT NOT NULL, response_body BLOB NOT NULL
);
CREATE INDEX dead_letters_message ON dead_letters (message);
CREATE TABLE deduplications (key TEXT PRIMARY KEY, message_id TEXT NOT NULL, expires INTEGER);
CREATE TABLE queues (
    name TEXT PRIMARY KEY, parallelism INTEGER, paused INTEGER, created_at INTEGER,
    updated_at INTEGER
);
CREATE TABLE url_groups (
    name TEXT PRIMARY KEY, endpoints TEXT, headers TEXT, created_at INTEGER, updated_at INTEGER
);
CREATE TABLE schedules (
    id TEXT PRIMARY KEY, destination TEXT, cron TEXT, headers TEXT, body BLOB, queue TEXT,
    caller_ip TEXT, paused INTEGER, created_at INTEGER, last_time INTEGER
);
CREATE TABLE flow_keys (
    key TEXT PRIMARY KEY, parallelism INTEGER, rate INTEGER, period INTEGER, paused INTEGER,
    pinned_parallelism INTEGER, pinned_rate INTEGER
);
"""


def open_database(path: Path | None) -> sqlite3.Connection:
    """Open or create the state file; None is one in memory.

    Raises:
        StateFileError: the file is not ours, damaged, newer than this program or locked by
            another server. It is left unchanged.
    """
    if path is None:
        return _prepare(_connect(":memory:"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _prepare(_connect(str(path)))
    except (sqlite3.Error, OSError) as error:
        reason = "it is in use by another server" if "locked" in str(error) else str(error)
        raise StateFileError(
            f"Cannot use the state file {path}: {reason}. It was left unchanged: "
            "name another with --state, or move this one away."
        ) from error


def _connect(target: str) -> sqlite3.Connection:
    # Used by the store's one thread after this; transactions are explicit.
    return sqlite3.connect(target, isolation_level=None, check_same_thread=False, timeout=1)


def _prepare(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        # One server per file: the lock is held for as long as the connection is open.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.row_factory = sqlite3.Row
        _add_functions(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    version = _pragma(connection, "user_version")
    ours = _pragma(connection, "application_id") == _APPLICATION_ID
    empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not ours and not empty:
        raise sqlite3.DatabaseError("it is another program's SQLite file")
    if version > _VERSION:
        raise sqlite3.DatabaseError(f"it was written by a newer version (format {version})")
    if empty:
        _create(connection)
    elif (verdict := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(f"it is damaged: {verdict}")


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(
        f"BEGIN; {_TABLES} PRAGMA application_id = {_APPLICATION_ID}; "
        f"PRAGMA user_version = {_VERSION}; COMMIT;"
    )


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _add_functions(connection: sqlite3.Connection) -> None:
    """Give SQLite functions for the parts of a URL that filters use."""
    connection.create_function("url_host", 1, lambda url: urlsplit(url).netloc, deterministic=True)
    connection.create_function("url_path", 1, lambda url: urlsplit(url).path, deterministic=True)
