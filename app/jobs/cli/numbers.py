"""Numbers on the command line."""

from typing import Any

import click

LARGEST = 2**63 - 1


class Id(click.ParamType[int]):
    """The number of a user or an organization, as the database's columns hold it."""

    name = "integer"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is no whole number", param, ctx)
        if abs(number) > LARGEST:
            self.fail(f"{value!r} is greater than any id", param, ctx)
        return number
