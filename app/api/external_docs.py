"""Descriptions of endpoints in other packages for the OpenAPI document, by Flask's name."""

from typing import Any

from app.api import batch_schemas, schemas
from app.api.documented import Operation

_FILE: dict[str, Any] = {"type": "string", "format": "binary"}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT = {"type": "string"}
_HEALTH = _object(
    verdict={"type": "string", "enum": ["healthy", "degraded", "unhealthy"]},
    reasons={"type": "array", "items": _object(code=_TEXT, verdict=_TEXT, message=_TEXT)},
    failureShare={"type": ["number", "null"]},
    stats={"type": "array", "items": _object(status=_TEXT, count={"type": "integer"})},
    failureRate={"type": "integer"},
    totalJobs={"type": "integer"},
    health={"type": "string", "enum": ["healthy", "unhealthy"]},
    measuredAt={"type": "string", "format": "date-time"},
)
_READY = _object(status=_TEXT, parts={"type": "object", "additionalProperties": _TEXT})
_RECEIVED = Operation(
    summary="Receive a signed webhook",
    answers={200: _object(received={"type": "boolean"})},
    body={"type": "object"},
    problems=(400, 401, 404, 413, 415, 429, 503),
)

EXTERNAL = {
    "job_status.job_status": Operation(
        summary="Show a job, by its link or with a key",
        scopes=("read",),
        security=("apiKey", "statusLink"),
        answers={200: schemas.JobSchema},
        problems=(401, 403, 404, 429, 503),
    ),
    "job_status.batch_status": Operation(
        summary="Show a batch or workflow and its steps, by its link or with a key",
        scopes=("read",),
        security=("apiKey", "statusLink"),
        answers={200: batch_schemas.BatchSchema},
        problems=(401, 403, 404, 429, 503),
    ),
    "job_health.job_health": Operation(
        summary="Job health: the last hour's figures and a verdict",
        security=("apiKey", "adminToken"),
        answers={200: _HEALTH, 503: _HEALTH},
        problems=(401, 403, 429),
    ),
    "probes.healthz": Operation(
        summary="Liveness: whether the process answers", answers={200: _object(status=_TEXT)}
    ),
    "probes.readyz": Operation(
        summary="Readiness: whether requests should be sent here",
        answers={200: _READY, 503: _READY},
    ),
    "artifacts.download": Operation(
        summary="Download a job's file, by its link",
        answers={200: _FILE, 206: _FILE, 302: None},
        media_type="*/*",
        problems=(403, 410, 416, 429),
    ),
    "inbox.receive": _RECEIVED,
    "inbox.stripe": _RECEIVED,
}
