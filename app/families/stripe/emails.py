"""The emails that events cause, enqueued in the session's transaction, once per event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from flask import current_app

from app.accounts.currencies import written
from app.accounts.ids import owner_id_of
from app.accounts.models import owner_of
from app.accounts.subscription_facts import ENDED
from app.accounts.subscriptions import Recorded
from app.db import db
from app.families.email.catalog import Email, PaymentFailed, SubscriptionCreated
from app.families.stripe.event import Event
from app.families.stripe.reading import (
    optional,
    optional_count,
    optional_currency,
    required,
)
from app.families.stripe.shapes import Person
from app.jobs import InvalidPayload, KeyReused

NAME_LENGTH = 200
#: The states in which a payment still needs attention.
_DUE = frozenset({"past_due", "unpaid", "incomplete"})


@dataclass(frozen=True, slots=True)
class Written:
    """An email's job, or why there is none."""

    job_id: str | None = None
    note: str | None = None

    def as_json(self) -> dict[str, str]:
        told = {"emailJobId": self.job_id, "note": self.note}
        return {name: value for name, value in told.items() if value}


NO_ADDRESS = Written(note="neither Stripe nor the organization has an email address: no email")


@dataclass(frozen=True, slots=True)
class _Recipient:
    """The recipient: the payer, or the owner if Stripe names no payer."""

    organization_id: int
    address: str | None
    name: str

    @classmethod
    def of(cls, recorded: Recorded, person: Person) -> Self:
        organization = recorded.organization
        if organization is None:
            raise LookupError("an email about a subscription without an organization")
        owner = None if person.email else owner_of(organization.id)
        address = owner.email if owner else person.email
        name = owner.name if owner else person.name
        return cls(organization.id, address, _line(name) or _line(organization.name) or "there")


def subscription_created(event: Event, recorded: Recorded, person: Person) -> Written:
    """Confirm a subscription, unless it has ended by now."""
    if recorded.state.status in ENDED:
        return Written(note="the subscription has ended: no email")
    amount = written(_amount(event.thing, "amount_total"), _currency(event))
    to = _Recipient.of(recorded, person)
    if to.address is None:
        return NO_ADDRESS
    email = SubscriptionCreated(
        to.address,
        recipient_name=to.name,
        plan_name=_plan(recorded),
        amount=amount,
        dashboard_url=f"{current_app.config['BASE_URL']}/dashboard",
    )
    return _enqueue(email, event, to)


def payment_failed(event: Event, recorded: Recorded, person: Person) -> Written:
    """Ask for other payment details, unless the invoice has been paid since."""
    if recorded.state.status not in _DUE:
        return Written(note=f"the subscription is {recorded.state.status} by now: no email")
    invoice = event.thing
    remaining = optional_count(invoice, "amount_remaining")
    due = _amount(invoice, "amount_due") if remaining is None else remaining
    amount_due = written(due, _currency(event))
    page = optional(invoice, "hosted_invoice_url", str)
    to = _Recipient.of(recorded, person)
    if to.address is None:
        return NO_ADDRESS
    email = PaymentFailed(
        to.address,
        recipient_name=to.name,
        plan_name=_plan(recorded),
        amount_due=amount_due,
        payment_details_url=page or f"{current_app.config['BASE_URL']}/billing",
    )
    return _enqueue(email, event, to)


def _enqueue(email: Email, event: Event, to: _Recipient) -> Written:
    try:
        job_id = email.enqueue(
            organization_id=owner_id_of(to.organization_id),
            idempotency_key=f"stripe/{event.id}",
            session=db.session,
        )
    except InvalidPayload as error:  # an invalid address: the facts are good all the same
        return Written(note=f"no email: {error}")
    except KeyReused as error:  # an event that is replayed: by now it would say something else
        return Written(job_id=error.job_id)
    return Written(job_id=str(job_id))


def _plan(recorded: Recorded) -> str:
    return _line(recorded.state.plan_name) or "your plan"


def _currency(event: Event) -> str:
    return optional_currency(event.thing, "currency") or required(event.thing, "currency", str)


def _amount(thing: Mapping[str, Any], path: str) -> int:
    amount = optional_count(thing, path)
    return required(thing, path, int) if amount is None else amount


def _line(text: str | None) -> str:
    """Return a name that fits into an email: on one line, printable, not too long."""
    printable = "".join(letter for letter in text or "" if letter.isprintable())
    return printable.strip()[:NAME_LENGTH]
