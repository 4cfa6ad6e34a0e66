"""Money from Stripe's event to the file that a person reads."""

import csv
import io
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app.accounts import currencies
from app.accounts.models import Organization
from app.db import db
from app.families.reports import catalog
from app.families.reports.period import Period
from app.families.reports.renderers import formatting
from app.families.reports.renderers.formats import get_format
from app.families.reports.report import Figure, Money, Report, Table
from app.families.stripe import samples
from app.jobs import JobExecution
from app.jobs.testing import assert_enqueued
from tests.families.reports.world import at, compute, figures, organization
from tests.support.stripe import handle

FORMATS = ("csv", "html", "xlsx", "pdf", "json")
ALL_REPORTS = ("monthly-analytics", "subscription-summary")


def subscribed(name: str, **scene: Any) -> Organization:
    """Return an organization that began a subscription yesterday, as Stripe tells it."""
    made = Organization(name=name)
    db.session.add(made)
    db.session.commit()
    about = samples.Scene(organization=made.id, began=int(time.time()) - 86400, **scene)
    for event in (samples.checkout_completed(about), samples.subscription_updated(about)):
        handle({**event, "api_version": about.version})
    db.session.commit()
    return made


def lately(report_type: str) -> Report:
    today = datetime.now(UTC).date()
    return catalog.compute(report_type, Period(today - timedelta(days=5), today), None)


def figure(report: Report, key: str) -> Figure:
    return next(one for one in report.contents.figures if one.key == key)


def table(report: Report, key: str) -> Table:
    return next(one for one in report.contents.tables if one.key == key)


def lines(report: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(get_format("csv").render(report).decode())))


@pytest.fixture
def unknown(app: Flask) -> None:
    """One customer whose price nobody knows beside one who pays 50 dollars."""
    db.session.add_all(
        [
            organization(1, "Team", 5000, subscribed_at=at(5, 1)),
            organization(2, "Usage", None, subscribed_at=at(10, 2)),
            organization(3, "Team", None, None, subscribed_at=at(6, 2)),
        ]
    )
    db.session.commit()


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("report_type", ALL_REPORTS)
def test_fault_K3_a_customer_without_a_fixed_price_breaks_no_report(
    report_type: str, name: str
) -> None:
    assert get_format(name).render(compute(report_type))


@pytest.mark.usefixtures("unknown")
def test_fault_K3_an_unknown_amount_is_an_empty_cell() -> None:
    listed = table(compute("subscription-summary"), "active").rows

    assert [row[-1] for row in listed] == [Money(5000, "usd"), None, None]


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("report_type", ALL_REPORTS)
def test_fault_K7_a_report_says_which_part_of_its_revenue_is_unknown(report_type: str) -> None:
    report = compute(report_type)

    revenue = figure(report, "recurringRevenue.usd")
    assert revenue.value == Money(5000, "usd")
    assert revenue.explanation == "recurring, on the last day, without 1 of unknown amount"
    assert figures(report)["amountUnknown"] == (2, 1)
    assert any("leaves out 2 subscriptions whose monthly" in note for note in report.contents.notes)
    plans = table(report, "plans")
    at_plan = {(row[0], row[1]): row[-2:] for row in plans.rows}
    assert at_plan == {
        ("Team", "USD"): (Money(5000, "usd"), 0),
        ("Usage", "USD"): (None, 1),
        ("Team", None): (None, 1),
    }


@pytest.mark.usefixtures("world")
def test_where_all_amounts_are_known_a_report_speaks_of_none_that_are_not() -> None:
    report = compute("monthly-analytics")

    assert "amountUnknown" not in figures(report)
    assert table(report, "plans").columns[-1].key == "recurringRevenue"


@pytest.mark.parametrize("status", ["trialing", "unpaid", "paused"])
def test_fault_K7_what_brings_no_revenue_now_is_counted_and_adds_none(
    app: Flask, status: str
) -> None:
    db.session.add(
        organization(1, "Team", 5000, subscribed_at=at(5, 1), subscription_status=status)
    )
    db.session.commit()

    report = compute("monthly-analytics")

    assert figures(report)["subscriptions"] == (1, 1)
    assert figures(report)["recurringRevenue.usd"] == (Money(0, "usd"), Money(0, "usd"))


