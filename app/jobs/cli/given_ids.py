"""Ids on the command line."""

from typing import Any

import click

from app.jobs.ids import MAX_LENGTH, OwnerId, id_type, is_job_id, parse_owner_id


class Id(click.ParamType[OwnerId]):
    """The id of a user or an organization, of the kind that JOBS_ID_TYPE says."""

    name = "id"

    def convert(self, value: Any, param: Any, ctx: Any) -> OwnerId:
        try:
            return parse_owner_id(str(value))
        except ValueError as error:
            self.fail(f"{value!r} is not {error} (JOBS_ID_TYPE={id_type()})", param, ctx)


class JobId(click.ParamType[str]):
    """The id of a job: a UUID, or what another producer gave it."""

    name = "id"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if not is_job_id(value):
            self.fail(f"{value!r} is not a line of 1 to {MAX_LENGTH} characters", param, ctx)
        return str(value)
