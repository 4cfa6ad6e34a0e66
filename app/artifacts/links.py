"""Signed, expiring links: they name a file and the organization it was made for."""

import time
from datetime import timedelta

from flask import current_app
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import func, select

from app.artifacts.models import Artifact
from app.db import db
from app.jobs import JobExecution

SALT = "artifact-link"
PATH = "/api/artifacts/"


class BadLink(Exception):
    """It was not made here, was changed, or is another organization's."""


class DeadLink(Exception):
    """It was good once: it expired, or its file did, or was deleted."""


def link(artifact: Artifact, *, expires_in: timedelta | None = None) -> str:
    """Return a URL that downloads a file without any other credential.

    It ends after `expires_in` (ARTIFACTS_LINK_EXPIRES seconds unless given), when the file expires
    or when it is deleted, whichever is first.
    """
    seconds = current_app.config["ARTIFACTS_LINK_EXPIRES"]
    lifetime = seconds if expires_in is None else expires_in.total_seconds()
    ends = min(int(time.time() + lifetime), int(artifact.expires_at.timestamp()))
    token = _serializer().dumps([artifact.id, artifact.organization_id, ends])
    return f"{current_app.config['BASE_URL']}{PATH}{token}"


def links_of(job: JobExecution) -> dict[str, str]:
    """Return links to the files that a job made, by their names: for the job's status."""
    made = (
        select(Artifact)
        .where(Artifact.job_id == job.job_id, Artifact.expires_at > func.now())
        .order_by(Artifact.created_at)
    )
    return {artifact.name: link(artifact) for artifact in db.session.scalars(made)}


def opened(token: str) -> str | None:
    """Return the file's id of a token that was made here and is not over; asks no database."""
    try:
        artifact_id, _, ends = _serializer().loads(token)
    except (BadData, ValueError, TypeError):
        return None
    return str(artifact_id) if ends > time.time() else None


def follow(token: str) -> tuple[Artifact, int]:
    """Return the file that a token is good for, and for how many seconds more it is.

    Raises:
        BadLink, DeadLink: Tell nothing of the file.
    """
    try:
        artifact_id, organization_id, ends = _serializer().loads(token)
    except (BadData, ValueError, TypeError) as error:
        raise BadLink from error
    seconds = ends - int(time.time())
    if seconds <= 0:
        raise DeadLink
    artifact = db.session.get(Artifact, artifact_id)
    if artifact is None or artifact.expires_at.timestamp() <= time.time():
        raise DeadLink
    if artifact.organization_id != organization_id:
        raise BadLink
    return artifact, seconds


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt=SALT)
