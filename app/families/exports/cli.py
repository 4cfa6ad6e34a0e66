"""`flask exports entities`: list what can be exported, with columns and filters."""

from typing import Any

import click
from flask import json

from app.families.exports import bp
from app.families.exports.catalog import ENTITIES
from app.families.exports.entity import Entity
from app.families.exports.filters import COMMON
from app.families.exports.writers import WRITERS
from app.jobs.cli.kit import as_json


@bp.cli.command("entities")
@as_json
def list_entities(*, as_json: bool) -> None:
    r"""List the entities that can be exported, with their columns and filters.

    \b
    Examples:
      flask exports entities
      flask jobs enqueue export-data '{"entityType": "users", "format": "csv"}'
    """
    if as_json:
        click.echo(json.dumps([_as_json(entity) for entity in ENTITIES.values()], indent=2))
        return
    for entity in ENTITIES.values():
        click.echo(_described(entity))
    click.echo(f"Formats: {', '.join(WRITERS)}")


def _as_json(entity: Entity) -> dict[str, Any]:
    return {
        "name": entity.name,
        "columns": [{"name": column.name, "kind": column.kind} for column in entity.columns],
        "filters": {
            **dict.fromkeys(COMMON),
            **{name: known.choices or None for name, known in entity.filters.items()},
        },
    }


def _described(entity: Entity) -> str:
    lists = {
        "columns": [column.name for column in entity.columns],
        "filters": [*COMMON, *entity.filters],
    }
    lines = [
        click.wrap_text(f"{what}: {', '.join(names)}", 78, "  ", " " * (len(what) + 4))
        for what, names in lists.items()
    ]
    return "\n".join([entity.name, *lines, ""])
