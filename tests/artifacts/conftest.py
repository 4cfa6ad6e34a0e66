"""The two stores, one behind the other, and an S3 server in a process of its own."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from app import artifacts
from app.artifacts.stores.s3 import S3Store
from app.artifacts.stores.s3_client import Bucket, make_client
from app.db import db
from app.jobs import Job
from tests.artifacts.stores import BUCKET, running_job, s3_server, s3_settings


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(scope="session")
def shared_client(s3: str) -> Iterator[Any]:
    """The app's client for the server: to make one takes longer than most tests."""
    client = make_client(s3_settings(s3, "any"))
    yield client
    client.close()


@pytest.fixture
def on_s3(app: Flask, s3: str, shared_client: Any) -> Flask:
    folder = uuid4().hex
    app.config.update(s3_settings(s3, folder))
    app.extensions["artifacts"]["store"] = S3Store(Bucket(shared_client, BUCKET, f"{folder}/"))
    return app


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> Flask:
    """An app with an empty store: each test that asks for it runs on both kinds."""
    found: Flask = request.getfixturevalue("app" if request.param == "local" else "on_s3")
    return found


@pytest.fixture
def job(app: Flask) -> Job:
    """A job that is being run."""
    return running_job()


@pytest.fixture
def made(app: Flask) -> Callable[..., artifacts.Artifact]:
    """Make a file that is recorded."""

    def make(name: str = "users.csv", data: bytes = b"id\r\n1\r\n", **more: Any) -> Any:
        with artifacts.create(name, **{"media_type": "text/csv", **more}) as file:
            file.write(data)
        db.session.commit()
        return file.artifact

    return make
