"""Signatures: the published vectors, and what each scheme refuses."""

import base64
import hmac
from collections.abc import Callable
from functools import partial

import pytest
import time_machine
from stripe import WebhookSignature
from werkzeug.datastructures import Headers

from app.families.stripe.signature import StripeSignature
from app.families.webhooks.shipped_sources import github
from app.families.webhooks.verifiers import Hmac, SignatureError, Standard, Verifier

BODY = b'{"test": 2432232314}'
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_KEY = "whsec_" + base64.b64encode(b"another secret of 24 bytes").decode()
STAMPED = Hmac(header="X-Sig", timestamp_header="X-Time", content="v0:{timestamp}:{body}")
SCHEMES: dict[str, Verifier] = {
    "github": github.verifier,
    "standard": Standard(),
    "stripe": StripeSignature(),
    "stamped": STAMPED,
}
#: Signed at a time that stands still: the tolerance is tried to the second.
NOW = 1_795_435_200
WITH_TIME = ("standard", "stripe", "stamped")

each = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
timed = pytest.mark.parametrize("scheme", [SCHEMES[name] for name in WITH_TIME], ids=WITH_TIME)


def reason(check: Callable[[], object]) -> str:
    with pytest.raises(SignatureError) as raised:
        check()
    return str(raised.value)


def signed(scheme: Verifier, secret: str = KEY, body: bytes = BODY) -> Headers:
    return Headers(scheme.sign(body, secret, delivery_id="msg_1"))


def test_githubs_published_vector_holds() -> None:
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries."""
    headers = {
        "X-Hub-Signature-256": "sha256="
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    }

    github.verifier.verify(Headers(headers), b"Hello, World!", ["It's a Secret to Everybody"])


@pytest.mark.parametrize("kind", ["webhook", "svix"])
def test_the_vector_of_standard_webhooks_libraries_holds(kind: str) -> None:
    headers = {
        f"{kind}-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        f"{kind}-timestamp": "1614265330",
        f"{kind}-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }

    with time_machine.travel(1614265330, tick=False):
        Standard().verify(Headers(headers), BODY, [KEY])


def test_what_stripes_sdk_signs_is_taken() -> None:
    header = WebhookSignature.generate_signature_header(BODY.decode(), "whsec_stripe")

    StripeSignature().verify(Headers({"Stripe-Signature": header}), BODY, ["whsec_stripe"])


@each
def test_what_a_scheme_signs_it_takes(scheme: Verifier) -> None:
    scheme.verify(signed(scheme), BODY, [KEY])


@each
def test_no_signature_is_refused(scheme: Verifier) -> None:
    assert reason(lambda: scheme.verify(Headers(), BODY, [KEY])) == "missing"


@each
def test_the_right_signature_over_other_bytes_is_refused(scheme: Verifier) -> None:
    headers = signed(scheme)

    assert reason(lambda: scheme.verify(headers, BODY + b" ", [KEY])) == "wrong"


@each
def test_another_secrets_signature_is_refused(scheme: Verifier) -> None:
    headers = signed(scheme, OTHER_KEY)

    assert reason(lambda: scheme.verify(headers, BODY, [KEY])) == "wrong"


@each
def test_of_two_secrets_either_may_have_signed(scheme: Verifier) -> None:
    """While a secret is replaced by another."""
    scheme.verify(signed(scheme), BODY, [OTHER_KEY, KEY])


@each
@pytest.mark.parametrize("damage", ["é", "=,=,", "t=,v1=", " ", "v1,é v1a,x"])
def test_a_damaged_signature_is_refused_and_raises_nothing_else(
    scheme: Verifier, damage: str
) -> None:
    damaged = Headers([(name, value + damage) for name, value in signed(scheme).items()])
    only = Headers([(name, damage) for name, _ in signed(scheme).items()])

    # What only adds a further element may be as good as without it.
    for headers in (damaged, only) if damage == "é" else (only,):
        assert reason(partial(scheme.verify, headers, BODY, [KEY]))


@timed
@pytest.mark.parametrize(("shift", "said"), [(-301, "from the future"), (301, "expired")])
def test_a_time_beyond_the_tolerance_is_refused(scheme: Verifier, shift: int, said: str) -> None:
    with time_machine.travel(NOW, tick=False):
        headers = signed(scheme)

    with time_machine.travel(NOW + shift, tick=False):
        assert reason(lambda: scheme.verify(headers, BODY, [KEY])) == said


@timed
@pytest.mark.parametrize("shift", [-300, 300])
def test_a_clock_that_differs_a_little_is_taken(scheme: Verifier, shift: int) -> None:
    with time_machine.travel(NOW, tick=False):
        headers = signed(scheme)

    with time_machine.travel(NOW + shift, tick=False):
        scheme.verify(headers, BODY, [KEY])


def test_of_two_signatures_one_has_to_be_right() -> None:
    wrong = "v1," + "A" * 43 + "="
    standard = signed(Standard())
    standard["webhook-signature"] = f"{wrong} v1a,AAAA {standard['webhook-signature']}"
    stripe = signed(StripeSignature())
    stripe["Stripe-Signature"] += f",v1={'0' * 64}"

    Standard().verify(standard, BODY, [KEY])
    StripeSignature().verify(stripe, BODY, [KEY])


def test_other_algorithms_and_encodings_can_be_declared() -> None:
    scheme = Hmac(header="X-Sig", algorithm="sha512", encoding="base64", prefix="v=")
    digest = hmac.digest(b"secret", b"x", "sha512")

    scheme.verify(Headers({"X-Sig": f"v={base64.b64encode(digest).decode()}"}), b"x", ["secret"])

    other = Headers({"X-Sig": f"sha512={digest.hex()}"})
    assert reason(lambda: scheme.verify(other, b"x", ["secret"])) == "malformed"
