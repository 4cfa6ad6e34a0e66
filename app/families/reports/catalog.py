"""The registry of report types.

To add one, write a module in `types` with one function, from a `Scope` to `Contents`, under
`@report_type`. It is found at the next start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import current_app
from marshmallow import ValidationError
from sqlalchemy import text

from app.accounts.ids import key_of
from app.accounts.models import Organization
from app.db import db
from app.families.reports.period import Period
from app.families.reports.report import Contents, Report, Subject
from app.families.reports.scope import Scope
from app.jobs import PermanentError
from app.jobs.kit import OwnerId, hint

# For the transaction. Sorting and grouping a few hundred thousand rows need not spill to disk:
# PostgreSQL's default of 4 MB is meant for many concurrent queries. And the planner cannot know
# that `width_bucket` makes few groups: it expects parallel workers to pass on nearly every row.
_SETTINGS = ("SET LOCAL work_mem = '64MB'", "SET LOCAL parallel_tuple_cost = 0.001")

Compute = Callable[[Scope], Contents]


@dataclass(frozen=True, slots=True)
class ReportType:
    name: str
    title: str
    description: str
    compute: Compute


TYPES: dict[str, ReportType] = {}


def report_type(name: str, *, title: str, description: str) -> Callable[[Compute], Compute]:
    """Declare a report type, whose contents the decorated function computes."""

    def declare(compute: Compute) -> Compute:
        TYPES[name] = ReportType(name, title, description, compute)
        return compute

    return declare


def get_report_type(name: str) -> ReportType:
    """Return a report type.

    Raises:
        ValidationError: Unknown name; the message suggests the nearest.
    """
    if name not in TYPES:
        raise ValidationError(f"Unknown report type {name!r}; {hint(name, TYPES)}")
    return TYPES[name]


def compute(name: str, period: Period, organization_id: OwnerId | None = None) -> Report:
    """Compute a report.

    Raises:
        PermanentError: No such organization.
    """
    kind = get_report_type(name)
    for setting in _SETTINGS:
        db.session.execute(text(setting))
    return Report(
        type=name,
        title=kind.title,
        publisher=current_app.config["APP_NAME"],
        period=period,
        organization=_subject(organization_id),
        generated_at=datetime.now(UTC).replace(microsecond=0),
        contents=kind.compute(Scope(period, organization_id)),
    )


def _subject(organization_id: OwnerId | None) -> Subject | None:
    if organization_id is None:
        return None
    key = key_of(organization_id)
    organization = None if key is None else db.session.get(Organization, key)
    if organization is None:
        raise PermanentError(f"no organization {organization_id} to report on")
    return Subject(organization.id, organization.name)
