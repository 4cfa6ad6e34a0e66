"""The OpenAPI document, and that the API is as it says: schemathesis asks what we would not."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app import api
from app.config import load
from app.jobs import JobBlueprint, Jobs, batch_status_url, enqueue, signature, workflow
from app.jobs.errors import DiscoveryError
from app.jobs.registry import registry_of
from app.jobs.testing import drain
from tests.api.calling import make_key
from tests.support.sample_jobs import SampleSchema

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OURS = r"^/api/(jobs|job-types|batches|signals)"
EXAMPLES = 4
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found = client.get("/api/openapi.json")
    assert found.json is not None
    return found.json


@pytest.fixture
def unlimited(app: Flask) -> None:
    app.config.update(API_RATE_LIMIT="100000/second", API_FAILURE_LIMIT="100000/second")


def test_every_job_type_has_its_payload_in_it(app: Flask, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    mapping = schemas["Enqueue"]["discriminator"]["mapping"]

    assert mapping.keys() == {config.type for config in registry_of(app)}
    send_email = schemas[mapping["send-email"].rpartition("/")[2]]["properties"]
    assert send_email["payload"] == {"$ref": "#/components/schemas/SendEmailPayload"}
    assert schemas["SendEmailPayload"]["required"] == ["data", "template", "to"]


def test_every_endpoint_for_strangers_is_in_it(app: Flask, document: dict[str, Any]) -> None:
    views = {
        rule.endpoint: app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith(("jobs_dashboard.", "home."))  # are pages
    }
    served = {
        name.replace(".", "_") for name in views if not getattr(views[name], "is_signed", False)
    }
    described = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    }

    assert served - {"openapi_document", "jobs_metrics_scrape", "static"} == described


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize("with_key", [True, False])
def test_the_api_answers_as_it_says(app: Flask, *, with_key: bool) -> None:
    headers = {"Authorization": f"Bearer {make_key()}"} if with_key else {}
    enqueue("sample", {"action": "none"})
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app).include(path_regex=OURS)

    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        for mode in GenerationMode:
            ask(operation.as_strategy(generation_mode=mode), headers)


@pytest.mark.usefixtures("unlimited", "published")
def test_a_job_is_told_as_it_says(app: Flask) -> None:
    done = enqueue("sample", {"action": "none"}, user_id=7, organization_id=3)
    failed = enqueue("sample", {"action": "fail"})
    drain()
    waiting = enqueue("sample", {"action": "none"}, delay=60, idempotency_key="a")
    headers = {"Authorization": f"Bearer {make_key()}"}
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    look, act = schema["/api/jobs/{jobId}"]["GET"], schema["/api/jobs/{jobId}/retry"]["POST"]

    for job_id in (done, failed, waiting):
        case = look.Case(path_parameters={"jobId": job_id})
        assert case.call_and_validate(headers=headers, checks=CHECKS).status_code == 200
    case = act.Case(path_parameters={"jobId": failed})
    assert case.call_and_validate(headers=headers, checks=CHECKS).status_code == 200
    case = act.Case(path_parameters={"jobId": done})
    assert case.call_and_validate(headers=headers, checks=CHECKS).status_code == 409


@pytest.mark.usefixtures("unlimited", "published")
def test_a_batch_is_told_as_it_says(app: Flask) -> None:
    with workflow("pays", user_id=7, then=signature("noop", {"action": "none"})) as made:
        made.add("ask", signature("sample", {"action": "permanent"}))
        made.wait_for("paid", timeout="1d", after=["ask"])
    drain()
    headers = {"Authorization": f"Bearer {make_key()}"}
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    look, act = schema["/api/batches/{batchId}"]["GET"], schema["/api/batches/{batchId}/retry"]
    which = {"batchId": made.id}

    linked = look.Case(path_parameters=which, query={"token": token_of(made.id)})
    assert linked.call_and_validate(checks=CHECKS).status_code == 200
    for case in (
        look.Case(path_parameters=which),
        schema["/api/batches"]["GET"].Case(),
        act["POST"].Case(path_parameters=which),
        schema["/api/batches/{batchId}/cancel"]["POST"].Case(path_parameters=which),
    ):
        assert case.call_and_validate(headers=headers, checks=CHECKS).status_code == 200


def token_of(batch_id: str) -> str:
    return batch_status_url(batch_id).rpartition("=")[2]


def ask(strategy: Any, headers: dict[str, str]) -> None:
    @seed(7)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def run(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    run()


@pytest.mark.usefixtures("unlimited")
def test_a_method_that_is_not_in_it_is_405_with_those_that_are(
    client: FlaskClient, document: dict[str, Any]
) -> None:
    for path, operations in document["paths"].items():
        url = path.replace("{jobId}", "00000000-0000-4000-8000-000000000000")
        url = url.replace("{batchId}", "00000000-0000-4000-8000-000000000000")
        url = url.replace("{token}", "x").replace("{source}", "github")
        known = {method.upper() for method in operations}
        for method in METHODS:
            if method not in known:
                answer = client.open(url, method=method)
                assert answer.status_code == 405, (method, path)
                assert set(answer.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == known


def test_a_job_type_cannot_take_an_endpoint_of_the_api(tmp_path: Path) -> None:
    family = JobBlueprint("greedy", __name__, url_prefix="/api")
    family.job("greedy", "/jobs", payload=SampleSchema)(lambda _payload, _job: None)
    app = Flask(__name__)
    app.config.update(
        load(tmp_path), SECRET_KEY="x", SQLALCHEMY_DATABASE_URI="postgresql+psycopg://"
    )
    SQLAlchemy(app)
    Jobs().init_app(app)
    app.register_blueprint(family)

    with pytest.raises(DiscoveryError, match="/api/jobs is taken: give job type 'greedy'"):
        api.init_app(app)
