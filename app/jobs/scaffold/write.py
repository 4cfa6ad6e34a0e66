"""Writes the files of a new job type: all of them, or none."""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from flask import Flask
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..errors import ScaffoldRefused
from ..registry import registry_of
from ..values.face import face
from .names import Field

_templates = Environment(
    loader=PackageLoader(__package__),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - what is made is Python
)
_templates.filters["literal"] = lambda value: (
    json.dumps(value) if isinstance(value, str | list | dict) else repr(value)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job type to be written.

    Attributes:
        families: The package of all families, such as "app.families".
    """

    families: str
    family: str
    type: str
    fields: list[Field]
    description: str
    retries: int
    timeout: int

    @property
    def module(self) -> str:
        return self.type.replace("-", "_")

    @property
    def model(self) -> str:
        """Return the class of the payload: `send-sms` carries a `SendSms`."""
        return "".join(part.capitalize() for part in self.type.split("-"))


def files(app: Flask, new: NewJob) -> dict[Path, str]:
    """Return the text of each file to write, by its path.

    Raises:
        ScaffoldRefused: The type or one of the files already exists.
    """
    taken = {config.type: config for config in registry_of(app)}.get(new.type)
    if taken:
        raise ScaffoldRefused(f"job type {new.type!r} already exists: {taken.handler.__module__}")
    family = _folder(new.families) / new.family
    tests = _folder(new.families.split(".")[0]).parent / "tests" / family.parent.name / new.family
    wanted = {
        family / f"{new.module}.py": _render("job.py", new),
        tests / f"test_{new.module}.py": _render("test.py", new),
    }
    for path in wanted:
        if path.exists():
            raise ScaffoldRefused(f"{path} already exists; nothing was written")
    if not (family / "__init__.py").exists():
        wanted = {family / "__init__.py": _render("family.py", new), **wanted}
    # Packages only where the tests are one: else pytest would take `families` for theirs.
    is_package = (tests.parent.parent / "__init__.py").exists()
    missing = [folder / "__init__.py" for folder in (tests.parent, tests) if is_package]
    return {path: "" for path in missing if not path.exists()} | wanted


def wake_reloader(families: str) -> None:
    """Have an app that runs with `--debug` start anew: its reloader watches no file that is new."""
    folder = _folder(families)
    above = [folder, *folder.parents][: len(families.split("."))]
    for package in above:  # a namespace package has no file of its own
        if (package / "__init__.py").exists():
            with suppress(OSError):
                os.utime(package / "__init__.py")
            return


def write(wanted: dict[Path, str]) -> None:
    """Write the files; if one cannot be written, delete those before it.

    Raises:
        ScaffoldRefused: A file could not be written.
    """
    written: list[Path] = []
    try:
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink()
        raise ScaffoldRefused(f"nothing was written: {error}") from error


def _folder(package: str) -> Path:
    return Path(import_module(package).__path__[0])


def _render(name: str, new: NewJob) -> str:
    template = _templates.get_template(f"{name}.jinja")
    # Where our package is not the app's own, a formatter sorts it with those of others.
    is_installed = face().split(".")[0] != new.families.split(".")[0]
    return template.render(new=new, imports=_imports(new), face=face(), is_installed=is_installed)


def _imports(new: NewJob) -> list[str]:
    """Return the job's imports from the standard library, as a formatter would order them."""
    names = {"dataclasses": {"dataclass"}, "typing": {"Any"}}
    for field in new.fields:
        if field.kind.source:
            names.setdefault(field.kind.source, set()).add(field.kind.python)
    return [f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)]
