import re
from typing import Any

import pytest
from flask import Flask
from jinja2 import UndefinedError
from marshmallow import ValidationError

from app.families.email.payload import SendEmailSchema
from app.families.email.rendering import Rendered, render
from app.families.email.samples import SAMPLES
from app.families.email.template import get_template

pytestmark = pytest.mark.usefixtures("mailer")
every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["template"])


def rendered(sample: dict[str, Any], **changes: Any) -> Rendered:
    email = SendEmailSchema().load({**sample, "data": {**sample["data"], **changes}})
    return render(email.template, email.data, subject=email.subject)


@every_sample
def test_html_and_text_say_everything_that_the_email_was_told(sample: dict[str, Any]) -> None:
    email = rendered(sample)

    for value in sample["data"].values():
        assert value in email.html
        assert value in email.text


#: The least that each email can be told.
BARE: tuple[dict[str, Any], ...] = (
    {"template": "welcome", "data": {}},
    {"template": "passwordReset", "data": {"resetUrl": "https://app.example.com/reset"}},
    {"template": "passwordChanged", "data": {}},
    {"template": "emailChange", "data": {"newEmail": "new@example.com"}},
    {
        "template": "emailChange",
        "data": {"newEmail": "new@example.com", "confirmationUrl": "https://app.example.com/new"},
    },
    {
        "template": "teamInvitation",
        "data": {
            "inviterName": "Grace",
            "organizationName": "Acme",
            "invitationUrl": "https://app.example.com/join",
        },
    },
    {"template": "subscriptionCreated", "data": {"planName": "Team", "amount": "29.99"}},
    {
        "template": "paymentFailed",
        "data": {"amountDue": "29.99", "paymentDetailsUrl": "https://app.example.com/pay"},
    },
)


@pytest.mark.parametrize("bare", BARE, ids=lambda bare: bare["template"])
def test_an_email_reads_well_with_the_least_that_it_can_be_told(
    bare: dict[str, Any], mailer: Flask
) -> None:
    mailer.config["BASE_URL"] = "https://acme.example/app"

    email = rendered({"to": "ada@example.com", **bare})

    for value in bare["data"].values():
        assert value in email.html
        assert value in email.text
    seen = re.sub(r"<[^>]*>", "\n", email.html.partition("</head>")[2])
    for part in (email.subject, seen, email.text):
        assert "None" not in part
        assert not re.search(r" [,.]|,\s*[.]|\b(\w+) \1\b|  plan", part)
    assert "\n\n\n\n" not in email.text
    if bare["template"] in ("welcome", "subscriptionCreated"):
        assert 'href="https://acme.example/app"' in email.html
        assert "https://acme.example/app\n" in email.text


def test_a_change_of_address_that_waits_for_a_click_says_so() -> None:
    sample = next(one for one in SAMPLES if one["template"] == "emailChange")

    email = rendered(sample, confirmationUrl="https://app.example.com/confirm")

    assert email.subject == "Confirm your new Acme email address"
    assert "Nothing changes until you confirm." in email.html
    assert "From now on" not in email.html + email.text


@pytest.mark.parametrize(("given", "subject"), [({}, "Acme"), ({"recipientName": "J"}, "Acme, J")])
def test_a_welcome_knows_its_subject_without_a_name(given: dict[str, str], subject: str) -> None:
    email = rendered({"to": "a@example.com", "template": "welcome", "data": given})

    assert email.subject == f"Welcome to {subject}"


@every_sample
def test_every_value_is_escaped_in_html_and_plain_in_text(sample: dict[str, Any]) -> None:
    name = next(key for key in sample["data"] if key.endswith("Name"))

    email = rendered(sample, **{name: '<b>Ada</b> & "Co" {{ 7*7 }}'})

    assert "<b>" not in email.html
    assert "&lt;b&gt;Ada&lt;/b&gt; &amp; " in email.html
    assert '<b>Ada</b> & "Co" {{ 7*7 }}' in email.text


@every_sample
def test_a_subject_is_one_line_with_every_field_filled_in(sample: dict[str, Any]) -> None:
    assert re.fullmatch(r"[^\n{}]+", rendered(sample).subject)


@every_sample
def test_an_email_is_the_same_whenever_it_is_rendered(sample: dict[str, Any]) -> None:
    assert rendered(sample) == rendered(sample)


@every_sample
def test_styles_are_inlined_and_media_queries_kept(sample: dict[str, Any]) -> None:
    html = rendered(sample).html

    assert re.search(r'<h1 class="heading" style="[^"]*font-size: 26px', html)
    assert html.count("<style") == 1
    assert "@media (prefers-color-scheme: dark)" in html
    assert "@media (max-width: 480px)" in html


@every_sample
def test_html_names_its_encoding_where_browsers_look_for_it(sample: dict[str, Any]) -> None:
    assert b'<meta charset="utf-8">' in rendered(sample).html.encode()[:1024]


@every_sample
def test_an_email_loads_nothing_from_elsewhere(sample: dict[str, Any]) -> None:
    assert not re.search(r"<img|<link|<script|src=|url\(|@import", rendered(sample).html)


def test_a_text_has_no_markup_and_no_escapes() -> None:
    for sample in SAMPLES:
        assert not re.search(r"</?[a-z]+>|&[a-z]+;|[{}]", rendered(sample).text)


def test_a_given_subject_replaces_the_templates_own() -> None:
    assert rendered({**SAMPLES[0], "subject": "Hello {you}"}).subject == "Hello {you}"


def test_a_subject_in_braces_of_a_name_is_left_alone() -> None:
    assert rendered(SAMPLES[0], recipientName="{app_name}").subject == "Welcome to Acme, {app_name}"


def test_the_products_name_comes_from_the_settings(mailer: Flask) -> None:
    mailer.config["APP_NAME"] = "Röst & Söhne"

    email = rendered(SAMPLES[0])

    assert email.subject.startswith("Welcome to Röst & Söhne")
    assert "Röst &amp; Söhne" in email.html
    assert "Röst & Söhne" in email.text


def test_a_template_that_uses_an_unknown_field_fails_loudly() -> None:
    with pytest.raises(UndefinedError, match="recipient_name"):
        render("passwordChanged", {})


def test_fault_K13_a_name_from_right_to_left_is_set_apart_from_what_stands_beside_it() -> None:
    data = {
        "inviter_name": "דנה",
        "organization_name": "דנה",
        "invitation_url": "https://app.example.com/i/1",
    }
    email = render("teamInvitation", data)

    apart = "\u2068דנה\u2069 invited you to"
    assert email.subject == f"{apart} \u2068דנה\u2069"
    assert apart in email.text
    assert "\u2068" not in render("passwordChanged", {"recipient_name": "Zoë Łuk"}).html


@pytest.mark.parametrize("mark", ["\u202e", "\u202a", "\u2066", "\u2069"])
def test_fault_K13_marks_of_direction_are_refused_in_names(mark: str) -> None:
    with pytest.raises(ValidationError, match="without control characters"):
        get_template("passwordChanged").schema.load({"recipientName": f"Ann{mark}"})


@every_sample
@pytest.mark.parametrize("address", ["", "help@acme.example"])
def test_fault_A12_an_answer_is_promised_only_where_somebody_reads_it(
    mailer: Flask, sample: dict[str, Any], address: str
) -> None:
    mailer.config["SUPPORT_EMAIL"] = address

    email = rendered(sample)

    for body in (email.html, email.text):
        said = " ".join(body.lower().split())
        assert ("reply to this email" in said) == bool(address)
        assert ("will answer" in said) == bool(address)
