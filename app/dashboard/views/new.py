"""A new job: a form made of its type's schema, empty or with what another job was given."""

from collections.abc import Mapping
from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import (
    InvalidOption,
    InvalidPayload,
    JobConfig,
    PublishRefused,
    enqueue,
)
from ...jobs.kit import in_transaction, parse_owner_id
from ...jobs.operate import audit
from .. import access, cookies, formatting, payload_form
from ..access import Role
from ..payload_form import by_field, config_of
from ..rendering import link, page
from ..screens import Screen
from .job import job_of

screen = Screen("new", "New job")


@screen.page("/new", needs=Role.ADMIN)
def index() -> ResponseReturnValue:
    origin = job_of(request.args["again"]) if request.args.get("again") else None
    name = origin.job_type if origin else request.args.get("type", "")
    if not name:
        return page("new.html", config=None, types=payload_form.offered())
    given: dict[str, str] = {}
    if origin:
        payload = origin.payload.get("payload")
        texts = payload_form.texts_of(payload) if isinstance(payload, dict) else {}
        given = {payload_form.PREFIX + field: text for field, text in texts.items()}
        owners = {"user": origin.user_id, "organization": origin.organization_id}
        given |= {field: str(value) for field, value in owners.items() if value is not None}
        given["again"] = origin.job_id
    return _form(config_of(name), given)


@screen.action("/enqueue", needs=Role.ADMIN)
def create() -> ResponseReturnValue:
    """Enqueue what the form says; what is wrong with it is said beside its fields."""
    config = config_of(request.form.get("type", ""))
    again = request.form.get("again", "")
    if again:
        job_of(again)
    payload, problems = payload_form.read(config, request.form)
    if problems:
        return _form(config, request.form, problems)
    try:
        job_id = enqueue(config.type, payload, **_options())
    except InvalidPayload as error:
        return _form(config, request.form, by_field(error.errors))
    except (InvalidOption, PublishRefused) as error:
        return _form(config, request.form, trouble=str(error))
    _note(job_id, config.type, again)
    cookies.notice(f"Job {formatting.short_id(job_id)} is enqueued.")
    return redirect(link("job", job_id=job_id))


def _options() -> dict[str, Any]:
    """Return the options of the form.

    Raises:
        InvalidOption: An id is of another kind.
    """
    options: dict[str, Any] = {}
    for name in ("user", "organization"):
        text = request.form.get(name, "").strip()
        if text:
            try:
                options[f"{name}_id"] = parse_owner_id(text)
            except ValueError as error:
                raise InvalidOption(f"{name}: {text[:80]!r} is not {error}") from None
    if delay := request.form.get("delay", "").strip():
        options["delay"] = delay
    own = access.user().organization_id
    return options if own is None else {**options, "organization_id": own}


def _form(
    config: JobConfig,
    given: Mapping[str, str],
    problems: Mapping[str, list[str]] | None = None,
    trouble: str | None = None,
) -> ResponseReturnValue:
    return page(
        "new.html",
        400 if problems or trouble else 200,
        config=config,
        given=given,
        **payload_form.shown(config, given, problems or {}, trouble),
    )


def _note(job_id: str, job_type: str, again: str) -> None:
    wanted = {"job_type": job_type, **({"again": again} if again else {})}

    def note(tx: Any) -> None:
        entry = audit.record_action(tx, actor=access.user().name, action="enqueue", wanted=wanted)
        audit.add_jobs(tx, entry, [job_id])

    in_transaction(note)
