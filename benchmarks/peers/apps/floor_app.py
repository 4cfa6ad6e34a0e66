"""The floor of an enqueue: the same arguments, by one INSERT and COMMIT; many by COPY."""

import os
from contextlib import AbstractContextManager, nullcontext

import psycopg
from producer import Job
from psycopg.types.json import Jsonb

connection = psycopg.connect(os.environ["BENCH_DATABASE"])


def setup() -> None:
    connection.execute(
        "CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " created_at timestamptz NOT NULL DEFAULT now(), payload jsonb NOT NULL)"
    )
    connection.commit()


def context() -> AbstractContextManager[object]:
    return nullcontext()


def send(job: Job, _parked: bool) -> None:  # noqa: FBT001 - as all systems have it
    connection.execute("INSERT INTO jobs (payload) VALUES (%s)", [Jsonb(job._asdict())])
    connection.commit()


def send_many(jobs: list[Job], _parked: bool) -> None:  # noqa: FBT001 - likewise
    with connection.cursor().copy("COPY jobs (payload) FROM STDIN") as copy:
        for job in jobs:
            copy.write_row([Jsonb(job._asdict())])
    connection.commit()
