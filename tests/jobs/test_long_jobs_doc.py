"""What the code of docs/long-jobs.md does; that it runs as it stands is shown in tests/docs."""

import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.accounts.models import User
from app.db import db
from app.jobs import JobExecution, enqueue
from app.jobs.message import Message
from app.jobs.testing import drain
from tests.support.qstash import BASE_URL, deliver
from tests.support.rows import Rows

DOC = (Path(__file__).parents[2] / "docs/long-jobs.md").read_text()


@pytest.fixture
def doc(app: Flask, published: list[Message]) -> dict[str, Any]:
    """What the page's code has defined."""
    db.session.add(User(id=7, email="ann@example.com", name="Ann"))
    db.session.commit()
    names: dict[str, Any] = {"__name__": "doc"}
    for block in re.findall(r"^```python\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL):
        exec(block, names)  # noqa: S102 - our own page
    app.register_blueprint(names["bp"])
    return names


def test_its_handler_counts(doc: dict[str, Any], rows: Rows) -> None:
    job_id = enqueue("count-names", {})

    drain()

    assert rows[job_id].result == {"people": 1, "letters": 3}
    assert rows[job_id].progress == {"done": 1, "total": 1, "note": "counting"}


def test_its_link_tells_what_the_page_says(doc: dict[str, Any], client: FlaskClient) -> None:
    shown = re.search(r"^```json\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    assert shown is not None

    answer = client.get(doc["url"].removeprefix(BASE_URL))

    assert answer.get_json().keys() == json.loads(shown[1]).keys()


def test_its_callback_sends_one_email_when_the_job_is_done(
    app: Flask, doc: dict[str, Any], client: FlaskClient, rows: Rows
) -> None:
    newest = select(JobExecution).order_by(JobExecution.id.desc()).limit(1)
    row = db.session.scalars(newest).one()
    assert row.options["callback"] == f"{BASE_URL}/callbacks/export-done"
    told = {"sourceBody": b64encode(json.dumps(row.payload).encode()).decode()}

    def call_back() -> Any:
        return deliver(client, told, "/callbacks/export-done").json

    assert call_back() == {"sent": False}
    rows.set(row.job_id, status="completed")
    assert [call_back(), call_back()] == [{"sent": True}] * 2
    assert client.post("/callbacks/export-done", json=told).status_code == 401
    mails = list(Path(app.instance_path).rglob("*.eml"))
    assert len(mails) == 1
