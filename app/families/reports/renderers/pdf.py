"""A report as PDF, set by typst from `templates/report.typ`."""

import json
from pathlib import Path

from app.families.reports.renderers.pages import page
from app.families.reports.report import Report

_TEMPLATES = Path(__file__).parent / "templates"


def render(report: Report) -> bytes:
    """Set the report; `formats` refused it where typst is not installed.

    Its texts reach the template as JSON in an input, never as part of typst's source, so nothing
    that a name contains is run. The PDF is tagged, for screen readers.
    """
    import typst  # noqa: PLC0415 - an extra, and 80 MB: only who sets a PDF needs it

    # A compiler of its own each time: one that is kept would keep each report's memory, too.
    return typst.compile(
        _TEMPLATES / "report.typ",
        root=_TEMPLATES,
        sys_inputs={"report": json.dumps(page(report))},
        timestamp=report.generated_at,
    )
