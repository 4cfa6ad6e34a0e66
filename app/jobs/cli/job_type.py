"""Job types on the command line, with what a shell offers for them."""

from typing import Any

import click
from click.shell_completion import CompletionItem
from flask import current_app
from flask.cli import ScriptInfo

from ..errors import UnknownJobType
from ..registry import registry_of
from ..table.pages import is_recorded


class JobType(click.ParamType[str]):
    """A registered job type's name.

    Args:
        recorded: Take also what the app does not know (any more) but has jobs of.
    """

    name = "type"

    def __init__(self, *, recorded: bool = False) -> None:
        self._recorded = recorded

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        try:
            return registry_of(current_app).get(value).type
        except UnknownJobType as error:
            if self._recorded and is_recorded(value):
                return str(value)
            self.fail(str(error), param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,
        param: Any,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Offer the app's types; a shell asks outside of the app's context."""
        info = ctx.find_object(ScriptInfo)
        return [
            CompletionItem(config.type, help=config.description)
            for config in registry_of(info.load_app() if info else current_app)
            if config.type.startswith(incomplete)
        ]
