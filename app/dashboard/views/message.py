"""What QStash knows of a job's messages: asked when somebody looks, as it may take seconds."""

from flask.typing import ResponseReturnValue

from ...jobs import PublishRefused, PublishUnavailable
from ...jobs.operate import message_log
from ..access import Role
from ..rendering import page
from ..screens import Screen
from .job import job_of

screen = Screen("message", "")


@screen.page("/message/<path:job_id>", needs=Role.OPERATOR)
def index(job_id: str) -> ResponseReturnValue:
    row = job_of(job_id)
    ids = message_log.message_ids(row)
    try:
        found = message_log.entries(row)
    except (PublishRefused, PublishUnavailable) as error:
        return page("message.html", 503, row=row, ids=ids, found=[], trouble=str(error))
    return page("message.html", row=row, ids=ids, found=found, trouble=None)