def test_fault_K4_a_failed_payment_is_counted_from_the_event_to_the_figure(app: Flask) -> None:
    customer = subscribed("Late payer")
    scene = samples.Scene(
        customer=str(customer.stripe_customer_id), subscription=str(customer.stripe_subscription_id)
    )
    failed = samples.payment_failed(scene, at=int(time.time()) - 60)
    handle(failed)
    handle(failed)
    db.session.commit()

    report = lately("monthly-analytics")

    assert figure(report, "failedPayments").value == 1


def test_fault_K4_a_failure_that_changes_nothing_and_writes_to_nobody_is_counted(
    app: Flask,
) -> None:
    """Of a payer without an address, whose subscription is past due since the first failure."""
    customer = subscribed("No address", email="")
    scene = samples.Scene(
        customer=str(customer.stripe_customer_id),
        subscription=str(customer.stripe_subscription_id),
        email="",
    )
    for seconds in (60, 30):
        handle(samples.payment_failed(scene, at=int(time.time()) - seconds))
    db.session.commit()

    assert figure(lately("monthly-analytics"), "failedPayments").value == 2


def test_fault_K4_emails_that_were_held_back_are_not_counted_as_sent(app: Flask) -> None:
    for number, result in enumerate(({"emailId": "1"}, {"suppressed": "bounced"}, None)):
        db.session.add(
            JobExecution(
                job_id=f"00000000-0000-4000-8000-00000000000{number}",
                job_type="send-email",
                status="completed",
                payload={},
                result=result,
                completed_at=at(10, 3),
            )
        )
    db.session.commit()

    assert figures(compute("monthly-analytics"))["emailsSent"] == (2, 0)


def test_fault_K5_D13_an_amount_is_the_same_in_the_email_and_in_the_report(app: Flask) -> None:
    subscribed("Uganda", currency="ugx", amount=380_000)

    job = assert_enqueued("send-email")
    report = lately("subscription-summary")
    page = get_format("html").render(report).decode()
    amounts = [line["value"] for line in lines(report) if line["currency"] == "ugx"]

    assert job.payload["payload"]["data"]["amount"] == "UGX\u00a03,800.00"
    assert "UGX\u00a03,800.00" in page
    assert set(amounts) == {"3800.00", "0.00"}


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (380_000, "ugx", "UGX\u00a03,800.00"),
        (50_000, "isk", "ISK\u00a0500.00"),
        (50_000, "huf", "HUF\u00a0500.00"),
        (50_000, "twd", "TWD\u00a0500.00"),
        (4900, "jpy", "¥4,900"),
        (4900, "krw", "₩4,900"),
        (4900, "inr", "₹49.00"),
        (4900, "brl", "R$49.00"),
        (4900, "kwd", "KWD\u00a04.900"),
        (-4900, "usd", "\u2212$49.00"),
        (2**53 + 1, "usd", "$90,071,992,547,409.93"),
        (10**30 + 1, "usd", "$10,000,000,000,000,000,000,000,000,000.01"),
    ],
)
def test_fault_K5_reports_write_each_currency_as_emails_do(
    amount: int, currency: str, text: str
) -> None:
    assert formatting.money(Money(amount, currency)) == text
    assert currencies.written(amount, currency, minus="\u2212") == text


def test_fault_K5_a_sum_beyond_what_a_column_holds_breaks_no_report(app: Flask) -> None:
    db.session.add_all(
        organization(number, "Team", 2**63 - 1, subscribed_at=at(5, 1)) for number in (1, 2)
    )
    db.session.commit()

    report = compute("subscription-summary")

    assert figure(report, "recurringRevenue.usd").value == Money(2**64 - 2, "usd")
    assert all(get_format(name).render(report) for name in FORMATS)
