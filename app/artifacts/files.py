"""Make files, continue them, and remove them."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import current_app

from app.artifacts.errors import ArtifactLost, InvalidArtifact
from app.artifacts.models import Artifact
from app.artifacts.names import check_media_type, check_name, new_key, parse_key
from app.artifacts.removal import remove_after_commit
from app.artifacts.stores import current_store
from app.artifacts.writer import About, ArtifactFile
from app.db import db
from app.jobs import Job
from app.jobs.kit import OwnerId

PIECE = 1024 * 1024


def create(
    name: str,
    *,
    media_type: str,
    job: Job | None = None,
    user_id: OwnerId | None = None,
    organization_id: OwnerId | None = None,
    expires_in: timedelta | None = None,
) -> ArtifactFile:
    """Return a stream for a new file; open it with `with`.

    Args:
        name: The file's name for downloads; not a path.
        media_type: Such as "text/csv; charset=utf-8".
        job: The job that makes it; its user and organization apply.
        user_id: Whom it is for, without a job.
        organization_id: Only links made for this organization open it.
        expires_in: How long it is kept; ARTIFACTS_EXPIRE days by default.

    Raises:
        InvalidArtifact: An invalid name, media type or lifetime.
    """
    about = About(
        key=str(new_key(job.id if job else None)),
        name=check_name(name),
        media_type=check_media_type(media_type),
        expires_at=_expires_at(expires_in),
        organization_id=job.organization_id if job else organization_id,
        user_id=job.user_id if job else user_id,
        job_id=job.id if job else None,
    )
    return ArtifactFile(current_store(), about)


def resume(state: dict[str, Any]) -> ArtifactFile:
    """Return the stream that continues a suspended file; open it with `with`.

    Bytes written after `suspend` are dropped, so the same state can be resumed any number of times
    until the file is recorded.

    Args:
        state: What `ArtifactFile.suspend` returned.

    Raises (by `with`):
        ArtifactLost: It is gone, or already completed and recorded.
        ArtifactBusy: A process that has lost the job is still writing it.
    """
    about = About.from_json(state["about"])
    key = parse_key(about.key)
    if key is None or db.session.get(Artifact, key.artifact_id) is not None:
        raise ArtifactLost(f"{about.name!r} is already recorded, and cannot be continued")
    return ArtifactFile(current_store(), about, state)


def store(
    path: Path,
    name: str,
    *,
    media_type: str,
    job: Job | None = None,
    expires_in: timedelta | None = None,
) -> Artifact:
    """Copy a complete file, such as one made in `spool()`, and return its row.

    Raises as `create` does.
    """
    with (
        path.open("rb") as source,
        create(name, media_type=media_type, job=job, expires_in=expires_in) as file,
    ):
        shutil.copyfileobj(source, file, PIECE)
    return file.artifact


def delete(artifact: Artifact) -> None:
    """Remove a file: its row in `db.session`, its bytes on commit, which also invalidates links."""
    key = artifact.key
    db.session.delete(artifact)
    remove_after_commit([key])


def _expires_at(expires_in: timedelta | None) -> datetime:
    lifetime = expires_in or timedelta(days=current_app.config["ARTIFACTS_EXPIRE"])
    if lifetime <= timedelta(0):
        raise InvalidArtifact(f"expires_in: {lifetime} is not in the future")
    return datetime.now(UTC) + lifetime
