"""The emails that there are.

To add one: declare it at the end of this module, and write its two files in `templates/`, named
like it, `.html` and `.txt`. Its fields are variables there; nothing else has to know of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields

from app.families.email.fields import address, line, link
from app.jobs import PayloadSchema
from app.jobs.nearest import hint


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of email.

    Attributes:
        name: As it stands in a payload, and as the template's files are named.
        subject: With fields of the data, and `app_name`, in braces.
        schema: Loads the data from camelCase JSON to what the template's files use.
        critical: Whether it is sent also to an address that bounced or complained: without it
            somebody could lose an account.
    """

    name: str
    subject: str
    schema: "TemplateSchema"
    critical: bool = False


class TemplateSchema(PayloadSchema[dict[str, Any]]):
    """What one template has to be told."""

    model = dict


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
    name: str, *, subject: str, critical: bool = False
) -> Callable[[type[TemplateSchema]], type[TemplateSchema]]:
    """Declare an email, whose data the decorated schema checks."""

    def declare(schema: type[TemplateSchema]) -> type[TemplateSchema]:
        TEMPLATES[name] = Template(name, subject, schema(), critical)
        return schema

    return declare


@template("welcome", subject="Welcome to {app_name}, {recipient_name}")
class Welcome(TemplateSchema):
    recipient_name = line()
    dashboard_url = link()


@template("passwordReset", subject="Reset your {app_name} password", critical=True)
class PasswordReset(TemplateSchema):
    recipient_name = line()
    reset_url = link()


@template("passwordChanged", subject="Your {app_name} password was changed", critical=True)
class PasswordChanged(TemplateSchema):
    recipient_name = line()


@template("emailChange", subject="Your {app_name} email address was changed", critical=True)
class EmailChange(TemplateSchema):
    """Goes to the old address: whoever is losing an account can still read it there."""

    recipient_name = line()
    new_email = address()


@template("teamInvitation", subject="{inviter_name} invited you to {organization_name}")
class TeamInvitation(TemplateSchema):
    """Knows no recipient's name: who is invited may not have an account yet."""

    inviter_name = line()
    organization_name = line()
    invitation_url = link()


@template("subscriptionCreated", subject="Your {plan_name} plan is active")
class SubscriptionCreated(TemplateSchema):
    """`amount` is printed as it comes: format it with its currency, such as "$29.00 per month"."""

    recipient_name = line()
    plan_name = line()
    amount = line()
    dashboard_url = link()


@template("paymentFailed", subject="Your payment of {amount_due} did not go through")
class PaymentFailed(TemplateSchema):
    recipient_name = line()
    plan_name = line()
    amount_due = line()
    payment_details_url = link()
