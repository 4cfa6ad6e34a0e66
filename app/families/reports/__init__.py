"""Reports: figures of a period, computed once in SQL and rendered as PDF, page, workbook or data.

A report type is one module here with one function under `@report_type`; a format is one module in
`renderers`. Between them stands `report.Report`, and neither knows of the other.
"""

from flask import Blueprint

from app.jobs import JobBlueprint

bp = JobBlueprint("reports", __name__)
#: `flask reports …`.
public = Blueprint("report_commands", __name__, cli_group="reports")
public.cli.help = "Make reports here and now, and list those that there are."
