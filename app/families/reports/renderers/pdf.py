"""A report as PDF, set by typst from `templates/report.typ`."""

import json
from pathlib import Path

from app.families.reports.renderers.pages import page
from app.families.reports.report import Report

_TEMPLATES = Path(__file__).parent / "templates"


def render(report: Report) -> bytes:
    """Typeset the report; `formats` has checked that typst is installed.

    Texts reach the template as JSON in an input, never as part of typst's source, so nothing in a
    name is executed. The PDF is tagged, for screen readers.
    """
    import typst  # noqa: PLC0415 - an extra, and 80 MB: only who sets a PDF needs it

    # A new compiler each time: a shared one would keep the memory of every report.
    return typst.compile(
        _TEMPLATES / "report.typ",
        root=_TEMPLATES,
        sys_inputs={"report": json.dumps(page(report))},
        timestamp=report.generated_at,
    )
