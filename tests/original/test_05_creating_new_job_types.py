"""Creating New Job Types: `send-sms`, step by step, as send_sms.py beside this has it."""

import pytest
from flask import Flask

from app.jobs import JOB_TYPES, InvalidPayload, enqueue, get_job_config
from app.jobs.testing import make_job, perform
from tests.original.send_sms import OUTBOX, SendSms, enqueue_sms_job, send_sms
from tests.original.stack import Stack

SMS = {"to": "+12025551234", "message": "Your verification code is: 123456"}


def test_step_1_define_job_type(app: Flask) -> None:
    """There is no list to add to: the constant comes with the declaration."""
    assert JOB_TYPES.SEND_SMS == "send-sms"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"to": "2025551234"}, "to"),
        ({"to": "+0123"}, "to"),
        ({"message": 161 * "x"}, "message"),
        ({"metadata": 5}, "metadata"),
    ],
)
def test_step_2_create_job_schema(app: Flask, given: dict[str, object], wrong: str) -> None:
    with pytest.raises(InvalidPayload) as raised:
        enqueue(JOB_TYPES.SEND_SMS, {**SMS, **given})

    assert set(raised.value.errors) == {wrong}


def test_step_3_register_job_configuration(app: Flask) -> None:
    config = get_job_config(JOB_TYPES.SEND_SMS)

    assert (config.endpoint, config.retries, config.timeout) == ("/api/jobs/sms", 3, 30)
    assert config.description == "Send SMS notifications via Twilio"


def test_step_4_create_job_worker(app: Flask, stack: Stack) -> None:
    job_id = enqueue(JOB_TYPES.SEND_SMS, {**SMS, "message": "step 4"})

    stack.completed(job_id)
    assert ("+12025551234", "step 4") in OUTBOX


def test_step_5_create_service_function(app: Flask, stack: Stack) -> None:
    row = stack.completed(enqueue_sms_job(SMS, user_id=123))

    assert (row.options["retries"], row.options["delay"], row.user_id) == (3, 0, 123)


def test_step_6_write_tests_should_send_sms_successfully(app: Flask) -> None:
    send_sms(SendSms("+12025551234", "step 6"), make_job("send-sms"))

    assert ("+12025551234", "step 6") in OUTBOX


def test_step_6_write_tests_should_handle_sms_sending_errors(app: Flask) -> None:
    with pytest.raises(ConnectionError, match="the provider is away"):
        perform("send-sms", {**SMS, "message": "fail"})


def test_step_6_write_tests_should_validate_phone_number_format(app: Flask) -> None:
    with pytest.raises(InvalidPayload, match="to: "):
        perform("send-sms", {**SMS, "to": "12025551234"})


def test_step_7_use_your_new_job(app: Flask, stack: Stack) -> None:
    job_id = enqueue_sms_job(
        {"to": "+12025551234", "message": "Your verification code is: 123456"}, user_id=123
    )

    stack.completed(job_id)
    assert ("+12025551234", "Your verification code is: 123456") in OUTBOX
