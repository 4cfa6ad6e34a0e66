"""`flask jobs apikey …`: manage the keys of the job API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from app.api import keys
from app.api.models import ApiKey
from app.jobs.cli.kit import (
    Duration,
    Id,
    JobsGroup,
    JobType,
    Refused,
    acting_as,
    age,
    as_json,
    confirm,
    jobs,
    print_json,
    table,
    yes,
)
from app.jobs.kit import OwnerId, hint

apikey = JobsGroup("apikey", help="Create, list and revoke the keys of the job API.")
jobs.add_command(apikey)

_FIELDS = (
    "prefix", "name", "scopes", "organization_id", "job_types",
    "created_at", "last_used_at", "expires_at", "revoked_at",
)  # fmt: skip


class ScopeName(click.ParamType[str]):
    name = "scope"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if value not in keys.SCOPES:
            self.fail(f"unknown scope {value!r}; {hint(str(value), keys.SCOPES)}", param, ctx)
        return str(value)


@apikey.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=ScopeName(),
    multiple=True,
    required=True,
    help="read, enqueue or manage (retry, cancel, delete); may be repeated.",
)
@click.option(
    "--organization-id",
    type=Id(),
    metavar="ID",
    help="Only this organization's jobs.",
)
@click.option(
    "--type",
    "job_types",
    type=JobType(),
    multiple=True,
    help="Enqueue only this type; may be repeated. Required for a key of one organization.",
)
@click.option(
    "--expires-in", type=Duration(), help='Lifetime of the key, e.g. "90d". Default: never expires.'
)
@acting_as
@as_json
def create(name: str, scopes: tuple[str, ...], as_json: bool, **options: Any) -> None:
    r"""Create a key and print it once: only its hash is stored.

    \b
    Examples:
      flask jobs apikey create ci --scope read --expires-in 90d
      flask jobs apikey create acme --scope read --scope enqueue --type export-data \
        --organization-id 7
    """
    types = options["job_types"] or None
    _check(name, scopes, options["organization_id"], types)
    secret, made = keys.create(
        name,
        tuple(dict.fromkeys(scopes)),
        organization_id=options["organization_id"],
        job_types=types,
        expires_at=_moment(options["expires_in"]),
        by=options["by"],
    )
    if as_json:
        print_json({"key": secret, **_as_json(made)})
    else:
        click.echo(secret)
        click.echo("Store it now: it is not shown again.", err=True)


@apikey.command("list")
@as_json
def list_keys(as_json: bool) -> None:
    """List all keys by their prefix, newest first."""
    found = keys.all_keys()
    if as_json:
        print_json({"keys": [_as_json(key) for key in found]})
        return
    head = ("PREFIX", "NAME", "SCOPES", "ORG", "USED", "STATE")
    click.echo(table([head, *map(_cells, found)], shrink=(1,)) if found else "No keys.")


@apikey.command("revoke")
@click.argument("prefix")
@acting_as
@yes
def revoke(prefix: str, by: str, yes: bool) -> None:
    """Revoke a key, given in full or by its prefix."""
    prefix = "_".join(prefix.split("_")[:2])
    if all(key.prefix != prefix for key in keys.all_keys()):
        raise Refused(f"no key {prefix}; `flask jobs apikey list` shows all")
    if not yes:
        confirm(f"Revoke {prefix}? This cannot be undone.")
    click.echo(f"{'revoked' if keys.revoke(prefix, by=by) else 'revoked before'}: {prefix}")


def _check(name: str, scopes: tuple[str, ...], organization: OwnerId | None, types: Any) -> None:
    if not name.isprintable() or not 0 < len(name) <= ApiKey.name.type.length:
        raise Refused("NAME: must be one line of 1 to 100 characters")
    if types and "enqueue" not in scopes:
        raise Refused("--type: only applies to enqueuing; add --scope enqueue, or omit it")
    if organization is not None and "enqueue" in scopes and not types:
        raise Refused(
            "--type: required for an organization's key: some types act for all organizations"
        )


def _moment(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    except OverflowError:
        raise Refused("--expires-in: is beyond the end of the calendar; omit it") from None


def _as_json(key: ApiKey) -> dict[str, Any]:
    values = {name: getattr(key, name) for name in _FIELDS}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _cells(key: ApiKey) -> tuple[str, ...]:
    return (
        key.prefix,
        key.name,
        ", ".join(key.scopes),
        "all" if key.organization_id is None else str(key.organization_id),
        "never" if key.last_used_at is None else f"{age(key.last_used_at)} ago",
        _state(key),
    )


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "valid"
    return (
        f"{'expired' if key.expires_at <= datetime.now(UTC) else 'valid until'} {key.expires_at:%F}"
    )
