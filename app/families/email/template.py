"""Templates: each has a name, a subject, and a schema for its data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast, get_args, get_type_hints

import marshmallow
from marshmallow import ValidationError, post_dump, post_load

from app.jobs import PayloadSchema
from app.jobs.kit import hint

Subject = str | Callable[[Mapping[str, Any]], str]


class DataSchema(PayloadSchema[dict[str, Any]]):
    """The data of one template: camelCase JSON to what its files use, None for what is missing."""

    model = dict

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return dict.fromkeys(self.fields) | data

    @post_dump
    def omit_none(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of email.

    Attributes:
        name: As in payloads and in the names of its files.
        subject: A text with fields of the data, and `app_name`, in braces; or a function from the
            data to such a text.
        schema: Checks and loads the data.
        critical: Whether it is sent even to an address that bounced or complained, because someone
            could lose an account without it.
        aliases: From another producer's name for a field to ours.
    """

    name: str
    subject: Subject
    schema: DataSchema
    critical: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)

    def subject_for(self, values: Mapping[str, Any]) -> str:
        """Return the subject with its fields filled in."""
        subject = self.subject(values) if callable(self.subject) else self.subject
        return subject.format(**values)


TEMPLATES: dict[str, Template] = {}


def get_template(name: str) -> Template:
    """Return a template.

    Raises:
        ValidationError: Unknown name; the message suggests the nearest.
    """
    if name not in TEMPLATES:
        raise ValidationError(f"Unknown template {name!r}; {hint(name, TEMPLATES)}")
    return TEMPLATES[name]


def links() -> list[str]:
    """Return every field that is a link in some template, by its name on the wire."""
    schemas = [template.schema for template in TEMPLATES.values()]
    found = [one for schema in schemas for one in schema.fields.values()]
    return sorted({str(one.data_key) for one in found if isinstance(one, marshmallow.fields.Url)})


def data_schema(email: type) -> DataSchema:
    """Return the schema for a dataclass whose own fields are of the kinds in `fields`."""
    hints = get_type_hints(email, include_extras=True)
    own = [one for one in fields(email) if one.name in email.__annotations__]
    made = {one.name: _schema_field(hints[one.name]) for one in own}
    schema = DataSchema.from_dict(made, name=f"{email.__name__}Data")
    return cast("type[DataSchema]", schema)()


def _schema_field(hint: Any) -> marshmallow.fields.Field[Any]:
    """Return the field for `Line`, `Link` or `Address`; `Line | None` is an optional one."""
    required = type(None) not in get_args(hint)
    kind = hint if required else get_args(hint)[0]
    made: marshmallow.fields.Field[Any] = kind.__metadata__[0](required=required)
    return made
