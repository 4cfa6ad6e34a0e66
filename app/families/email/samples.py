"""One realistic `send-email` payload per template, for the demo and the tests."""

from typing import Any


def _sample(template: str, **data: str) -> dict[str, Any]:
    return {"to": "ada@example.com", "template": template, "data": data}


SAMPLES = (
    _sample("welcome", recipientName="Ada Lovelace", dashboardUrl="https://app.example.com/start"),
    _sample(
        "passwordReset",
        recipientName="Ada Lovelace",
        resetUrl="https://app.example.com/password/reset?token=5f1d7a84e0b94c0fa3c1e2d96b7a58c4",
    ),
    _sample("passwordChanged", recipientName="Ada Lovelace"),
    _sample(
        "emailChange", recipientName="Ada Lovelace", newEmail="ada.lovelace@analytical.example"
    ),
    _sample(
        "teamInvitation",
        inviterName="Grace Hopper",
        organizationName="Analytical Engines",
        invitationUrl="https://app.example.com/invitations/8kq2-fw7m-x3vd",
    ),
    _sample(
        "subscriptionCreated",
        recipientName="Ada Lovelace",
        planName="Team",
        amount="$29.00 per month",
        dashboardUrl="https://app.example.com/billing",
    ),
    _sample(
        "paymentFailed",
        recipientName="Ada Lovelace",
        planName="Team",
        amountDue="$29.00",
        paymentDetailsUrl="https://app.example.com/billing/payment-method",
    ),
    _sample(
        "fileReady",
        what="Monthly analytics, 1 to 31 Oct 2026",
        fileName="monthly-analytics-2026-10-01-to-2026-10-31.pdf",
        downloadUrl="https://app.example.com/api/artifacts/IjE0ZDk4In0.Y2hlY2tlZA",
        availableUntil="2 Nov 2026, 09:30 UTC",
    ),
)
