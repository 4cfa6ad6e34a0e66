"""`GET /api/openapi.json`: the API's description, made from the schemas that the views use."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, current_app
from flask.typing import ResponseReturnValue
from marshmallow import Schema
from werkzeug.routing import Rule

from app.api.access import caller_name
from app.api.documented import Operation
from app.api.external_docs import EXTERNAL
from app.api.schemas import EnqueueSchema, ProblemSchema
from app.jobs import PayloadSchema
from app.jobs.kit import (
    MAX_LENGTH,
    MAX_NUMBER,
    JobIdField,
    OwnerIdField,
    camel_case,
    id_type,
    registry_of,
)
from app.web.limits import limited

if TYPE_CHECKING:
    from apispec import APISpec

VERSION = "1"

#: Seconds for which a client may cache the document.
KEPT = 300
_DOCUMENT = "api.openapi"
_PARAMETER = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
_DESCRIPTION = (
    "Enqueue background jobs, inspect them and act on them. A key is created by "
    "`flask jobs apikey create` and sent as `Authorization: Bearer …`. Errors are problem "
    "documents (RFC 9457)."
)
_OWNER_IDS: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER},
    "text": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH},
    "uuid": {"type": "string", "format": "uuid"},
}
_SECURITY: dict[str, dict[str, Any]] = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key from `flask jobs apikey create`.",
    },
    "adminToken": {"type": "http", "scheme": "bearer", "description": "ADMIN_TOKEN."},
    "statusLink": {"type": "apiKey", "in": "query", "name": "token"},
}

bp = limited(Blueprint("openapi", __name__), known_as=caller_name)


@bp.get("/api/openapi.json")
def document() -> ResponseReturnValue:
    """Answer this app's OpenAPI 3.1 document, with its job types."""
    extensions = current_app.extensions
    if _DOCUMENT not in extensions:
        extensions[_DOCUMENT] = build(current_app)
    return extensions[_DOCUMENT], HTTPStatus.OK, {"Cache-Control": f"public, max-age={KEPT}"}


def build(app: Flask) -> dict[str, Any]:
    """Describe every view that is `documented`, or listed in `external_docs`."""
    # Slow to import, and needed only here.
    from apispec import APISpec  # noqa: PLC0415
    from apispec.ext.marshmallow import MarshmallowPlugin  # noqa: PLC0415

    plugin = MarshmallowPlugin(schema_name_resolver=_name)
    spec = APISpec(
        title=f"{app.config['APP_NAME']} jobs",
        version=VERSION,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={"description": _DESCRIPTION},
        servers=[{"url": app.config["BASE_URL"]}],
    )
    assert plugin.converter is not None  # noqa: S101 - the spec gave it one
    plugin.converter.add_attribute_function(_id)  # type: ignore[no-untyped-call]  # apispec's
    for name, scheme in _SECURITY.items():
        spec.components.security_scheme(name, scheme)
    _add_enqueue(spec, app)
    for rule in app.url_map.iter_rules():
        operation = getattr(app.view_functions[rule.endpoint], "operation", None)
        operation = operation or EXTERNAL.get(rule.endpoint)
        if operation is not None:
            _add(spec, rule, operation)
    return spec.to_dict()


def _name(schema: Schema | type[Schema]) -> str:
    made = schema if isinstance(schema, type) else type(schema)
    name = made.__name__.removesuffix("Schema")
    return f"{name}Payload" if issubclass(made, PayloadSchema) else name


def _id(_: Any, field: Any, **__: Any) -> dict[str, Any]:
    """Describe an id: a job's, or an owner's, whose type is JOBS_ID_TYPE."""
    if isinstance(field, JobIdField):
        return {"minLength": 1, "maxLength": MAX_LENGTH}
    if not isinstance(field, OwnerIdField):
        return {}
    said = dict(_OWNER_IDS[id_type()])
    return said | {"type": [said["type"], "null"]} if field.allow_none else said


def _add_enqueue(spec: "APISpec", app: Flask) -> None:
    """Describe a body for each job type, which determines the payload."""
    spec.components.schema("Options", schema=EnqueueSchema)
    options = spec.components.schemas.pop("Options")
    mapping = {}
    for config in registry_of(app):
        payload = _name(config.schema)
        if payload not in spec.components.schemas:
            spec.components.schema(payload, schema=config.schema)
        name = f"Enqueue{camel_case('_' + config.type.replace('-', '_'))}"
        properties = options["properties"] | {
            "type": {"type": "string", "const": config.type},
            "payload": {"$ref": f"#/components/schemas/{payload}"},
        }
        spec.components.schema(name, options | {"properties": properties})
        mapping[config.type] = f"#/components/schemas/{name}"
    one_of = [{"$ref": reference} for reference in mapping.values()]
    discriminator = {"propertyName": "type", "mapping": mapping}
    spec.components.schema("Enqueue", {"oneOf": one_of, "discriminator": discriminator})


def _add(spec: "APISpec", rule: Rule, operation: Operation) -> None:
    [method] = (rule.methods or set()) - {"HEAD", "OPTIONS"}
    path = _PARAMETER.sub(lambda found: f"{{{camel_case(found[2])}}}", rule.rule)
    described: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": operation.summary,
        "parameters": [*_parameters(rule, operation)],
        "responses": _responses(operation),
        "security": _security(operation),
    }
    if operation.scopes:
        needed = " or ".join(f"`{scope}`" for scope in operation.scopes)
        described["description"] = f"Needs a key with the scope {needed}."
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.body)}
    spec.path(path, operations={method.lower(): described})


def _parameters(rule: Rule, operation: Operation) -> Iterator[dict[str, Any]]:
    for kind, name in _PARAMETER.findall(rule.rule):
        limit = {"minLength": 1} | ({"maxLength": MAX_LENGTH} if kind == "job_id" else {})
        schema = {"type": "string"} | limit
        yield {"in": "path", "name": camel_case(name), "required": True, "schema": schema}
    for name, said in operation.headers.items():
        text = {"type": "string", "minLength": 1, "maxLength": 255}
        yield {"in": "header", "name": name, "description": said, "schema": text}
    if operation.query is not None:
        yield {"in": "query", "schema": operation.query}


def _responses(operation: Operation) -> dict[str, Any]:
    answers = {
        str(status): {"description": HTTPStatus(status).phrase}
        | ({} if schema is None else {"content": _content(schema, operation.media_type)})
        for status, schema in operation.answers.items()
    }
    problems = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": _content(ProblemSchema, "application/problem+json"),
        }
        for status in operation.problems
    }
    return problems | answers


def _content(schema: Any, media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": schema}}


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    names = ("apiKey",) if operation.scopes and not operation.security else operation.security
    return [{name: []} for name in names]
