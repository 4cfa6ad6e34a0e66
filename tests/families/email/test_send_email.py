"""The payload of `send-email`: what is refused before anything is recorded. And the job itself."""

from dataclasses import replace
from time import monotonic
from typing import Any

import pytest
from marshmallow import ValidationError

from app.dev.resend_server import INVALID, SILENT, ResendServer
from app.families.email.payload import SendEmailSchema
from app.families.email.resend_client import SendError
from app.families.email.samples import SAMPLES
from app.families.email.send_email import resend_rate, send_email
from app.families.email.template import TEMPLATES
from app.jobs import FlowControl, Job, PermanentError
from tests.support.waiting import wait_until

RESET = next(sample for sample in SAMPLES if sample["template"] == "passwordReset")


def errors(payload: Any) -> Any:
    with pytest.raises(ValidationError) as raised:
        SendEmailSchema().load(payload)
    return raised.value.messages


def errors_in_data(**changes: Any) -> Any:
    return errors({**RESET, "data": {**RESET["data"], **changes}})["data"]


def test_an_empty_payload_is_told_all_that_it_lacks() -> None:
    assert set(errors({})) == {"to", "template", "data"}


def test_a_password_reset_without_its_link_is_refused() -> None:
    payload = {**RESET, "data": {"recipientName": "Ada"}}

    assert errors(payload) == {"data": {"resetUrl": ["Missing data for required field."]}}


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_told_all_that_its_data_lacks(name: str) -> None:
    fields = TEMPLATES[name].schema.fields.values()

    payload = {"to": "ada@example.com", "template": name, "data": {}}
    needed = {field.data_key for field in fields if field.required}

    assert needed == (set(errors(payload)["data"]) if needed else set())
    assert needed or SendEmailSchema().load(payload)


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_is_optional_may_be_null_and_is_left_out_on_the_wire(name: str) -> None:
    sample = next(one for one in SAMPLES if one["template"] == name)
    fields = TEMPLATES[name].schema.fields.values()
    optional = {field.data_key for field in fields if not field.required}
    needed = {key: value for key, value in sample["data"].items() if key not in optional}

    loaded = SendEmailSchema().load({**sample, "data": needed | dict.fromkeys(optional)})

    assert SendEmailSchema().dump(loaded)["data"] == needed


@pytest.mark.parametrize("name", sorted(TEMPLATES.keys() - {"fileReady"}))
def test_every_email_to_a_person_does_without_the_name(name: str) -> None:
    sample = next(one for one in SAMPLES if one["template"] == name)
    data = {key: value for key, value in sample["data"].items() if key != "recipientName"}

    assert SendEmailSchema().load({**sample, "data": data}).data["recipient_name"] is None


def test_an_unknown_template_is_told_the_nearest() -> None:
    said = errors({**RESET, "template": "passwordRest"})["template"][0]

    assert said == "Unknown template 'passwordRest'; did you mean: passwordReset, passwordChanged?"


def test_a_template_that_resembles_none_is_told_all() -> None:
    said = errors({**RESET, "template": "zzz"})["template"][0]

    assert all(name in said for name in TEMPLATES)


@pytest.mark.parametrize(
    "to",
    ["", "ada", "ada@", "Ada <ada@example.com>", "a@example.com\nBcc: b@example.com", 5, None, []],
)
def test_what_is_no_bare_email_address_is_refused(to: Any) -> None:
    assert set(errors({**RESET, "to": to})) == {"to"}


@pytest.mark.parametrize("template", [None, 5, [], {"a": 1}])
def test_a_template_that_is_no_text_is_refused(template: Any) -> None:
    assert set(errors({**RESET, "template": template})) == {"template"}


@pytest.mark.parametrize("data", [None, "data", [], 5])
def test_data_that_is_no_object_is_refused(data: Any) -> None:
    assert set(errors({**RESET, "data": data})) == {"data"}


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "ftp://example.com/reset",
        "//example.com/reset",
        "/reset",
        "https://example.com/a b",
        'https://example.com/"><script>',
        "https://example.com/\x00",
        "https://example.com/\ud800",
        "https://example.com/" + 2048 * "a",
        5,
    ],
)
def test_a_link_that_is_not_http_or_not_encoded_is_refused(url: Any) -> None:
    assert set(errors_in_data(resetUrl=url)) == {"resetUrl"}


