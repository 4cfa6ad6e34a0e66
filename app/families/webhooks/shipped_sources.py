"""The sources that are there from the start; those of your own stand in any family's module."""

from datetime import timedelta

from app.families.webhooks.sources import source
from app.families.webhooks.verifiers import Hmac, Standard

#: https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
github = source(
    "github",
    Hmac(header="X-Hub-Signature-256", prefix="sha256="),
    event_header="X-GitHub-Event",
    id_headers=("X-GitHub-Delivery",),
    # Neither its id nor its event's name is signed, and GitHub signs no time.
    repeats_within=timedelta(days=90),
    keep=("X-GitHub-Event", "X-GitHub-Hook-ID", "X-GitHub-Hook-Installation-Target-Type"),
)
#: https://resend.com/docs/webhooks/introduction; its bodies name who gets which email.
resend = source(
    "resend",
    Standard(),
    event_field="type",
    id_headers=("webhook-id", "svix-id"),
    keep=("webhook-timestamp", "svix-timestamp"),
    sealed=True,
)
