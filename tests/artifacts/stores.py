"""An S3 server in a process of its own, and what is in a store."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from uuid import uuid4

import boto3

from app import artifacts
from app.artifacts.stores import current_store
from app.db import db
from app.jobs import Job, JobExecution
from app.jobs.testing import make_job

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


def running_job(**columns: Any) -> Job:
    row = JobExecution(
        job_id=str(uuid4()), job_type="export", payload={}, **{"status": "processing", **columns}
    )
    db.session.add(row)
    db.session.commit()
    return make_job("export", id=row.job_id, user_id=7, organization_id=3)


def held() -> list[str]:
    """Name everything that is in the store."""
    return sorted(stray.place.rpartition("/")[2] for stray in current_store().strays())


def content(artifact: artifacts.Artifact) -> bytes:
    return b"".join(current_store().read(artifact.key))
