"""The emails as classes, and the original guide's seven as functions: now and later are twins."""

from collections.abc import Callable
from inspect import Parameter, getmembers, isfunction, signature
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.db import db
from app.families.email import senders
from app.families.email.catalog import FileReady
from app.families.email.payload import SendEmailSchema
from app.families.email.samples import SAMPLES
from app.families.email.template import TEMPLATES
from app.jobs import InvalidOption, InvalidPayload, JobExecution, Status
from app.jobs.execute.run_now import run_handler
from app.jobs.payload import sealing
from app.jobs.schemas import load_envelope
from app.jobs.table.job_rows import get_job_execution_by_job_id


def functions(module: Any, suffix: str) -> dict[str, Callable[..., str]]:
    found = getmembers(module, isfunction)
    return {
        name.removesuffix(suffix): function
        for name, function in found
        if name.startswith("send_") and name.endswith(suffix)
    }


NOW = functions(senders, "_email")
LATER = functions(senders, "_email_async")
WITH_FUNCTION = [sample for sample in SAMPLES if sample["template"] != "fileReady"]


def function_of(sample: dict[str, Any], functions: dict[str, Callable[..., str]]) -> Any:
    """Return the function for a sample's template, and the arguments for it."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in sample["template"])
    return functions[f"send_{snake}"], SendEmailSchema().load(sample).data


@pytest.mark.parametrize("name", NOW)
def test_now_and_later_take_the_same_arguments(name: str) -> None:
    now, later = signature(NOW[name]).parameters, dict(signature(LATER[name]).parameters)
    options = later.popitem()[1]

    assert options.kind is Parameter.VAR_KEYWORD
    assert later == dict(now)


def test_the_original_guides_seven_have_functions() -> None:
    assert len(TEMPLATES) - 1 == len(NOW) == len(LATER) == 7


@pytest.mark.parametrize("sample", WITH_FUNCTION, ids=lambda sample: sample["template"])
def test_every_email_can_be_sent_now(sample: dict[str, Any], app: Flask) -> None:
    send, arguments = function_of(sample, NOW)

    assert send(sample["to"], **arguments)

    [message] = Path(app.instance_path, "mailbox").glob("*.eml")
    assert f"-{sample['template']}-ada@example.com-" in message.name


@pytest.mark.usefixtures("mailer")
def test_an_email_that_does_not_fit_is_not_sent_now(mailbox: Path) -> None:
    with pytest.raises(InvalidPayload) as raised:
        senders.send_password_reset_email("nobody", recipient_name="Ada", reset_url="javascript:1")

    assert set(raised.value.errors) == {"to", "data"}
    assert set(raised.value.errors["data"]) == {"resetUrl"}
    assert not mailbox.exists()


@pytest.mark.parametrize("sample", WITH_FUNCTION, ids=lambda sample: sample["template"])
@pytest.mark.usefixtures("app")
def test_every_email_can_be_enqueued(sample: dict[str, Any]) -> None:
    send, arguments = function_of(sample, LATER)

    job = get_job_execution_by_job_id(
        send(sample["to"], **arguments, user_id=7, organization_id=8, delay=60)
    )

    assert job is not None
    assert (job.status, job.user_id, job.organization_id) == (Status.PENDING, 7, 8)
    assert "https://" not in str(job.payload)
    clear = sealing.unseal(load_envelope(job.payload), job.job_id)
    assert clear == sample
    assert job.options["flow_control"] == {"key": "resend", "rate": 2, "period": 1}
    assert job.options["delay"] == 60


@pytest.mark.usefixtures("app")
def test_an_email_that_does_not_fit_is_not_recorded() -> None:
    with pytest.raises(InvalidPayload, match=r"data\.resetUrl: Not a valid http or https URL"):
        senders.send_password_reset_email_async(
            "ada@example.com", recipient_name="Ada", reset_url="javascript:alert(1)"
        )

    assert db.session.scalar(select(func.count()).select_from(JobExecution)) == 0


def test_an_email_without_a_function_is_sent_and_enqueued_by_its_class(app: Flask) -> None:
    sample = next(one for one in SAMPLES if one["template"] == "fileReady")
    email = FileReady(sample["to"], **SendEmailSchema().load(sample).data)

    job = get_job_execution_by_job_id(email.enqueue(user_id=7))

    assert job is not None
    assert (job.user_id, job.payload["payload"]["template"]) == (7, "fileReady")
    assert email.send()
    assert len(list(Path(app.instance_path, "mailbox").glob("*-fileReady-*.eml"))) == 1


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    "send", [senders.send_password_reset_email, senders.send_password_reset_email_async]
)
def test_a_missing_or_unknown_argument_is_an_error(send: Callable[..., str]) -> None:
    with pytest.raises(TypeError, match="reset_url"):
        send("ada@example.com")
    with pytest.raises((TypeError, InvalidOption), match="reset_ulr"):
        send("ada@example.com", reset_url="https://x.example", reset_ulr="https://x.example")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["template"])
def test_every_email_can_be_run_by_hand(sample: dict[str, Any], app: Flask) -> None:
    result = run_handler("send-email", sample)

    assert result is not None
    assert result["template"] == sample["template"]
    assert len(list(Path(app.instance_path, "mailbox").glob("*.eml"))) == 1
