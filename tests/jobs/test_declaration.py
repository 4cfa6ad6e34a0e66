"""A mistake in a job type's declaration stops the start, and the message says how to fix it."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask, current_app
from marshmallow import Schema, fields, post_load, validates

from app.jobs import (
    DiscoveryError,
    FlowControl,
    Job,
    JobBlueprint,
    Jobs,
    PayloadSchema,
    get_job_config,
    periodic,
)

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Text:
    to: str
    text: str = ""


@dataclass(frozen=True)
class Other:
    to: str


class TextSchema(PayloadSchema[Text]):
    model = Text

    to = fields.String(required=True)
    text = fields.String()


def send(payload: Text, job: Job) -> None: ...


def declared(
    handler: Any = send,
    job_type: Any = "send-text",
    path: Any = "/text",
    payload: Any = TextSchema,
    **options: Any,
) -> JobBlueprint:
    bp = JobBlueprint("texts", __name__)
    bp.job(job_type, path, payload=payload, **options)(handler)
    return bp


def refusal(*args: Any, **options: Any) -> str:
    with pytest.raises(DiscoveryError) as caught:
        declared(*args, **options)
    return str(caught.value)


def schema(model: Any, **members: Any) -> type[PayloadSchema[Any]]:
    made: type[PayloadSchema[Any]] = type(
        "MadeSchema", (PayloadSchema,), {"model": model, **members}
    )
    return made


def generates(payload: Text, job: Job) -> Any:
    yield {}


async def agenerates(payload: Text, job: Job) -> Any:
    yield {}


class Callables:
    def method(self, payload: Text, job: Job) -> None: ...

    def __call__(self, payload: Text, job: Job) -> None: ...


def only_payload(payload: Text) -> None: ...


def three(payload: Text, job: Job, retries: int) -> None: ...


def by_keyword(payload: Text, *, job: Job) -> None: ...


def needs_more(payload: Text, job: Job, *, mailer: Any) -> None: ...


def rest(payload: Text, *job: Any) -> None: ...


def named_the_other_way_round(job: Any, payload: Any) -> None: ...


def typed_the_other_way_round(one: Job, two: Text) -> None: ...


def takes_another(payload: Other, job: Job) -> None: ...


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (only_payload, "takes (payload): write `def only_payload(payload, job)`"),
        (three, "takes (payload, job, retries): write"),
        (by_keyword, "takes (payload, *, job): write"),
        (needs_more, "takes (payload, job, *, mailer): write"),
        (rest, "takes (payload, *job): write"),
        (lambda: None, "takes (): write `def handler(payload, job)`"),
        (Callables.method, "takes (self, payload, job): write `def method(payload, job)`"),
        (named_the_other_way_round, "takes (job, payload), and gets the payload first: write"),
        (typed_the_other_way_round, "takes (one, two), and gets the payload first: write"),
        (takes_another, "takes Other, but TextSchema loads Text: let both name the same class"),
        (generates, "is a generator, whose body would never run: return a dict or None"),
        (agenerates, "is a generator, whose body would never run"),
        (Callables, "must be a function: write `def handler(payload, job)`"),
        ("send", "must be a function"),
    ],
)
def test_a_handler_that_could_not_be_called_is_refused(handler: Any, said: str) -> None:
    assert said in refusal(handler)


def test_the_message_names_the_handler_and_its_line() -> None:
    line = only_payload.__code__.co_firstlineno

    said = f"job type 'send-text' ({__name__}.only_payload, line {line}): its handler is called"
    assert refusal(only_payload).startswith(said)


def passes_on(handler: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **named: Any) -> Any:
        return handler(*args, **named)

    return wrapper


def with_default(payload: Text, job: Job, retries: int = 3) -> None: ...


def in_other_words(text: "Text", attempt: "Unknown") -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    "handler",
    [
        *(send, passes_on(send), with_default, in_other_words, Callables()),
        *(Callables().method, lambda _, __: None, lambda *_: None),
    ],
)
def test_a_handler_that_can_be_called_is_taken(handler: Any) -> None:
    assert declared(handler).job_types


@dataclass(frozen=True)
class Forgetful:
    to: str
    text: str
    link: str | None = None


class Undecorated:
    to: str


class Tuple(NamedTuple):
    to: str


class Foreign(Schema):
    to = fields.String()


class OwnBuild(PayloadSchema[Any]):
    model = Forgetful

    to = fields.String()

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Any:
        return Forgetful(**data, text="always")


TO = fields.String(required=True)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (schema(Forgetful, to=TO), "Forgetful needs 'text', which MadeSchema does not load; add"),
        (schema(Forgetful, to=TO, text=fields.String()),
         "Forgetful needs 'text', which MadeSchema lets a payload leave out; make the field"),
        (schema(Text, to=TO, tex=fields.String()),
         "loads the field 'tex', which Text does not take; did"),
        (schema(Text, to=TO, x_y=fields.String()),
         "'x_y', which Text does not take; add it to Text, or remove"),
        (schema(Undecorated, to=TO), "Undecorated does not take; is its @dataclass missing?"),
        (type("Bare", (PayloadSchema,), {"to": TO}), "Bare has no model: add `model = …`"),
        (TextSchema(), "give the class TextSchema itself, without the ()"),
        (Text, "write `class TextSchema(PayloadSchema[Text])` with `model = Text`, give that"),
        (Foreign, "derive Foreign from PayloadSchema in place of Schema"),
        (None, "its payload must be a subclass of PayloadSchema: give one in place of None"),
    ],
)  # fmt: skip
def test_a_schema_that_does_not_fit_its_dataclass_is_refused(payload: Any, said: str) -> None:
    assert said in refusal(lambda _, __: None, payload=payload)


@pytest.mark.parametrize(
    "payload",
    [
        schema(Forgetful, to=TO, text=fields.String(load_default="")),
        *(schema(dict, to=TO), schema(Tuple, to=TO), OwnBuild),
        schema(Text, receiver=fields.String(required=True, attribute="to")),
    ],
)
def test_a_schema_that_fits_is_taken(payload: Any) -> None:
    assert declared(lambda _, __: None, payload=payload).job_types


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"path": "text"}, "the path 'text' must begin with a slash: write '/text'"),
        ({"path": ""}, "the path '' must begin with a slash: write '/'"),
        ({"path": "/text/<id>"}, "what differs from job to job belongs in the payload"),
        ({"path": "/text?a=1"}, "must be fixed and of ASCII letters"),
        ({"path": None}, "the path None must be fixed"),
        ({"job_type": "send text"}, "write it 'send-text'"),
        ({"job_type": "texts.Send"}, "write it 'texts-send'"),
        ({"job_type": "\u00e4nder"}, "write it 'ander'"),
        ({"job_type": "\u77ed\u4fe1"}, "write it like 'send-sms'"),
        ({"job_type": "x" * 101}, "must be 1 to 100 ASCII letters"),
        ({"job_type": 7}, "must be 1 to 100 ASCII letters"),
    ],
)
def test_a_name_or_path_that_cannot_be_delivered_to_is_refused(
    given: Mapping[str, Any], said: str
) -> None:
    assert said in refusal(**given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retrys": 3}, "unknown option 'retrys'; did you mean: retries"),
        ({"retry": 3}, "unknown option 'retry'; did you mean: retries, retry_delay?"),
        ({"delay": 5}, "delay is not an option of a job type; pass it to `enqueue`"),
        ({"retries": -1}, "retries: -1 is not a whole number of 0 or more"),
        ({"retries": "3"}, "retries: '3' is not a whole number"),
        ({"timeout": "5 minutes"}, "timeout: '5 minutes' is not a duration; write it like"),
        ({"max_retry": 3}, "unknown option 'max_retry'; did you mean: retries?"),
        ({"schedule": "@daily"}, "did you mean: `@periodic(cron, payload)` above `@bp.job`?"),
        ({"flowcontrol": 3}, "unknown option 'flowcontrol'; did you mean: flow_control?"),
        ({"user_id": 3}, "user_id is not an option of a job type; pass it to `enqueue`"),
        ({"timeout": 0}, "timeout: 0 is too short; give at least one second"),
        ({"timeout": -5}, "timeout: -5 is too short; give at least one second"),
        ({"timeout": "0s"}, "timeout: '0s' is too short; give at least one second"),
        ({"timeout": timedelta(0)}, "is too short; give at least one second"),
        ({"timeout": True}, "timeout: True is not a duration"),
        ({"heartbeat": 0}, "heartbeat: 0 is too short; give at least one second"),
        ({"heartbeat": "soon"}, "heartbeat: 'soon' is not a duration"),
        ({"retry_delay": -1}, "retry_delay: -1 is not a time from now on"),
        ({"retry_delay": "soon"}, "retry_delay: 'soon' is not"),
        ({"acts_outside": "no"}, "acts_outside: 'no' is not True or False"),
        ({"forgets_empty": "no"}, "forgets_empty: 'no' is not True or False"),
        ({"description": 7}, "description: 7 is not a text"),
        ({"sealed": "link"}, "sealed: 'link' is not a tuple of the payload's fields; write"),
        ({"version": 0}, "version: 0 is not a whole number of 1 or more"),
        ({"version": "2"}, "version: '2' is not a whole number"),
        ({"upgrades": [send]}, "is not a dict from versions to functions"),
        ({"adapt": "old"}, "adapt: 'old' is not a function"),
        ({"queue": "a b"}, "queue: 'a b' is not 1 to 256 letters"),
        ({"flow_control": 5}, "flow_control: 5 is not a FlowControl"),
        ({"flow_control": FlowControl(key="a")}, "give a rate, a parallelism or both"),
        ({"flow_control": FlowControl(key="a", rate=1, period="0s")}, "period 0 is not"),
    ],
)
def test_an_option_that_is_wrong_is_refused(options: Mapping[str, Any], said: str) -> None:
    assert said in refusal(**options)


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (3, {}, "the payload, does not fit TextSchema: payload: Not an object: int."),
        ({"txet": "hi"}, {}, "does not fit TextSchema: "),
        (None, {}, "does not fit TextSchema: to: Missing data for required field."),
        ({"to": "a"}, {"retrys": 3}, "unknown option 'retrys'; did you mean: retries"),
    ],
)
def test_a_schedule_that_its_job_type_would_refuse_is_refused(
    given: Any, options: dict[str, Any], said: str
) -> None:
    job_type = declared().job_types[0]

    with pytest.raises(DiscoveryError, match=r"`@periodic\('@daily', …\)` of job type") as refused:
        periodic("@daily", given, **options)(job_type)

    assert said in str(refused.value)
    assert not job_type.schedules


def test_a_schedule_below_the_job_is_told_where_it_belongs() -> None:
    below: Any = send
    with pytest.raises(DiscoveryError, match="is not above `@bp"):
        periodic("@daily")(below)


def test_a_schema_that_asks_the_app_is_asked_later() -> None:
    class Asking(TextSchema):
        @validates("text")
        def ask(self, _: str, **__: Any) -> None:
            assert current_app.config["TEXTS"]

    bp = JobBlueprint("texts", __name__)
    job_type = bp.job("send-text", "/text", payload=Asking)(send)
    periodic("@daily", {"to": "a", "text": "b"})(job_type)

    assert len(job_type.schedules) == 1


@pytest.mark.parametrize("five", [300, 300.0, timedelta(minutes=5), "5m", "4m60s"])
def test_a_duration_has_one_form_everywhere(app: Flask, five: Any) -> None:
    limits = FlowControl(key="texts", rate=1, period=five)
    bp = declared(timeout=five, heartbeat=five, retry_delay=five, flow_control=limits)
    app.register_blueprint(bp)

    config = get_job_config("send-text")
    assert config.timeout == config.heartbeat == 300
    options = config.options_with({"delay": five, "retry_delay": five})
    assert options["delay"] == options["timeout"] == options["flow_control"]["period"] == 300
    assert options["retry_delay"] == "300000"


def test_a_wait_from_a_function_has_that_form_too(app: Flask) -> None:
    app.register_blueprint(declared(retry_delay=lambda attempt: f"{attempt}m", retries=1))

    assert get_job_config("send-text").options_with({})["retry_delay"] == "60000"


def test_a_decorator_without_its_arguments_is_refused_with_what_to_write() -> None:
    bp: Any = JobBlueprint("texts", __name__)

    with pytest.raises(DiscoveryError, match=r"send.*: missing a required argument: 'path'; write"):
        bp.job(send)
    with pytest.raises(
        DiscoveryError, match=r"'payload'; write `@bp\.job\('send-sms', '/sms', pay"
    ):
        bp.job("send-text", "/text")


def test_a_name_that_is_taken_is_refused_with_both_places() -> None:
    bp = declared()
    with pytest.raises(DiscoveryError, match=r"send, line \d+ has this name already; rename one"):
        bp.job("send-text", "/other", payload=TextSchema)(send)


def test_a_handler_that_comes_after_its_blueprint_is_refused(app: Flask) -> None:
    bp = declared()
    app.register_blueprint(bp)

    with pytest.raises(DiscoveryError, match="'texts' is registered already; import this module"):
        bp.job("late", "/late", payload=TextSchema)(send)


def test_a_prefix_with_a_slash_at_its_end_still_leads_to_the_job(app: Flask) -> None:
    bp = JobBlueprint("texts", __name__, url_prefix="/hooks/")
    bp.job("send-text", "/text", payload=TextSchema)(send)
    app.register_blueprint(bp)

    assert get_job_config("send-text").endpoint == "/hooks/text"
    assert "/hooks/text" in {rule.rule for rule in app.url_map.iter_rules()}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"job_type": "a b"}, "write it 'a-b'"),
        ({"schema": Text}, "write `class TextSchema"),
        ({"timout": 5}, "unknown option 'timout'; did you mean: timeout"),
        ({"timeout": "1x"}, "timeout: '1x' is not a duration"),
    ],
)
def test_a_type_whose_worker_is_elsewhere_is_checked_too(
    given: Mapping[str, Any], said: str
) -> None:
    arguments = {"job_type": "notify", "schema": TextSchema, "url": "https://x.example", **given}

    with pytest.raises(DiscoveryError) as caught:
        Jobs().external(**arguments)

    assert said in str(caught.value)


BROKEN = """
from dataclasses import dataclass
from flask import Flask
from app.jobs import JobBlueprint, PayloadSchema

@dataclass
class Nothing: ...

class NothingSchema(PayloadSchema[Nothing]):
    model = Nothing

app = Flask(__name__)
bp = JobBlueprint("texts", __name__)

@bp.job("send-text", "/text", payload=NothingSchema)
def send(payload): ...
"""


@pytest.mark.parametrize("command", ["run", "routes"])
def test_the_flask_command_shows_the_message_and_no_stack_trace(
    tmp_path: Path, command: str
) -> None:
    (tmp_path / "texts.py").write_text(BROKEN)
    env = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "flask", "--app", "texts", command],
        cwd=tmp_path, env=env, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: job type 'send-text' (texts.send, line 15): its handler")
    assert "Traceback" not in done.stderr
