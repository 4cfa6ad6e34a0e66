"""Checks of Stripe's settings for `flask jobs doctor`."""

from flask import current_app

from app.families.stripe import bp
from app.jobs import doctor
from app.jobs.doctor import Finding

KEYS = "https://dashboard.stripe.com/apikeys"
TEST_KEYS = ("sk_test_", "rk_test_")


@doctor.check(bp, "stripe-key")
def stripe_key() -> Finding:
    """Ask for one customer; a key without that permission is valid, too."""
    import stripe  # noqa: PLC0415 - slow to import

    config = current_app.config
    if not config["STRIPE_SECRET_KEY"]:
        return doctor.passed("without STRIPE_SECRET_KEY, nothing is fetched from Stripe")
    client = stripe.StripeClient(
        config["STRIPE_SECRET_KEY"],
        base_addresses={"api": config["STRIPE_API_URL"].rstrip("/")},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=8),
    )
    try:
        client.v1.customers.list({"limit": 1})
    except stripe.AuthenticationError:
        return doctor.failure(
            "Stripe rejects the key", fix=f"set STRIPE_SECRET_KEY to a key from {KEYS}"
        )
    except stripe.PermissionError:
        return doctor.passed("Stripe accepts the key, which may not list customers")
    except stripe.StripeError as error:
        return doctor.warning(
            f"Stripe cannot be reached: {type(error).__name__}", fix="see https://status.stripe.com"
        )
    return doctor.passed("Stripe accepts the key")


@doctor.check(bp, "stripe-mode", production=True)
def stripe_mode() -> Finding:
    if current_app.config["STRIPE_SECRET_KEY"].startswith(TEST_KEYS):
        return doctor.failure(
            "STRIPE_SECRET_KEY is a test key", fix=f"set it to a live key from {KEYS}"
        )
    return doctor.passed("STRIPE_SECRET_KEY is not a test key")


@doctor.check(bp, "stripe-webhook-secret", production=True)
def stripe_webhook_secret() -> Finding:
    if not current_app.config["STRIPE_WEBHOOK_SECRET"]:
        return doctor.warning(
            "without STRIPE_WEBHOOK_SECRET, Stripe's webhooks get 503",
            fix="set it to the signing secret of https://dashboard.stripe.com/webhooks, if you use "
            "Stripe",
        )
    return doctor.passed("Stripe's webhooks can be verified")
