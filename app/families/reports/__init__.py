"""Reports: figures of a period, computed once in SQL and rendered as PDF, page, workbook or data.

A report type is one module in `types`, a format one in `renderers`. Between them stands
`report.Report`; neither side knows of the other.
"""

from app.jobs import JobBlueprint
from app.jobs.cli.kit import JobsGroup

bp = JobBlueprint("reports", __name__)
bp.cli = JobsGroup(help="Generate reports now, without a job, and list the types.")
