"""The figures of each report type, compared with what was counted by hand."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from app.db import db
from app.families.reports import catalog
from app.families.reports.period import Period
from app.families.reports.report import Chart, Money, Report, Row, Table
from tests.families.reports.world import NASTY, OCTOBER, compute, figures

pytestmark = pytest.mark.usefixtures("world")


def chart(report: Report, key: str) -> Chart:
    return next(one for one in report.contents.charts if one.key == key)


def table(report: Report, key: str) -> Table:
    return next(one for one in report.contents.tables if one.key == key)


def column(found: Table, key: str, rows: Sequence[Row] | None = None) -> list[object]:
    index = [one.key for one in found.columns].index(key)
    return [row[index] for row in (found.rows if rows is None else rows)]


def test_monthly_analytics_counts_both_periods_to_their_last_minute() -> None:
    assert figures(compute("monthly-analytics")) == {
        "signUps": (4, 2),
        "activeOrganizations": (2, 1),
        "subscriptions": (4, 2),  # 1, 2, 3 and 6; before October 1 and 4
        "newSubscriptions": (3, 0),
        "churn": (1 / 2, 1 / 3),  # 4 of 1 and 4; 5 of 1, 4 and 5
        "failedPayments": (2, 1),
        "emailsSent": (4, 1),
        "recurringRevenue.usd": (Money(10000, "usd"), Money(6900, "usd")),
        "recurringRevenue.eur": (Money(1900, "eur"), Money(0, "eur")),
    }


def test_a_time_series_has_every_day_and_adds_up_to_the_figure() -> None:
    report = compute("monthly-analytics")

    sign_ups = chart(report, "signUps")
    assert list(sign_ups.points) == [date(2026, 10, 1) + timedelta(n) for n in range(31)]
    assert list(sign_ups.series[0].values) == [1, 2, *[0] * 28, 1]


def test_recurring_revenue_follows_each_beginning_and_end() -> None:
    levels = chart(compute("monthly-analytics"), "recurringRevenue.usd").series[0].values

    assert [levels[0], levels[18], levels[19], levels[30]] == [11900, 11900, 10000, 10000]


def test_plans_have_a_row_for_each_currency_and_totals_for_each_currency() -> None:
    plans = table(compute("monthly-analytics"), "plans")

    assert plans.rows == [
        ("Team", "USD", 3, 0.75, 2, 0, 0.0, Money(10000, "usd")),
        ("Starter", "EUR", 1, 0.25, 1, 0, None, Money(1900, "eur")),
        ("Starter", "USD", 0, 0.0, 0, 1, 1.0, Money(0, "usd")),
    ]
    assert column(plans, "subscriptions", plans.totals) == [3, 1]
    assert column(plans, "recurringRevenue", plans.totals) == [
        Money(10000, "usd"),
        Money(1900, "eur"),
    ]


def test_an_organizations_report_knows_only_its_own_figures() -> None:
    report = compute("monthly-analytics", 2)

    assert report.organization == (2, NASTY)
    assert figures(report) == {
        "signUps": (2, 1),
        "activeOrganizations": (1, 0),
        "subscriptions": (1, 0),
        "newSubscriptions": (1, 0),
        "churn": (None, None),
        "failedPayments": (2, 0),
        "emailsSent": (1, 0),
        "recurringRevenue.usd": (Money(5000, "usd"), Money(0, "usd")),
    }


def test_job_performance_counts_outcomes_durations_and_waiting() -> None:
    found = figures(compute("job-performance"))

    assert found["jobs"] == (9, 1)
    assert found["successRate"] == (5 / 7, 1.0)
    assert found["dead"] == (2, 0)
    assert found["retries"] == (2, 0)
    assert found["p50"] == (3.0, 1.0)  # of 1, 2, 3, 4 and 60 s
    assert found["p95"] == (pytest.approx(48.8), 1.0)
    assert found["p99"] == (pytest.approx(57.76), 1.0)
    assert found["waited"] == (2.0, 2.0)


def test_job_types_stand_slowest_first_with_all_of_them_as_total() -> None:
    types = table(compute("job-performance"), "types")

    assert column(types, "jobType") == ["export-data", "send-email"]
    assert column(types, "jobs") == [3, 6]
    assert column(types, "successRate") == [1 / 3, 1.0]
    assert column(types, "p50") == [60.0, 2.5]
    assert column(types, "jobs", types.totals) == [9]


def test_one_cause_is_one_error_whatever_figures_its_text_has() -> None:
    errors = table(compute("job-performance"), "errors")

    assert errors.rows == [
        ("ValueError: row # is odd", "export-data", 2, 2, date(2026, 10, 9)),
        ("SendError: no answer", "send-email", 1, 0, date(2026, 10, 9)),
    ]


def test_an_organizations_job_performance_has_its_own_jobs_only() -> None:
    assert figures(compute("job-performance", 1))["jobs"] == (3, 1)


def test_a_subscription_summary_names_who_stayed_and_who_left() -> None:
    report = compute("subscription-summary")

    assert figures(report)["ended"] == (1, 1)
    assert column(table(report, "ended"), "organization") == ["Organization 4"]
    assert column(table(report, "ended"), "day") == [date(2026, 10, 20)]
    active = table(report, "active")
    assert set(column(active, "organization")) == {
        "Organization 1",
        NASTY,
        "Organization 3",
        "Organization 6",
    }
    assert active.count == 4


@pytest.mark.parametrize(
    "report_type", ["monthly-analytics", "job-performance", "subscription-summary"]
)
def test_a_period_without_data_is_an_empty_report(report_type: str) -> None:
    year_before_all = Period(date(2001, 1, 1), date(2001, 12, 31))

    report = catalog.compute(report_type, year_before_all)

    assert report.is_empty
    assert all(one.is_empty for one in report.contents.charts)


def test_a_report_reads_the_table_of_jobs_once() -> None:
    """The benchmark's ratio rests on it: both periods and all days come from one scan."""
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    event.listen(db.engine, "before_cursor_execute", note)
    compute("monthly-analytics")
    event.remove(db.engine, "before_cursor_execute", note)

    assert sum("job_executions" in statement for statement in seen) == 1
    assert sum("FROM users" in statement for statement in seen) == 1


def test_october_is_cut_into_days_and_compared_with_31_days() -> None:
    assert OCTOBER.previous == Period(date(2026, 8, 31), date(2026, 9, 30))
    assert len(OCTOBER.edges) == 33
