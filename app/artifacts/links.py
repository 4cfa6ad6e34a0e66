"""Signed, expiring links, each for a file and its organization."""

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
    """The link was not made here, was changed, or belongs to another organization."""


class DeadLink(Exception):
    """The link or its file expired, or the file was deleted."""


def link(artifact: Artifact, *, expires_in: timedelta | None = None) -> str:
    """Return a URL that downloads a file without any other credential.

    It is valid for `expires_in` (ARTIFACTS_LINK_EXPIRES seconds by default), or until the file
    expires or is deleted, whichever is first.
    """
    seconds = current_app.config["ARTIFACTS_LINK_EXPIRES"]
    lifetime = seconds if expires_in is None else expires_in.total_seconds()
    ends = min(int(time.time() + lifetime), int(artifact.expires_at.timestamp()))
    token = _serializer().dumps([artifact.id, artifact.organization_id, ends])
    return f"{current_app.config['BASE_URL']}{PATH}{token}"


def links_of(job: JobExecution) -> dict[str, str]:
    """Return links to a job's files by name, for the job's status."""
    made = (
        select(Artifact)
        .where(Artifact.job_id == job.job_id, Artifact.expires_at > func.now())
        .order_by(Artifact.created_at)
    )
    return {artifact.name: link(artifact) for artifact in db.session.scalars(made)}


def opened(token: str) -> str | None:
    """Return the file's id in a token that is ours and has not expired; without the database."""
    try:
        artifact_id, _, ends = _serializer().loads(token)
    except (BadData, ValueError, TypeError):
        return None
    return str(artifact_id) if ends > time.time() else None


def follow(token: str) -> tuple[Artifact, int]:
    """Return the file of a token, and for how many more seconds the token is valid.

    Raises:
        BadLink, DeadLink: They reveal nothing about the file.
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
