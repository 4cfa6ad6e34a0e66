"""The job `export-data`: what it writes, and how it continues in another delivery.

An export that does not fit into one delivery continues: the file is suspended, and the next leg
starts after the last key. A leg that dies loses only its own work, because the file is truncated to
where the leg started. XLSX and Parquet files cannot be continued, so they must fit.
"""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from app import artifacts
from app.artifacts import ArtifactFile, ArtifactLost
from app.families.email import file_ready
from app.families.exports import bp, filters, selection
from app.families.exports.leg import Leg, Position
from app.families.exports.payload import ExportData, ExportDataSchema
from app.jobs import Continue, Job


@bp.job(
    "export-data",
    "/export",
    payload=ExportDataSchema,
    retries=2,
    timeout=300,
    heartbeat=120,
    description="Export records as CSV, JSON, XLSX or Parquet",
)
def export_data(payload: ExportData, job: Job) -> dict[str, Any]:
    """Write what the job's organization may see to a file; the result names it."""
    try:
        return _export(payload, job, job.state)
    except ArtifactLost:
        # The file of an earlier leg is gone: start over.
        return _export(payload, job, None)


def _export(payload: ExportData, job: Job, state: dict[str, Any] | None) -> dict[str, Any]:
    leg = Leg(payload, job, _choose(payload, job))
    position = leg.start() if state is None else Position(**state)
    with _open(payload, job, position) as file:
        position = leg.write(file, position)
        if not position.whole:
            raise Continue(asdict(replace(position, file=file.suspend())))
    what = f"The export of {payload.entity_type} ({position.rows:,} rows)"
    file_ready.tell_recipients(payload.recipients, file.artifact, job, what=what)
    return {"artifact": file.artifact.summary(), "rows": position.rows}


def _choose(payload: ExportData, job: Job) -> selection.Selection:
    given = filters.read(payload.entity, payload.filters)
    return selection.choose(payload.entity, given, job.organization_id)


def _open(payload: ExportData, job: Job, position: Position) -> ArtifactFile:
    if position.file is not None:
        return artifacts.resume(position.file)
    suffix = payload.writer.suffix + (".gz" if payload.gzip else "")
    return artifacts.create(
        f"{payload.entity_type}-{datetime.now(UTC):%Y-%m-%d}.{suffix}",
        media_type="application/gzip" if payload.gzip else payload.writer.media_type,
        job=job,
    )
