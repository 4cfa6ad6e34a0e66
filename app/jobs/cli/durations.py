"""Times on the command line."""

import re
from typing import Any

import click

from ..errors import InvalidOption
from ..values.options import seconds

_NUMBER = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")


class Duration(click.ParamType[int]):
    """Seconds, or a duration such as `1m30s`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        given = float(value) if _NUMBER.fullmatch(str(value)) else value
        try:
            return seconds("the time", given)
        except InvalidOption as error:
            self.fail(str(error), param, ctx)
