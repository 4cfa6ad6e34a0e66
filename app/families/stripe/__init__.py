"""Stripe: its events become subscriptions, plans and emails.

    webhooks' inbox > process_stripe_webhook > effects > app.accounts

`source` says how Stripe signs and which job its events are for; `api` asks Stripe for what an event
does not tell.
"""

from app.jobs import JobBlueprint
from app.jobs.cli.kit import JobsGroup

bp = JobBlueprint("stripe", __name__)
bp.cli = JobsGroup(help="Send made-up, signed Stripe events to the running app.")
