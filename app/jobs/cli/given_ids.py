"""Ids of users and organizations on the command line."""

from typing import Any

import click

from ..values.ids import OwnerId, id_type, parse_owner_id


class Id(click.ParamType[OwnerId]):
    """The id of a user or an organization, of the kind that JOBS_ID_TYPE says."""

    name = "id"

    def convert(self, value: Any, param: Any, ctx: Any) -> OwnerId:
        try:
            return parse_owner_id(str(value))
        except ValueError as error:
            self.fail(f"{value!r} is not {error} (JOBS_ID_TYPE={id_type()})", param, ctx)
