"""A command that is named and not run exists, and has the options that it is named with."""

import re
import shlex
from collections.abc import Iterator

import click
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo

from tests.docs.not_run import is_run
from tests.docs.pages import PAGES, blocks, prose_of

_INLINE = re.compile(r"`flask ([^`]+)`")
_LINE = re.compile(
    r"^(?:[A-Z_]+=\S+ |\.venv/bin/)*flask (jobs [^|&#\n]+|qstash [^|&#\n]+)", re.MULTILINE
)


def test_every_command_that_a_page_names_exists(app: Flask) -> None:
    named = {(page, line) for page in PAGES for line in commands(page)}

    assert {said: place for place in named for said in problems(place[1], app)} == {}


def commands(page: str) -> list[str]:
    shown = [block.text for block in blocks(page) if not is_run(block)]
    return _INLINE.findall(prose_of(page)) + _LINE.findall("\n".join(shown))


def problems(line: str, app: Flask) -> Iterator[str]:
    """Say what of a command line there is not."""
    command: click.Command = FlaskGroup(create_app=lambda: app)
    context = click.Context(command, obj=ScriptInfo(create_app=lambda: app))
    words = [word for word in shlex.split(line) if word not in {"…", "...", ">", "|"}]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        if found is None:
            yield f"there is no command {name}"
            return
        command, context = found, click.Context(found, parent=context, obj=context.obj)
    options = {name for parameter in command.get_params(context) for name in parameter.opts}
    for word in words:
        if word.startswith("--") and word.partition("=")[0] not in options:
            yield f"there is no option {word}"
