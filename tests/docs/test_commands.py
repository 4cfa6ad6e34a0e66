"""A command that is named and not run exists, and has the options that it is named with."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo

from tests.docs.not_run import is_run
from tests.docs.pages import PAGES, blocks, prose_of

_INLINE = re.compile(r"`flask ([^`]+)`")
_LINE = re.compile(
    r"^(?:[A-Z_]+=\S+ |\.venv/bin/)*flask (jobs [^|&#\n]+|qstash [^|&#\n]+)", re.MULTILINE
)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_exists(page: str, app: Flask) -> None:
    named = _INLINE.findall(prose_of(page))
    for block in blocks(page):
        named += [] if is_run(block) else _LINE.findall(block.text)

    assert {line: said for line in named for said in problems(line, app)} == {}


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
