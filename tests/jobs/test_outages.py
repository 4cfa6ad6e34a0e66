"""What counts as an outage of the database, and what happens to deliveries meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from app.db import db
from app.jobs import enqueue
from app.jobs.errors import DatabaseUnavailable
from app.jobs.table.db import in_transaction, translate_database_errors
from tests.support.qstash import deliver, envelope
from tests.support.rows import row_of


@contextmanager
def standby(database_url: str) -> Iterator[None]:
    """Have the database take no writes, as after a failover that made it a standby."""
    url = make_url(database_url).set(drivername="postgresql")
    setting = f'ALTER DATABASE "{url.database}" {{}} default_transaction_read_only'
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as other:
        other.execute((setting.format("SET") + " = on").encode())
        db.session.remove()
        db.engine.dispose()
        try:
            yield
        finally:
            other.execute(b"SET default_transaction_read_only = off")
            other.execute(setting.format("RESET").encode())


def test_fault_R11_a_read_only_standby_is_an_outage_until_the_connections_lead_elsewhere(
    app: Flask, client: FlaskClient, database_url: str
) -> None:
    job = envelope({"action": "none"})
    with standby(database_url):
        answer = deliver(client, job)
        with pytest.raises(DatabaseUnavailable):
            enqueue("noop", {"action": "none"})

    assert (answer.status_code, answer.json) == (503, {"error": "the database is unavailable"})
    assert "Retry-After" in answer.headers
    # The same pool: what led to the standby was thrown away.
    assert deliver(client, job).status_code == 200


def test_fault_R11_also_where_only_the_handler_writes(
    app: Flask, client: FlaskClient, database_url: str
) -> None:
    """Its connection is not given to the next."""
    job = envelope({"action": "none"})
    assert deliver(client, job).status_code == 200
    with standby(database_url):
        with pytest.raises(DatabaseUnavailable), translate_database_errors():
            db.session.execute(text("DELETE FROM effects"))
        db.session.rollback()

    assert deliver(client, envelope({"action": "none"})).status_code == 200


def failing(statement: str) -> Callable[[Any], Any]:
    return lambda tx: tx.execute(text(statement))


@pytest.mark.parametrize("state", ["57P01", "57P02", "57P03", "53300", "08006", "25006", "53100"])
def test_fault_D3_these_are_outages(app: Flask, state: str) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(DatabaseUnavailable):
        in_transaction(failing(raising))


@pytest.mark.parametrize("state", ["22P02", "23505", "57014", "55P03", "42601", "53200", "40001"])
def test_fault_D3_these_are_not(app: Flask, state: str) -> None:
    """They are the statement's own, whatever class of errors the driver puts them in."""
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(DBAPIError):
        in_transaction(failing(raising))


def test_fault_D3_a_collision_is_tried_again(app: Flask) -> None:
    tries: list[int] = []

    def work(tx: Any) -> str:
        tries.append(1)
        if len(tries) == 1:
            failing("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")(tx)
        return "done"

    assert in_transaction(work) == "done"


@pytest.mark.usefixtures("no_database")
def test_fault_D3_a_database_that_is_away_is_an_outage(client: FlaskClient) -> None:
    assert deliver(client, envelope({"action": "none"})).status_code == 503


def test_fault_D3_a_connection_that_is_closed_in_between_costs_nothing(
    app: Flask, client: FlaskClient
) -> None:
    pids = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    deliver(client, envelope({"action": "none"}))
    other = create_engine(db.engine.url)
    with other.connect() as connection:
        connection.execute(text(f"{pids} AND datname = current_database()"))
    other.dispose()

    job = envelope({"action": "none"})
    assert deliver(client, job).status_code == 200
    assert row_of(job).status == "completed"


def test_a_connection_taken_out_of_the_pool_is_closed(app: Flask) -> None:
    """Also after what listens to the pool's resets."""
    with db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        connection.detach()

    assert driver.closed
