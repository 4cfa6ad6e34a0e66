"""Tags on jobs, and which job enqueued another."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import text

from app.db import db
from app.jobs import Job, JobBlueprint, enqueue, enqueue_many
from app.jobs.errors import DiscoveryError, InvalidOption
from app.jobs.operate import Filter, list_jobs
from tests.support.qstash import deliver, envelope
from tests.support.rows import add_row, count_rows, row_of
from tests.support.sample_jobs import Sample, SampleSchema

GOOD = {"action": "none"}

bp = JobBlueprint("tagged", __name__)


@bp.job("tagged", "/tagged", payload=SampleSchema, tags=["billing", "weekly"])
def tagged(payload: Sample, job: Job) -> None:
    """Do nothing."""


@pytest.fixture
def app(app: Flask) -> Flask:
    app.register_blueprint(bp)
    return app


def test_tags_are_recorded_once_each(app: Flask) -> None:
    assert row_of(enqueue("sample", GOOD, tags=["b", "a", "b"])).tags == ["b", "a"]
    assert row_of(enqueue("sample", GOOD)).tags is None


def test_those_of_the_type_are_the_default(app: Flask) -> None:
    assert row_of(enqueue("tagged", GOOD)).tags == ["billing", "weekly"]
    assert row_of(enqueue("tagged", GOOD, tags=["other"])).tags == ["other"]
    assert row_of(enqueue("tagged", GOOD, tags=[])).tags is None
    assert row_of(tagged.enqueue(Sample("none"), tags=["typed"])).tags == ["typed"]


def test_a_job_that_nobody_here_enqueued_has_those_of_its_type(client: FlaskClient) -> None:
    job = envelope(GOOD, "tagged")

    deliver(client, job, "/api/jobs/tagged")

    assert row_of(job).tags == ["billing", "weekly"]


@pytest.mark.parametrize("count", [2, 1_001])
def test_many_jobs_have_the_same(app: Flask, count: int) -> None:
    job_ids = enqueue_many("sample", [GOOD] * count, tags=["import/7"])

    assert row_of(job_ids[-1]).tags == ["import/7"]


WRONG: list[tuple[Any, str]] = [
    ("billing", r"tags: 'billing' is not a list of tags; write \['billing'\]"),
    (7, "tags: 7 is not a list of tags"),
    ([""], "tags: '' is not a tag: 1 to 50 ASCII letters"),
    (["a b"], "tags: 'a b' is not a tag"),
    (["é"], "is not a tag"),
    (["-a"], "is not a tag"),
    (["x" * 51], "is not a tag"),
    ([7], "tags: 7 is not a tag"),
    ([str(number) for number in range(11)], "tags: 11 tags are too many; give 10 at most"),
]


@pytest.mark.parametrize(("tags", "said"), WRONG)
def test_what_is_no_tag_is_refused(app: Flask, tags: Any, said: str) -> None:
    with pytest.raises(InvalidOption, match=said):
        enqueue("sample", GOOD, tags=tags)
    with pytest.raises(InvalidOption, match=said):
        enqueue_many("sample", [GOOD], tags=tags)
    with pytest.raises(DiscoveryError, match=said):
        JobBlueprint("w", __name__).job("wrong", "/w", payload=SampleSchema, tags=tags)(_handler)
    assert count_rows() == 0


def _handler(payload: Sample, job: Job) -> None:
    """Do nothing."""


def test_a_list_is_of_jobs_that_have_all_of_them(app: Flask) -> None:
    both = add_row(tags=["a", "b"])
    add_row(tags=["a"])
    add_row()

    assert [row.job_id for row in list_jobs(Filter(tags=("a", "b"))).jobs] == [both]
    assert len(list_jobs(Filter(tags=("a",))).jobs) == 2


def test_a_tag_is_found_by_an_index_that_other_jobs_are_not_in(app: Flask) -> None:
    query = text("EXPLAIN SELECT id FROM job_executions WHERE tags @> CAST(ARRAY['a'] AS text[])")
    index = text("SELECT pg_get_indexdef('idx_job_executions_tags'::regclass)")
    with db.engine.begin() as connection:
        definition = connection.execute(index).scalar_one()
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(connection.execute(query).scalars())

    assert "idx_job_executions_tags" in plan
    assert "tags IS NOT NULL" in definition


def test_the_command_line_tags_and_finds(cli: FlaskCliRunner) -> None:
    made = cli.invoke(
        args=["jobs", "enqueue", "sample", json.dumps(GOOD), "--tag", "a", "--tag", "b", "--json"]
    )
    add_row(tags=["c"])

    job = json.loads(made.stdout)
    assert job["tags"] == ["a", "b"]
    listed = cli.invoke(args=["jobs", "list", "--tag", "a", "--tag", "b"]).output
    assert job["job_id"] in listed
    assert "TAGS" in listed
    shown = cli.invoke(args=["jobs", "show", job["job_id"]]).output
    assert "tags a b" in " ".join(shown.split())
    refused = cli.invoke(args=["jobs", "list", "--tag", "a b"])
    assert refused.exit_code == 2
    assert "'a b' is not a tag: 1 to 50 ASCII letters" in refused.output


def test_a_metric_names_those_that_types_declare(client: FlaskClient) -> None:
    add_row(tags=["of-one-job"])

    scraped = client.get("/metrics").text

    assert 'jobs_type_tag_info{tag="billing",type="tagged"} 1.0' in scraped
    assert "of-one-job" not in scraped


def test_a_job_knows_which_job_enqueued_it(client: FlaskClient) -> None:
    parent = envelope({"action": "parent"})

    deliver(client, parent)

    [child] = list_jobs(Filter(job_type="noop")).jobs
    assert child.parent_id == parent["jobId"]
    assert row_of(parent).parent_id is None
