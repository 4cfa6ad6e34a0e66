"""The payload of `export-data`, and its validation."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length

from app.families.email import file_ready
from app.families.exports import filters
from app.families.exports.catalog import ENTITIES, get_entity
from app.families.exports.entity import Column, Entity, nearest
from app.families.exports.writers import WRITERS, Writer
from app.jobs import PayloadSchema


@dataclass(frozen=True, slots=True)
class ExportData:
    """What to export.

    Attributes:
        entity_type: A name of `catalog.ENTITIES`.
        format: A name of `writers.WRITERS`.
        filters: As on the wire, with dates as texts.
        columns: The columns to write, in this order; all by default.
        gzip: Compress; for csv, jsonl and json.
        bom: Start a CSV with a byte order mark, so that Excel reads it as UTF-8.
        recipients: Who gets an email with a link when the file is ready.
    """

    entity_type: str
    format: str
    filters: dict[str, Any] = field(default_factory=dict)
    columns: list[str] | None = None
    gzip: bool = False
    bom: bool = False
    recipients: list[str] = field(default_factory=list)

    @property
    def entity(self) -> Entity:
        return ENTITIES[self.entity_type]

    @property
    def writer(self) -> type[Writer]:
        return WRITERS[self.format]

    @property
    def chosen(self) -> tuple[Column, ...]:
        return self.entity.choose(self.columns)


def _known_format(name: str) -> None:
    nearest(WRITERS, [name], "format")


def _installed(name: str) -> None:
    if name == "parquet" and find_spec("pyarrow") is None:
        raise ValidationError("Needs pyarrow, which is not installed: pip install '.[parquet]'.")


class ExportDataSchema(PayloadSchema[ExportData]):
    model = ExportData

    entity_type = fields.String(required=True, validate=get_entity)
    format = fields.String(required=True, validate=[_known_format, _installed])
    filters = fields.Dict(keys=fields.String(), load_default=dict)
    columns = fields.List(fields.String(), allow_none=True, validate=Length(min=1))
    gzip = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    bom = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    recipients = file_ready.recipients()

    @validates_schema(skip_on_field_errors=True)
    def _check_entity(self, data: dict[str, Any], **_: Any) -> None:
        """Check the filters and the columns, which depend on the entity."""
        entity, errors = get_entity(data["entity_type"]), {}
        try:
            filters.read(entity, data["filters"])
        except ValidationError as error:
            errors["filters"] = error.messages
        try:
            _check_columns(entity, data.get("columns"))
        except ValidationError as error:
            errors["columns"] = error.messages
        if errors:
            raise ValidationError(errors)

    @validates_schema(skip_on_field_errors=True)
    def _check_format(self, data: dict[str, Any], **_: Any) -> None:
        writer = WRITERS[data["format"]]
        if data["gzip"] and not writer.text:
            raise ValidationError(f"{data['format']} is already compressed.", "gzip")
        if data["bom"] and data["format"] != "csv":
            raise ValidationError("Only a CSV can start with a byte order mark.", "bom")


def _check_columns(entity: Entity, names: list[str] | None) -> None:
    entity.choose(names)
    if names is not None and len(set(names)) < len(names):
        raise ValidationError("A column may be listed only once.")
