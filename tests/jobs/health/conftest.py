"""Jobs in any state and of any age."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from app.db import db

AddJobs = Callable[..., None]


@pytest.fixture
def add_jobs(app: Flask) -> AddJobs:
    """Insert jobs; every value is SQL, such as "now() - interval '2 hours'"."""

    def add(count: int, status: str, **values: str) -> None:
        row = {"job_type": "'sample'", "payload": "'{}'", "status": f"'{status}'", **values}
        for _ in range(count):
            given: dict[str, Any] = {"job_id": f"'{uuid4()}'", **row}
            statement = (
                f"INSERT INTO job_executions ({', '.join(given)}) "  # noqa: S608 - the tests' own
                f"VALUES ({', '.join(given.values())})"
            )
            db.session.execute(db.text(statement))
        db.session.commit()

    return add
