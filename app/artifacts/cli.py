"""`flask artifacts …`: list files, make links to them, and delete them."""

from datetime import UTC, datetime, timedelta
from math import log
from typing import Any

import click
from sqlalchemy import select

from app.artifacts.errors import ArtifactError
from app.artifacts.files import delete
from app.artifacts.links import link
from app.artifacts.models import Artifact
from app.db import db
from app.jobs.cli import kit
from app.jobs.cli.kit import Id, JobId, JobsGroup, Refused, acting_as, as_json, limit, print_json
from app.jobs.kit import OwnerId
from app.jobs.operate import audit

_HEAD = ("ID", "NAME", "SIZE", "ORG", "EXPIRES", "JOB")
_KB = 1000


class ArtifactsGroup(JobsGroup):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ArtifactError as error:
            raise Refused(str(error)) from error


artifacts = ArtifactsGroup(
    "artifacts", help="List the files that jobs made, make links to them, and delete them."
)


@artifacts.command("list")
@click.option("--job", "job_id", type=JobId(), help="Only the files of one job.")
@click.option("--organization", type=Id(), metavar="ID", help="Only the files of one organization.")
@limit
@as_json
def list_artifacts(
    job_id: str | None, organization: OwnerId | None, limit: int, as_json: bool
) -> None:
    r"""List files, newest first.

    \b
    Examples:
      flask artifacts list --organization 3
      flask artifacts list --json | jq -r '.[].id'
    """
    chosen = select(Artifact).order_by(Artifact.created_at.desc()).limit(limit)
    if job_id is not None:
        chosen = chosen.where(Artifact.job_id == job_id)
    if organization is not None:
        chosen = chosen.where(Artifact.organization_id == organization)
    rows = db.session.scalars(chosen).all()
    if as_json:
        print_json([_as_json(row) for row in rows])
    else:
        table = kit.table([_HEAD, *map(_line, rows)], shrink=(1,))
        click.echo(table if rows else "No files.")


@artifacts.command("show")
@click.argument("artifact_id", metavar="ID", type=click.UUID)
@as_json
def show_artifact(artifact_id: Any, as_json: bool) -> None:
    """Show one file: its size, type, SHA-256, and where it is kept."""
    found = _as_json(_find(artifact_id))
    if as_json:
        print_json(found)
    else:
        click.echo(kit.table([(name, str(value)) for name, value in found.items()]))


@artifacts.command("link")
@click.argument("artifact_id", metavar="ID", type=click.UUID)
@click.option(
    "--hours", type=click.FloatRange(min=0, min_open=True), help="How long the link stays valid."
)
@as_json
def link_artifact(artifact_id: Any, hours: float | None, as_json: bool) -> None:
    r"""Print a link that downloads a file, for ARTIFACTS_LINK_EXPIRES seconds.

    \b
    Example:
      curl -OJL "$(flask artifacts link 5f0c2e9a-2a77-4f0e-9d0c-0f8f3f0d8c11 --hours 1)"
    """
    lifetime = None if hours is None else timedelta(hours=hours)
    artifact = _find(artifact_id)
    if artifact.expires_at <= datetime.now(UTC):
        raise Refused(
            f"{artifact.name!r} expired at {kit.time(artifact.expires_at)}; create it again"
        )
    url = link(artifact, expires_in=lifetime)
    print_json({"url": url}) if as_json else click.echo(url)


@artifacts.command("delete")
@click.argument("artifact_id", metavar="ID", type=click.UUID)
@click.option("--yes", is_flag=True, help="Skip the confirmation prompt.")
@acting_as
@as_json
def delete_artifact(artifact_id: Any, yes: bool, by: str, as_json: bool) -> None:
    """Delete a file, which invalidates its links."""
    artifact = _find(artifact_id)
    deleted = _as_json(artifact)
    if not yes:
        click.confirm(f"Delete {artifact.name!r}?", abort=True, err=True)
    delete(artifact)
    wanted = {"artifact": deleted["id"], "name": deleted["name"]}
    tx = db.session.connection()
    audit.record_action(tx, actor=by, action="artifact delete", wanted=wanted)
    db.session.commit()
    print_json(deleted) if as_json else click.echo(f"Deleted {deleted['name']}.")


def _find(artifact_id: Any) -> Artifact:
    found = db.session.get(Artifact, str(artifact_id))
    if found is None:
        raise Refused(f"no file {artifact_id}; `flask artifacts list` shows the newest")
    return found


def _as_json(row: Artifact) -> dict[str, Any]:
    values = {column.key: getattr(row, column.key) for column in Artifact.__table__.columns}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _line(row: Artifact) -> tuple[str, ...]:
    organization = "-" if row.organization_id is None else str(row.organization_id)
    expires = kit.time(row.expires_at)
    return (row.id, row.name, _size(row.size), organization, expires, (row.job_id or "-")[:18])


def _size(octets: int) -> str:
    """Format a number of bytes in a suitable unit."""
    if octets < _KB:
        return f"{octets:.0f} B"
    units = ("kB", "MB", "GB")
    power = min(len(units), int(log(octets, _KB)))
    return f"{octets / _KB**power:.1f} {units[power - 1]}"
