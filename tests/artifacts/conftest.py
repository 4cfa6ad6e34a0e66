"""The two stores, one behind the other, and an S3 server in a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic
from typing import Any
from uuid import uuid4

import boto3
import pytest
from flask import Flask

from app import artifacts
from app.artifacts.stores import current_store
from app.artifacts.stores.s3 import S3Store
from app.artifacts.stores.s3_client import Bucket, make_client
from app.db import db
from app.jobs import Job, JobExecution

BUCKET = "files"


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto's server with an empty bucket, and give its address."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own words
        assert process.stderr is not None
        address = next(line for line in process.stderr if "Running on" in line).split()[-1]
        # It logs each request, and would wait for a reader once the pipe is full.
        reader = Thread(target=process.stderr.read)
        reader.start()
        client = s3_client(address)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        try:
            yield address
        finally:
            process.kill()
            reader.join()
            process.stderr.close()


def s3_client(address: str) -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )


def s3_settings(address: str, folder: str) -> dict[str, Any]:
    return {
        "ARTIFACTS_S3_REGION": "",
        "ARTIFACTS_STORE": f"s3://{BUCKET}/{folder}",
        "ARTIFACTS_S3_ENDPOINT": address,
        "ARTIFACTS_S3_ACCESS_KEY_ID": "key",
        "ARTIFACTS_S3_SECRET_ACCESS_KEY": "secret",
    }


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


def running_job(**columns: Any) -> Job:
    row = JobExecution(
        job_id=str(uuid4()), job_type="export", payload={}, **{"status": "processing", **columns}
    )
    db.session.add(row)
    db.session.commit()
    return Job(
        id=row.job_id,
        type="export",
        attempt=1,
        generation=0,
        expires_at=monotonic() + 60,
        user_id=7,
        organization_id=3,
    )


def held() -> list[str]:
    """Name everything that is in the store."""
    return sorted(stray.place.rpartition("/")[2] for stray in current_store().strays())


def content(artifact: artifacts.Artifact) -> bytes:
    return b"".join(current_store().read(artifact.key))


@pytest.fixture
def made(app: Flask) -> Callable[..., artifacts.Artifact]:
    """Make a file that is recorded."""

    def make(name: str = "users.csv", data: bytes = b"id\r\n1\r\n", **more: Any) -> Any:
        with artifacts.create(name, **{"media_type": "text/csv", **more}) as file:
            file.write(data)
        db.session.commit()
        return file.artifact

    return make
