"""`flask stripe …`: send Stripe's events without Stripe, an account or a network."""

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import click

from app.accounts.models import Organization
from app.db import db
from app.families.stripe import bp, samples
from app.families.stripe.sending import Sent, send
from app.jobs.cli.kit import FAILED, Duration, Refused, as_json, print_json

VERSIONS = {"current": samples.CURRENT, "old": samples.OLD}
Command = Callable[..., None]


def _about(command: Command) -> Command:
    """Add the options that describe the events' customer."""
    options = (
        click.option("--customer", metavar="ID", help="Customer's id at Stripe.  [default: new]"),
        click.option(
            "--subscription", metavar="ID", help="Subscription's id at Stripe.  [default: new]"
        ),
        click.option("--organization", metavar="ID", type=int, help="Organization that pays."),
        click.option(
            "--email",
            help="Customer's email address.",
            default="ann@example.com",
            show_default=True,
        ),
        click.option(
            "--amount",
            help="Price per month, in cents.",
            type=click.IntRange(0),
            default=4900,
            show_default=True,
        ),
        click.option("--currency", help="Its currency.", default="usd", show_default=True),
        click.option(
            "--api-version",
            help="Stripe API version of the events.",
            type=click.Choice(list(VERSIONS)),
            default="current",
            show_default=True,
        ),
        click.option(
            "--wait",
            help="How long to wait for each job.",
            type=Duration(),
            default="30s",
            show_default=True,
        ),
        as_json,
    )
    for option in reversed(options):  # each is listed above those added before
        command = option(command)
    return command


@bp.cli.command("trigger")
@click.argument("event", metavar="EVENT", type=click.Choice(list(samples.EVENTS)))
@_about
def trigger(event: str, *, wait: int, as_json: bool, **about: Any) -> None:
    r"""Send one event and print the result.

    \b
    EVENT is one of:
      checkout.session.completed       customer.subscription.updated
      invoice.payment_failed           customer.subscription.deleted

    \b
    Examples:
      flask stripe trigger checkout.session.completed --organization 1
      flask stripe trigger invoice.payment_failed --customer cus_seed1x7 --api-version old
    """
    _report(
        [send(samples.EVENTS[event](_scene(about, age=samples.AGES[event])), wait=wait)],
        as_json=as_json,
    )


@bp.cli.command("simulate")
@click.argument("what", metavar="WHAT", type=click.Choice(["subscription-lifecycle"]))
@_about
def simulate(what: str, *, wait: int, as_json: bool, **about: Any) -> None:  # noqa: ARG001 - there is one
    r"""Send all events of a subscription: started, past due, paid, ended.

    WHAT is subscription-lifecycle. Without --organization, a new organization is created.

    \b
    Examples:
      flask stripe simulate subscription-lifecycle
      flask stripe simulate subscription-lifecycle --organization 1 --json
    """
    organization = _organization(about["organization"])
    scene = _scene({**about, "organization": organization.id}, age=samples.LIFETIME)
    sent = [send(event, wait=wait) for event in samples.lifecycle(scene)]
    db.session.refresh(organization)
    end: dict[str, object] = {
        "organization": organization.id,
        "subscription": organization.stripe_subscription_id,
        "status": organization.subscription_status,
        "plan": organization.plan_name,
    }
    _report(sent, as_json=as_json, end=end)


def _scene(about: dict[str, Any], *, age: int) -> samples.Scene:
    """Set a scene that began `age` seconds ago: reports would count events in the future."""
    given = {name: value for name, value in about.items() if value is not None}
    version = VERSIONS[given.pop("api_version")]
    began = int(time.time()) - age
    return samples.Scene(**{**given, "version": version, "began": began})


def _organization(number: int | None) -> Organization:
    if number is None:
        organization = Organization(name="Stripe simulation")
        db.session.add(organization)
    elif (found := db.session.get(Organization, number)) is None:
        raise Refused(f"no organization {number}; `flask accounts seed` creates some")
    else:
        organization = found
    db.session.commit()
    return organization


def _report(sent: Iterable[Sent], *, as_json: bool, end: dict[str, object] | None = None) -> None:
    """Print the results; exit code 1 unless all jobs completed."""
    all_sent = list(sent)
    if as_json:
        print_json({"events": [one.as_json() for one in all_sent], **({"end": end} if end else {})})
    else:
        for one in all_sent:
            _say(one)
        if end:
            click.echo("\n" + "  ".join(f"{name} {value}" for name, value in end.items()))
    if not all(one.completed for one in all_sent):
        sys.exit(FAILED)


def _say(sent: Sent) -> None:
    told = sent.as_json()
    click.echo(f"{told['event']}  {told['eventId']}")
    click.echo(f"  answered {sent.status} {sent.answer}")
    if sent.job is None:
        return
    click.echo(f"  job {told['jobId']}  {told['state']}")
    if told["error"]:
        click.echo(f"  {told['error']}")
    if note := (sent.job.result or {}).get("note"):
        click.echo(f"  {note}")
    for column, (old, new) in (sent.job.result or {}).get("changes", {}).items():
        click.echo(f"  {column}: {old} → {new}")
