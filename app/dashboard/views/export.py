"""The list of jobs as a file: by a job of the app's where it has one for that, or at once."""

from flask import Response, abort, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs.kit import in_transaction
from ...jobs.operate import audit
from .. import access, cookies, csv_file, exports, filters, formatting
from ..access import Role
from ..rendering import link
from ..screens import Screen

screen = Screen("export", "")


@screen.page("/jobs.csv")
def index() -> ResponseReturnValue:
    """Answer with the newest 10,000 jobs that fit."""
    given = filters.read(request.args)
    if given.problems:
        abort(400, " ".join(given.problems.values()))
    headers = {"Content-Disposition": f'attachment; filename="{csv_file.name()}"'}
    return Response(csv_file.write(given.wanted()), mimetype="text/csv", headers=headers)


@screen.action("/jobs/export", needs=Role.OPERATOR)
def begin() -> ResponseReturnValue:
    """Have the app's own job write all that fit, and lead to it; at once what it cannot choose."""
    given = filters.read(request.form)
    if given.problems:
        abort(400, " ".join(given.problems.values()))
    who, about = access.user().name, given.wanted().as_json()
    # Before: the app's own job may be recorded in a transaction of its own.
    entry = in_transaction(
        lambda tx: audit.record_action(tx, actor=who, action="export", wanted=about)
    )
    job_id = exports.begin(given.wanted())
    if job_id is None:
        return redirect(link("export", **given.address))
    in_transaction(lambda tx: audit.add_jobs(tx, entry, [job_id]))
    cookies.notice(f"Job {formatting.short_id(job_id)} writes the file.")
    return redirect(link("job", job_id=job_id))
