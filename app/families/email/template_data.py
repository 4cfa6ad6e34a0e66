"""The field of a payload whose shape another field decides: a template's data."""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from app.families.email.catalog import TEMPLATES


class TemplateData(fields.Dict):
    """A mapping that the schema of the template named beside it checks and translates."""

    def _deserialize(
        self, value: object, attr: str | None, data: Mapping[str, object] | None, **rest: object
    ) -> dict[str, Any]:
        given: dict[str, Any] = super()._deserialize(value, attr, data, **rest)  # type: ignore[no-untyped-call] # theirs
        template = TEMPLATES.get(str((data or {}).get("template")))
        return template.schema.load(given) if template else given  # none: that is another error

    def _serialize(
        self, value: object, attr: str | None, obj: object, **rest: object
    ) -> dict[str, Any] | None:
        template = TEMPLATES.get(str(getattr(obj, "template", None)))
        given: dict[str, Any] | None = super()._serialize(value, attr, obj, **rest)  # type: ignore[no-untyped-call] # theirs
        return template.schema.dump(given) if template else given
