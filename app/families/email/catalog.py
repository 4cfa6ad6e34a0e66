"""The emails of this app.

To add one, declare it at the end of this module, write its two files in `templates/`, named after
it (`.html` and `.txt`), and add a sample to `samples.py`, which the tests render. Its fields are
variables in the files, None where they are optional and were not given. Nothing else has to know
of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar, Unpack, dataclass_transform

from marshmallow import ValidationError
from sqlalchemy.orm import Session, scoped_session

from app.families.email import transport
from app.families.email.fields import Address, Line, Link
from app.families.email.payload import SendEmail, SendEmailSchema
from app.families.email.rendering import render
from app.families.email.suppressions import suppressed
from app.families.email.template import TEMPLATES, Subject, Template, data_schema
from app.jobs import InvalidPayload, JobId, Options, PermanentError, enqueue
from app.jobs.kit import OwnerId

JOB = "send-email"


class EnqueueOptions(Options, total=False):
    """Who the job is for, and how to deliver it."""

    user_id: OwnerId | None
    organization_id: OwnerId | None
    idempotency_key: str | None
    session: Session | scoped_session[Any] | None


@dataclass(frozen=True)
class Email:
    """An email to an address: `send()` it now, or `enqueue()` it."""

    template: ClassVar[str]

    to: str

    def send(self) -> str:
        """Send it in this thread and return Resend's message id.

        Use it where the caller has to know that it worked; `enqueue` answers at once and outlasts
        an outage of Resend.

        Raises:
            InvalidPayload: A field does not fit; `errors` maps fields to messages.
            PermanentError: The address is suppressed, as it bounced or complained.
            PermanentError, RetryLater, SendError: See `transport.send`.
        """
        email = self._checked()
        reason = suppressed(email.to, email.template)
        if reason is not None:
            raise PermanentError(f"the address is suppressed: it {reason}; nothing was sent")
        return transport.send(render(email.template, email.data), to=email.to)

    def enqueue(self, **options: Unpack[EnqueueOptions]) -> JobId:
        """Have the job `send-email` send it: recorded, retried, rate-limited.

        Takes the options of `app.jobs.enqueue` and raises its errors: an invalid field fails here,
        not in the job. Returns the job's id.
        """
        return enqueue(JOB, self._payload(), **options)

    def _payload(self) -> SendEmail:
        names = [field.name for field in fields(self) if field.name != "to"]
        return SendEmail(self.to, self.template, {name: getattr(self, name) for name in names})

    def _checked(self) -> SendEmail:
        """Return the email as the job would get it."""
        schema = SendEmailSchema()
        try:
            loaded: SendEmail = schema.load(schema.dump(self._payload()))
        except ValidationError as error:
            raise InvalidPayload(JOB, error.messages_dict) from error
        return loaded


E = TypeVar("E", bound=Email)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def email(
    template: str,
    *,
    subject: Subject,
    critical: bool = False,
    aliases: Mapping[str, str] | None = None,
) -> Callable[[type[E]], type[E]]:
    """Declare an email: makes the class a frozen dataclass, and registers it.

    The arguments are those of `Template`.
    """

    def declare(cls: type[E]) -> type[E]:
        made = dataclass(frozen=True, kw_only=True)(cls)
        made.template = template
        TEMPLATES[template] = Template(
            template, subject, data_schema(made), critical, aliases or {}
        )
        return made

    return declare


def _welcome_subject(data: Mapping[str, Any]) -> str:
    return "Welcome to {app_name}" + (", {recipient_name}" if data["recipient_name"] else "")


@email("welcome", subject=_welcome_subject)
class Welcome(Email):
    """Greets someone who signed up; the dashboard's default address is BASE_URL."""

    recipient_name: Line | None = None
    dashboard_url: Link | None = None


@email("passwordReset", subject="Reset your {app_name} password", critical=True)
class PasswordReset(Email):
    """The link for setting a new password."""

    reset_url: Link
    recipient_name: Line | None = None


@email("passwordChanged", subject="Your {app_name} password was changed", critical=True)
class PasswordChanged(Email):
    """Confirms that a password was changed."""

    recipient_name: Line | None = None


def _email_change_subject(data: Mapping[str, Any]) -> str:
    if data["confirmation_url"]:
        return "Confirm your new {app_name} email address"
    return "Your {app_name} email address was changed"


@email("emailChange", subject=_email_change_subject, critical=True)
class EmailChange(Email):
    """Goes to the old address, which someone losing an account can still read.

    With a `confirmation_url` nothing has changed yet: the email asks for a click there.
    """

    new_email: Address
    recipient_name: Line | None = None
    confirmation_url: Link | None = None


@email(
    "teamInvitation",
    subject="{inviter_name} invited you to {organization_name}",
    aliases={"teamName": "organizationName", "inviteUrl": "invitationUrl"},
)
class TeamInvitation(Email):
    """Invites someone, who may not have an account yet, to an organization."""

    inviter_name: Line
    organization_name: Line
    invitation_url: Link
    recipient_name: Line | None = None


@email("subscriptionCreated", subject="Your {plan_name} plan is active")
class SubscriptionCreated(Email):
    """Confirms a subscription; the dashboard's default address is BASE_URL.

    `amount` is printed as it is: format it with its currency, such as "$29.00 per month".
    """

    plan_name: Line
    amount: Line
    recipient_name: Line | None = None
    dashboard_url: Link | None = None


@email("paymentFailed", subject="Your payment of {amount_due} did not go through")
class PaymentFailed(Email):
    """Asks for other payment details; `amount_due` is formatted, such as "$29.00"."""

    amount_due: Line
    payment_details_url: Link
    recipient_name: Line | None = None
    plan_name: Line | None = None


@email("fileReady", subject="{what} is ready")
class FileReady(Email):
    """The link to a file; `what` describes it, and `available_until` is formatted."""

    what: Line
    file_name: Line
    download_url: Link
    available_until: Line
