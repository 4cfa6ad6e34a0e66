"""Stripe: its events become subscriptions, plans and emails.

    webhooks' inbox > process_stripe_webhook > effects > app.accounts

`source` declares how Stripe signs and which job its events become; `api` fetches from Stripe what
an event does not include.
"""

from app.jobs import JobBlueprint
from app.jobs.cli.kit import JobsGroup

bp = JobBlueprint("stripe", __name__)
bp.cli = JobsGroup(help="Send made-up, signed Stripe events to the running app.")
