"""A report as one HTML page: no scripts, no requests, inline charts, ready for print."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app.families.reports.renderers.pages import page
from app.families.reports.report import Report

_TEMPLATES = Path(__file__).parent / "templates"
_files = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(report: Report) -> bytes:
    shown = page(report)
    for chart in shown["charts"]:
        # Our own drawing, whose template has escaped its texts.
        chart["svg"] = Markup(chart["svg"])  # noqa: S704 - see above
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    html = _files.get_template("report.html").render(report=shown, style=Markup(style))  # noqa: S704 - our own file
    return html.encode()