@pytest.mark.parametrize(
    "url", ["http://localhost:3000/reset", "https://app/x", "https://example.com/r?a=b&c=%20#d"]
)
def test_a_link_may_be_any_http_url(url: str) -> None:
    assert SendEmailSchema().load({**RESET, "data": {**RESET["data"], "resetUrl": url}})


@pytest.mark.parametrize("name", ["", 201 * "x", "Ada\nLovelace", "Ada\u2028", "\x00", "\ud83d", 5])
def test_a_name_is_one_line_of_sensible_length(name: Any) -> None:
    assert set(errors_in_data(recipientName=name)) == {"recipientName"}


@pytest.mark.parametrize("name", ["Zoë 👩‍🚀", "محمد", "O'Neil & <Sons>", "29,00\u00a0€"])
def test_a_name_may_be_written_in_any_script(name: str) -> None:
    assert SendEmailSchema().load({**RESET, "data": {**RESET["data"], "recipientName": name}})


def test_unknown_fields_are_refused_in_payload_and_data() -> None:
    payload = {**RESET, "cc": "x", "data": {**RESET["data"], "reset_url": "x"}}

    assert errors(payload) == {
        "cc": ["Unknown field."],
        "data": {"reset_url": ["Unknown field; did you mean: resetUrl?"]},
    }


@pytest.mark.parametrize(
    ("template", "key", "nearest"),
    [
        ("welcome", "recipentName", "recipientName"),
        ("teamInvitation", "inviteUrl", "invitationUrl"),
        ("paymentFailed", "amount", "amountDue"),
    ],
)
def test_an_unknown_field_is_told_the_nearest(template: str, key: str, nearest: str) -> None:
    sample = next(one for one in SAMPLES if one["template"] == template)

    said = errors({**sample, "data": {**sample["data"], key: "x"}})

    assert said == {"data": {key: [f"Unknown field; did you mean: {nearest}?"]}}


def test_a_subject_cannot_smuggle_in_a_header() -> None:
    assert set(errors({**RESET, "subject": "Hi\r\nBcc: eve@example.com"})) == {"subject"}


@pytest.mark.parametrize(
    ("setting", "limit"), [(2, FlowControl(key="resend", rate=2, period=1)), (0, None)]
)
def test_deliveries_are_no_faster_than_the_setting(setting: int, limit: FlowControl | None) -> None:
    assert resend_rate({"RESEND_RATE_PER_SECOND": setting}) == limit


def test_the_job_sends_the_email_under_its_idempotency_key(resend: ResendServer, job: Job) -> None:
    result = send_email(SendEmailSchema().load(RESET), job)

    [sent] = resend.sent
    assert result == {"messageId": sent.email_id, "template": "passwordReset"}
    assert sent.idempotency_key == job.idempotency_key
    assert sent.recipients == ["ada@example.com"]


def test_a_second_attempt_sends_nothing_more(resend: ResendServer, job: Job) -> None:
    results = [send_email(SendEmailSchema().load(RESET), job) for _ in range(2)]

    assert results[0] == results[1]
    assert len(resend.sent) == 1


def test_a_manual_retry_sends_again(resend: ResendServer, job: Job) -> None:
    for generation in range(2):
        send_email(SendEmailSchema().load(RESET), replace(job, generation=generation))

    assert len(resend.sent) == 2


def test_a_silent_resend_ends_with_the_jobs_time_and_is_not_sent_twice(
    resend: ResendServer, job: Job
) -> None:
    resend.answer("ada@example.com", SILENT)

    with pytest.raises(SendError, match="no answer within"):
        send_email(SendEmailSchema().load(RESET), replace(job, expires_at=monotonic() + 1.5))
    wait_until(lambda: resend.requests, "the request that was given up")
    send_email(SendEmailSchema().load(RESET), job)

    assert len(resend.sent) == 1


def test_a_refused_address_fails_the_job_for_good(resend: ResendServer, job: Job) -> None:
    resend.answer("ada@example.com", INVALID)

    with pytest.raises(PermanentError, match="The email address is not valid"):
        send_email(SendEmailSchema().load(RESET), job)


@pytest.mark.usefixtures("mailer")
def test_the_result_names_no_recipient(job: Job) -> None:
    result = send_email(SendEmailSchema().load(RESET), job)

    assert set(result or {}) == {"messageId", "template"}
