"""The email templates.

To add one, declare it at the end of this module, and write its two files in `templates/`, with its
name and `.html` and `.txt`. Its fields are variables there, None if they are optional and were not
given. `samples` needs an example of it. For a function of its own, see `enqueue` and `senders`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, post_dump, post_load

from app.families.email.fields import address, line, link
from app.jobs import PayloadSchema
from app.jobs.values.nearest import hint

Subject = str | Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of email.

    Attributes:
        name: As it stands in a payload, and as the template's files are named.
        subject: With fields of the data, and `app_name`, in braces; or a function from the data to
            such a text, where it depends on what was given.
        schema: Loads the data from camelCase JSON to what the template's files use.
        critical: Whether it is sent also to an address that bounced or complained: without it
            somebody could lose an account.
    """

    name: str
    subject: Subject
    schema: "TemplateSchema"
    critical: bool = False

    def subject_for(self, values: Mapping[str, Any]) -> str:
        """Return the subject with its fields filled in."""
        subject = self.subject(values) if callable(self.subject) else self.subject
        return subject.format(**values)


class TemplateSchema(PayloadSchema[dict[str, Any]]):
    """What one template has to be told; what is optional and was not given is None.

    Attributes:
        aliases: From what other producers call a field to what it is called on our wire.
    """

    model = dict
    aliases: ClassVar[Mapping[str, str]] = {}

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return dict.fromkeys(self.fields) | data

    @post_dump
    def leave_out_what_was_not_given(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value is not None}


TEMPLATES: dict[str, Template] = {}


def get_template(name: str) -> Template:
    """Return a template.

    Raises:
        ValidationError: There is none of this name; the message names the nearest.
    """
    if name not in TEMPLATES:
        raise ValidationError(f"Unknown template {name!r}; {hint(name, TEMPLATES)}")
    return TEMPLATES[name]


def links() -> list[str]:
    """Return the fields of any template's data that are links, by their names on the wire."""
    schemas = [template.schema for template in TEMPLATES.values()]
    found = [field for schema in schemas for field in schema.fields.values()]
    return sorted({str(field.data_key) for field in found if isinstance(field, fields.Url)})


def template(
    name: str, *, subject: Subject, critical: bool = False
) -> Callable[[type[TemplateSchema]], type[TemplateSchema]]:
    """Declare an email, whose data the decorated schema checks."""

    def declare(schema: type[TemplateSchema]) -> type[TemplateSchema]:
        TEMPLATES[name] = Template(name, subject, schema(), critical)
        return schema

    return declare


def _welcome_subject(data: Mapping[str, Any]) -> str:
    return "Welcome to {app_name}" + (", {recipient_name}" if data["recipient_name"] else "")


@template("welcome", subject=_welcome_subject)
class Welcome(TemplateSchema):
    """The dashboard is at BASE_URL where no other address is given."""

    recipient_name = line(required=False)
    dashboard_url = link(required=False)


@template("passwordReset", subject="Reset your {app_name} password", critical=True)
class PasswordReset(TemplateSchema):
    recipient_name = line(required=False)
    reset_url = link()


@template("passwordChanged", subject="Your {app_name} password was changed", critical=True)
class PasswordChanged(TemplateSchema):
    recipient_name = line(required=False)


def _email_change_subject(data: Mapping[str, Any]) -> str:
    if data["confirmation_url"]:
        return "Confirm your new {app_name} email address"
    return "Your {app_name} email address was changed"


@template("emailChange", subject=_email_change_subject, critical=True)
class EmailChange(TemplateSchema):
    """Goes to the old address: whoever is losing an account can still read it there.

    With a `confirmation_url` nothing has changed yet: the email asks for a click there.
    """

    recipient_name = line(required=False)
    new_email = address()
    confirmation_url = link(required=False)


@template("teamInvitation", subject="{inviter_name} invited you to {organization_name}")
class TeamInvitation(TemplateSchema):
    """Needs no recipient's name: who is invited may not have an account yet."""

    aliases: ClassVar[Mapping[str, str]] = {
        "teamName": "organizationName",
        "inviteUrl": "invitationUrl",
    }

    recipient_name = line(required=False)
    inviter_name = line()
    organization_name = line()
    invitation_url = link()


@template("subscriptionCreated", subject="Your {plan_name} plan is active")
class SubscriptionCreated(TemplateSchema):
    """`amount` is printed as it comes: format it with its currency, such as "$29.00 per month".

    The dashboard is at BASE_URL where no other address is given.
    """

    recipient_name = line(required=False)
    plan_name = line()
    amount = line()
    dashboard_url = link(required=False)


@template("paymentFailed", subject="Your payment of {amount_due} did not go through")
class PaymentFailed(TemplateSchema):
    recipient_name = line(required=False)
    plan_name = line(required=False)
    amount_due = line()
    payment_details_url = link()


@template("fileReady", subject="{what} is ready")
class FileReady(TemplateSchema):
    what = line()
    file_name = line()
    download_url = link()
    available_until = line()
