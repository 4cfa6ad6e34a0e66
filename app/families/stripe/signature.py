"""Stripe's signatures, checked by its own SDK."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from werkzeug.datastructures import Headers

from app.families.webhooks.verifiers import TOLERANCE, SignatureError, refuse_stale

HEADER = "Stripe-Signature"
_TIME = re.compile(r"(?:^|,)t=([^,]*)")


@dataclass(frozen=True, slots=True)
class StripeSignature:
    """`Stripe-Signature: t=…,v1=…`, with several `v1` during a rotation.

    https://docs.stripe.com/webhooks/signature
    """

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str]) -> None:
        # Imported here: it takes longer than the rest of the app, and few processes need it.
        from stripe import SignatureVerificationError, WebhookSignature  # noqa: PLC0415

        header = headers.get(HEADER, "")
        if not header:
            raise SignatureError("missing")
        for secret in secrets:
            try:
                WebhookSignature.verify_header(body, header, secret, TOLERANCE)
            except SignatureVerificationError as error:
                refused = error
            except (TypeError, ValueError):
                # A header that is not ASCII, or a body that is not UTF-8.
                raise SignatureError("malformed") from None
            else:
                # The SDK accepts any time in the future.
                refuse_stale(_TIME.findall(header)[0])
                return
        raise SignatureError("expired" if "tolerance" in str(refused) else "wrong")

    def sign(self, body: bytes, secret: str, *, delivery_id: str) -> dict[str, str]:  # noqa: ARG002 - the protocol's
        from stripe import WebhookSignature  # noqa: PLC0415 - as above

        now = int(time.time())
        made = WebhookSignature.generate_signature_header(body.decode(), secret, now)
        return {HEADER: str(made)}

    def check_secret(self, secret: str) -> None:
        """Accept any text: Stripe's format may change."""
