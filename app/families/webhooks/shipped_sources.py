"""The built-in sources; declare your own in any family's module."""

from datetime import timedelta

from app.families.webhooks.sources import source
from app.families.webhooks.verifiers import Hmac, Standard

#: https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
github = source(
    "github",
    Hmac(header="X-Hub-Signature-256", prefix="sha256="),
    event_header="X-GitHub-Event",
    id_headers=("X-GitHub-Delivery",),
    # GitHub signs neither the id, nor the event's name, nor a time.
    repeats_within=timedelta(days=90),
    keep=("X-GitHub-Event", "X-GitHub-Hook-ID", "X-GitHub-Hook-Installation-Target-Type"),
)
#: https://resend.com/docs/webhooks/introduction; its bodies say who got which email.
resend = source(
    "resend",
    Standard(),
    event_field="type",
    id_headers=("webhook-id", "svix-id"),
    keep=("webhook-timestamp", "svix-timestamp"),
    sealed=True,
)
