"""A small world whose figures can be counted by hand.

October 2026 is the period, the 31 days before it the previous one.
"""

from datetime import UTC, date, datetime
from uuid import uuid4

from app.accounts.activity import Activity
from app.accounts.models import ActivityLog, Organization, User
from app.families.reports import catalog
from app.families.reports.period import Period
from app.families.reports.report import Report
from app.jobs import JobExecution

OCTOBER = Period(date(2026, 10, 1), date(2026, 10, 31))


NASTY = '#evil() $x$ *b* <script>alert("1")</script> \\u{41} @ref'


def at(month: int, day: int, hour: int = 12, minute: int = 0, second: float = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, int(second), int(second % 1 * 1e6), UTC)


def organization(
    identity: int,
    plan: str | None,
    amount: int | None,
    currency: str | None = "usd",
    **facts: object,
) -> Organization:
    return Organization(
        id=identity,
        plan_name=plan,
        monthly_amount=amount,
        currency=currency,
        created_at=at(1, 1),
        **{"name": f"Organization {identity}", "subscription_status": "active", **facts},
    )


def organizations() -> list[Organization]:
    return [
        organization(1, "Team", 5000, subscribed_at=at(5, 1)),
        organization(2, "Team", 5000, subscribed_at=at(10, 1, 0), name=NASTY),
        organization(3, "Starter", 1900, "eur", subscribed_at=at(10, 31, 23, 59)),
        organization(
            4,
            "Starter",
            1900,
            subscribed_at=at(6, 1),
            unsubscribed_at=at(10, 20),
            subscription_status="canceled",
        ),
        organization(
            5,
            "Team",
            5000,
            subscribed_at=at(6, 1),
            unsubscribed_at=at(9, 10),
            subscription_status="canceled",
        ),
        organization(6, "Team", 5000, subscribed_at=at(10, 5), subscription_status="trialing"),
        organization(7, "Team", 5000, subscribed_at=at(10, 5), subscription_status="incomplete"),
        organization(8, "Team", 5000, subscribed_at=at(11, 1, 0)),
    ]


def people() -> list[User]:
    # One just before the previous period, two in it, four in October, one just after.
    days = [at(8, 30, 23), at(8, 31, 0), at(9, 30, 23), at(10, 1, 0), at(10, 2), at(10, 2)]
    days += [at(10, 31, 23, 59), at(11, 1, 0)]
    return [
        User(id=n, email=f"{n}@example.com", name=f"Person {n}", created_at=day)
        for n, day in enumerate(days, 1)
    ]


def activity() -> list[ActivityLog]:
    happened = [
        (1, Activity.PAYMENT_FAILED, at(9, 5)),
        (1, "project.created", at(10, 1)),
        (1, "project.created", at(10, 2)),
        (2, Activity.PAYMENT_FAILED, at(10, 2)),
        (2, Activity.PAYMENT_FAILED, at(10, 30)),
        (3, "project.created", at(11, 2)),
    ]
    return [
        ActivityLog(organization_id=who, action=what, created_at=when)
        for who, what, when in happened
    ]


def job(
    job_type: str, created: datetime, seconds: float | None = 1.0, **facts: object
) -> JobExecution:
    """Return a job that waited two seconds and took so many; None for one that died."""
    done = (
        {"status": "completed"} if seconds is not None else {"status": "failed", "dead_at": created}
    )
    started = created.timestamp() + 2
    return JobExecution(
        job_id=str(uuid4()),
        job_type=job_type,
        payload={},
        created_at=created,
        started_at=datetime.fromtimestamp(started, UTC),
        completed_at=datetime.fromtimestamp(started + (seconds or 0), UTC),
        **{**done, **facts},
    )


def jobs() -> list[JobExecution]:
    return [
        job("send-email", at(9, 3), 1.0, organization_id=1),
        *(job("send-email", at(10, 1), seconds, organization_id=1) for seconds in (1, 2, 3)),
        job("send-email", at(10, 2), 4.0, organization_id=2, retry_count=2),
        job("export-data", at(10, 2), 60.0, organization_id=2),
        job(
            "export-data",
            at(10, 3),
            None,
            error="ValueError: row 17 is odd\nmore",
            organization_id=2,
        ),
        job("export-data", at(10, 9), None, error="ValueError: row 4 is odd", organization_id=2),
        job("send-email", at(10, 9), None, error="SendError: no answer", dead_at=None),
        job("send-email", at(10, 9), None, status="pending", dead_at=None),
    ]


def figures(report: Report) -> dict[str, tuple[object, object]]:
    """Return each figure's value beside that of the previous period."""
    return {figure.key: (figure.value, figure.previous) for figure in report.contents.figures}


def compute(report_type: str, organization_id: int | None = None) -> Report:
    return catalog.compute(report_type, OCTOBER, organization_id)
