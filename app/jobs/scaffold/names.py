"""The names for a new job type, checked before anything is written."""

import keyword
import re
from dataclasses import dataclass

from ..errors import ScaffoldRefused
from ..schemas import camel_case
from .kinds import KINDS, Kind

_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_TYPE = 60


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a payload; `wire` is its name in JSON."""

    name: str
    kind: Kind
    required: bool

    @property
    def wire(self) -> str:
        return camel_case(self.name)

    @property
    def annotation(self) -> str:
        return self.kind.python if self.required else f"{self.kind.python} | None = None"

    @property
    def declaration(self) -> str:
        common = "required=True" if self.required else "allow_none=True"
        first = [one for one in self.kind.arguments if "=" not in one]
        rest = [one for one in self.kind.arguments if "=" in one]
        return f"fields.{self.kind.field}({', '.join([*first, common, *rest])})"


def check_family(name: str) -> str:
    """Return the name.

    Raises:
        ScaffoldRefused: It is not a valid package name.
    """
    if not _SNAKE.fullmatch(name) or keyword.iskeyword(name):
        raise ScaffoldRefused(f"FAMILY {name!r}: use a package name, such as sms or push_notes")
    return name


def check_type(name: str) -> str:
    """Return the name.

    Raises:
        ScaffoldRefused: It is not in kebab case, or too long.
    """
    if not _KEBAB.fullmatch(name) or keyword.iskeyword(name) or len(name) > MAX_TYPE:
        raise ScaffoldRefused(
            f"TYPE {name!r}: use lowercase words joined by dashes, such as send-sms"
        )
    return name


def parse_field(given: str) -> Field:
    """Read `name:type`, or `name:type?` for an optional field.

    Raises:
        ScaffoldRefused: The message names the field, the reason and the fix.
    """
    name, separator, kind = given.partition(":")
    if not separator:
        raise ScaffoldRefused(f"--field {given!r}: add its type, such as {given}:str")
    if keyword.iskeyword(name):
        raise ScaffoldRefused(f"--field {given!r}: {name} is a Python keyword; use another name")
    if not _SNAKE.fullmatch(name):
        raise ScaffoldRefused(f"--field {given!r}: a field name looks like phone_number")
    required = not kind.endswith("?")
    kind = kind.removesuffix("?")
    if kind not in KINDS:
        raise ScaffoldRefused(
            f"--field {given!r}: unknown type {kind!r}; the types are {', '.join(KINDS)}"
        )
    return Field(name, KINDS[kind], required)


def parse_fields(given: tuple[str, ...]) -> list[Field]:
    """Read all fields, required ones first, as a dataclass needs them.

    Raises:
        ScaffoldRefused: One is wrong, or two have the same name.
    """
    fields = [parse_field(one) for one in given]
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise ScaffoldRefused(f"--field {name!r} is given twice")
    return sorted(fields, key=lambda field: not field.required)
