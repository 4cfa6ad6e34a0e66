"""The job `generate-report`: payload, schema, handler."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from app import artifacts
from app.families.email import file_ready
from app.families.reports import bp, catalog
from app.families.reports.period import Period, problems
from app.families.reports.renderers import formatting
from app.families.reports.renderers.formats import get_format
from app.jobs import Job, PayloadSchema

_DAY: dict[str, Any] = {"invalid": 'Must be a date such as "2026-10-31".'}


@dataclass(frozen=True, slots=True)
class GenerateReport:
    """One report to make.

    Attributes:
        start_date, end_date: Both included, in UTC.
        recipients: Who gets an email with a link when the file is ready.
    """

    report_type: str
    start_date: date
    end_date: date
    format: str
    recipients: list[str] = field(default_factory=list)

    @property
    def period(self) -> Period:
        return Period(self.start_date, self.end_date)


class GenerateReportSchema(PayloadSchema[GenerateReport]):
    model = GenerateReport

    report_type = fields.String(required=True, validate=catalog.get_report_type)
    start_date = fields.Date(required=True, format="%Y-%m-%d", error_messages=_DAY)
    end_date = fields.Date(required=True, format="%Y-%m-%d", error_messages=_DAY)
    format = fields.String(required=True, validate=get_format)
    recipients = file_ready.recipients()

    @validates_schema
    def check_period(self, data: dict[str, Any], **_: Any) -> None:
        found = problems(data["start_date"], data["end_date"])
        if found:
            raise ValidationError(found)


#: What the public TypeScript starter calls our report types.
STARTERS_TYPES = {"analytics": "monthly-analytics"}


def adapt(payload: dict[str, Any]) -> dict[str, Any]:
    """Translate the public starter's report: its `dateRange` of two times becomes our two dates."""
    span = payload.pop("dateRange", None)
    if isinstance(span, dict):
        payload |= {"startDate": _day(span.get("from")), "endDate": _day(span.get("to"))}
    kind = payload.get("reportType")
    return payload | {"reportType": STARTERS_TYPES.get(str(kind), kind)}


def _day(moment: object) -> object:
    return moment[:10] if isinstance(moment, str) else moment


@bp.job(
    "generate-report",
    "/report",
    payload=GenerateReportSchema,
    retries=2,
    timeout=180,
    adapt=adapt,
    description="Compute a report and store it as a file",
)
def generate_report(payload: GenerateReport, job: Job) -> dict[str, Any]:
    """Compute the figures, render them and store the file.

    If the job has an organization, the figures are limited to it, and it owns the file.
    """
    format_ = get_format(payload.format)
    job.progress(0, 2, "computing figures")
    report = catalog.compute(payload.report_type, payload.period, job.organization_id)
    job.progress(1, 2, f"rendering {format_.name}")
    content = format_.render(report)
    job.check()
    name = file_name(payload.report_type, payload.period, format_.name)
    with artifacts.create(name, media_type=format_.media_type, job=job) as file:
        file.write(content)
    what = f"{report.title}, {formatting.days(payload.period)}"
    file_ready.tell_recipients(payload.recipients, file.artifact, job, what=what)
    job.progress(2, 2, "stored")
    return {
        "artifact": file.artifact.summary(),
        "reportType": payload.report_type,
        "period": {"startDate": str(payload.start_date), "endDate": str(payload.end_date)},
    }


def file_name(report_type: str, period: Period, ending: str) -> str:
    """Return a name such as `monthly-analytics-2026-10-01-to-2026-10-31.pdf`."""
    return f"{report_type}-{period.start}-to-{period.end}.{ending}"
