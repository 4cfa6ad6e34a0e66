"""The report `monthly-analytics`: the figures of the business."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import TextClause, text

from app.accounts.activity import Activity
from app.families.reports.catalog import report_type
from app.families.reports.period import Step
from app.families.reports.plans import (
    active_figure,
    churn_figure,
    plan_table,
    revenue_charts,
    revenue_figures,
    unknown_notes,
)
from app.families.reports.report import (
    Better,
    Chart,
    ChartKind,
    Column,
    Contents,
    Figure,
    Series,
    Table,
    Unit,
)
from app.families.reports.scope import Scope, Tally
from app.families.reports.subscriptions import Movements, movements

# Each statement reads its table once, for both periods and all buckets.
_SIGN_UPS = text("""
SELECT width_bucket(created_at, CAST(:edges AS timestamptz[])) AS bucket, count(*) AS found
  FROM users
 WHERE created_at >= :since AND created_at < :until
   AND (CAST(:organization AS bigint) IS NULL
        OR id IN (SELECT user_id FROM memberships WHERE organization_id = :organization))
 GROUP BY 1""")

# A period's distinct organizations are not the sum of its buckets': the second set of the outer
# grouping counts them, over the few rows that the inner one leaves.
_ACTIVITY = text(f"""
WITH seen AS (
    SELECT width_bucket(created_at, CAST(:edges AS timestamptz[])) AS bucket, organization_id,
           count(*) FILTER (WHERE action = '{Activity.PAYMENT_FAILED}') AS failed
      FROM activity_logs
     WHERE created_at >= :since AND created_at < :until
       AND (CAST(:organization AS bigint) IS NULL OR organization_id = :organization)
     GROUP BY 1, 2)
SELECT bucket, bucket > 1 AS present, count(DISTINCT organization_id) AS active,
       sum(failed)::bigint AS failed
  FROM seen
 GROUP BY GROUPING SETS ((bucket), (bucket > 1))""")  # noqa: S608 - our own words

_EMAILS = text("""
SELECT width_bucket(completed_at, CAST(:edges AS timestamptz[])) AS bucket, count(*) AS found
  FROM job_executions
 WHERE completed_at >= :since AND completed_at < :until
   AND job_type = 'send-email' AND status = 'completed'
   AND result -> 'suppressed' IS NULL
   AND (CAST(:organization AS bigint) IS NULL OR organization_id = :organization)
 GROUP BY 1""")

NOTES = (
    "Days are days in UTC. Changes compare with the equally long period just before.",
    "An organization is active if its activity log has an entry in the period.",
    (
        "Recurring revenue is what subscriptions that began before the end of the period, and had"
        " not ended by then, bring a month: their fixed prices of today, less discounts that never"
        " end. Usage, trials, and subscriptions that are unpaid or paused bring none."
    ),
    "Churn is the share of the subscriptions at the start of the period that ended within it.",
    "Sent are emails that the provider accepted, as far back as job records are kept.",
)


@dataclass(frozen=True, slots=True)
class Found:
    """All counts."""

    days: Sequence[date]
    sign_ups: Tally
    failed: Tally
    emails: Tally
    active: Tally
    active_in_all: tuple[int, int]
    subscriptions: Movements


@report_type(
    "monthly-analytics",
    title="Monthly analytics",
    description="Sign-ups, activity, subscriptions, churn, recurring revenue, payments, emails",
)
def monthly_analytics(scope: Scope) -> Contents:
    found = _read(scope)
    return Contents(
        figures=[*_figures(found), *revenue_figures(found.subscriptions)],
        charts=_charts(found),
        tables=[plan_table(found.subscriptions), _over_time(found, scope)],
        notes=[*NOTES, *unknown_notes(found.subscriptions)],
    )


def _read(scope: Scope) -> Found:
    activity = scope.rows(_ACTIVITY)
    by_bucket = [row for row in activity if row.bucket is not None]
    in_all = {row.present: row.active for row in activity if row.bucket is None}
    return Found(
        days=scope.period.buckets,
        sign_ups=_tally(scope, _SIGN_UPS),
        emails=_tally(scope, _EMAILS),
        failed=Tally.of(scope, {row.bucket: row.failed for row in by_bucket}),
        active=Tally.of(scope, {row.bucket: row.active for row in by_bucket}),
        active_in_all=(in_all.get(True, 0), in_all.get(False, 0)),
        subscriptions=movements(scope),
    )


def _tally(scope: Scope, statement: TextClause) -> Tally:
    return Tally.of(scope, {row.bucket: row.found for row in scope.rows(statement)})


def _figures(found: Found) -> list[Figure]:
    return [
        _counted("signUps", "Sign-ups", found.sign_ups),
        Figure(
            key="activeOrganizations",
            label="Active organizations",
            value=found.active_in_all[0],
            previous=found.active_in_all[1],
        ),
        active_figure(found.subscriptions),
        _counted("newSubscriptions", "New subscriptions", found.subscriptions.started()),
        churn_figure(found.subscriptions),
        _counted("failedPayments", "Failed payments", found.failed, Better.LESS),
        _counted("emailsSent", "Emails sent", found.emails, Better.NEITHER),
    ]


def _counted(key: str, label: str, tally: Tally, better: Better = Better.MORE) -> Figure:
    return Figure(key=key, label=label, value=tally.total, previous=tally.previous, better=better)


def _charts(found: Found) -> list[Chart]:
    def chart(key: str, title: str, kind: ChartKind, *series: Series) -> Chart:
        return Chart(key=key, title=title, kind=kind, points=found.days, series=series)

    moves = found.subscriptions
    return [
        chart(
            "signUps",
            "Sign-ups",
            ChartKind.AREA,
            Series("signUps", "Sign-ups", found.sign_ups.series),
        ),
        chart(
            "activeOrganizations",
            "Active organizations",
            ChartKind.LINE,
            Series("activeOrganizations", "Active organizations", found.active.series),
        ),
        *revenue_charts(moves, found.days),
        chart(
            "movements",
            "Subscriptions begun and ended",
            ChartKind.BAR,
            Series("started", "Begun", moves.started().series),
            Series("ended", "Ended", moves.ended().series),
        ),
        chart(
            "failedPayments",
            "Failed payments",
            ChartKind.BAR,
            Series("failedPayments", "Failed payments", found.failed.series),
        ),
        chart(
            "emailsSent", "Emails sent", ChartKind.AREA, Series("sent", "Sent", found.emails.series)
        ),
    ]


def _over_time(found: Found, scope: Scope) -> Table:
    counted = {
        Column("signUps", "Sign-ups"): found.sign_ups,
        Column("started", "Subscriptions begun"): found.subscriptions.started(),
        Column("ended", "Subscriptions ended"): found.subscriptions.ended(),
        Column("failedPayments", "Failed payments"): found.failed,
        Column("emailsSent", "Emails sent"): found.emails,
    }
    lines = zip(found.days, found.active.series, *(t.series for t in counted.values()), strict=True)
    step = scope.period.step
    return Table(
        key="timeSeries",
        title=f"{step.capitalize()} by {step}",
        columns=[
            Column("from", "Day" if step is Step.DAY else f"{step.capitalize()} from", Unit.DAY),
            Column("activeOrganizations", "Active organizations"),
            *counted,
        ],
        rows=[tuple(line) for line in lines],
        totals=[(None, found.active_in_all[0], *(tally.total for tally in counted.values()))],
    )
