"""`GET /healthz` and `GET /readyz`."""

from dataclasses import replace
from threading import Event

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash

from app.db import db
from app.jobs.execute import shutdown
from app.jobs.publish.qstash import Publisher


def parts(client: FlaskClient, query: str = "") -> tuple[int, dict[str, str]]:
    response = client.get(f"/readyz{query}")
    assert response.json is not None
    return response.status_code, response.json["parts"]


def test_a_process_that_answers_is_alive_whatever_else_is_missing(
    client: FlaskClient, no_database: None
) -> None:
    response = client.get("/healthz")

    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_it_is_ready_when_all_parts_are(client: FlaskClient, qstash: QStash) -> None:
    status, found = parts(client)

    assert status == 200
    assert set(found.items()) == {
        ("draining", "ok"),
        ("database", "ok"),
        ("migrations", "ok"),
        ("qstash", "ok"),
    }


@pytest.mark.usefixtures("no_database")
def test_without_a_database_it_is_not_ready(client: FlaskClient, qstash: QStash) -> None:
    status, found = parts(client)

    assert status == 503
    assert found["database"] == "cannot be reached"


def test_without_qstash_it_is_ready_for_those_who_do_not_ask(client: FlaskClient) -> None:
    status, found = parts(client)
    assert (status, found["qstash"]) == (503, "cannot be reached")

    assert parts(client, "?without=qstash")[0] == 200


def test_qstash_is_not_asked_for_every_probe(
    client: FlaskClient, qstash: QStash, app: Flask
) -> None:
    assert parts(client)[1]["qstash"] == "ok"
    app.extensions["jobs"].publisher.close()
    nobody = Publisher(url="http://127.0.0.1:9", token="x", base_url="http://x", budget=1)
    app.extensions["jobs"] = replace(app.extensions["jobs"], publisher=nobody)
    assert parts(client)[1]["qstash"] == "ok"

    app.extensions["jobs.readiness"].good_until = 0.0
    assert parts(client)[1]["qstash"] == "cannot be reached"


def test_a_database_of_another_version_is_told(client: FlaskClient) -> None:
    db.session.execute(db.text("UPDATE alembic_version SET version_num = '0001'"))
    db.session.commit()
    try:
        said = parts(client)[1]["migrations"]
    finally:
        import flask_migrate  # noqa: PLC0415 - only here

        flask_migrate.stamp("migrations")
    assert said.startswith("the database is at 0001, the code at ")


def test_a_process_that_is_told_to_stop_takes_no_more(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    draining = Event()
    draining.set()
    monkeypatch.setattr(shutdown, "draining", draining)

    assert parts(client, "?without=qstash") == (
        503,
        {"draining": "the process is stopping", "database": "ok", "migrations": "ok"},
    )
