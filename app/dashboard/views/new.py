"""A new job: a form made of its type's schema, empty or with what another job was given."""

from collections.abc import Mapping
from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import InvalidOption, InvalidPayload, JobConfig, JobId, NotUnique
from ...jobs.kit import parse_owner_id
from ...jobs.operate import again, unique
from .. import access, cookies, formatting, payload_form, states
from ..access import Role
from ..payload_form import by_field, config_of
from ..rendering import link, page
from ..screens import Screen
from .job import job_of

screen = Screen("new", "New job")

#: The fields beside the payload's.
_OPTIONS = ("user", "organization", "delay", "tags")


@screen.page("/new", needs=Role.ADMIN)
def index() -> ResponseReturnValue:
    origin = job_of(request.args["again"]) if request.args.get("again") else None
    name = origin.job_type if origin else request.args.get("type", "")
    if not name:
        return page("new.html", config=None, types=payload_form.offered())
    config = config_of(name)
    own = access.user().organization_id
    given = {"tags": " ".join(config.tags), "organization": "" if own is None else str(own)}
    if origin:
        payload = origin.payload.get("payload")
        texts = payload_form.texts_of(payload) if isinstance(payload, dict) else {}
        given |= {payload_form.PREFIX + field: text for field, text in texts.items()}
        owners = {"user": origin.user_id, "organization": origin.organization_id}
        given |= {field: str(value) for field, value in owners.items() if value is not None}
        given["tags"] = " ".join(origin.tags or [])
        given["again"] = origin.job_id
    return _form(config, given)


@screen.action("/enqueue", needs=Role.ADMIN)
def create() -> ResponseReturnValue:
    """Enqueue what the form says; what is wrong with it is said beside its fields."""
    config = config_of(request.form.get("type", ""))
    origin = request.form.get("again") or None
    if origin:
        job_of(origin)
    payload, problems = payload_form.read(config, request.form)
    if problems:
        return _form(config, request.form, problems)
    try:
        job_id = again.enqueue_by_hand(
            config.type, payload, by=access.user().name, origin=origin, **_options()
        )
    except InvalidPayload as error:
        return _form(config, request.form, by_field(error.errors))
    except (InvalidOption, NotUnique) as error:
        return _form(config, request.form, trouble=str(error))
    _say(job_id)
    return redirect(link("job", job_id=job_id))


def _say(job_id: JobId) -> None:
    """Tell what became of the job: QStash may have refused it after it was recorded."""
    short, row = formatting.short_id(job_id), job_of(job_id)
    if states.state_of(row).name == "dead":
        cookies.notice(f"Job {short} is dead: {row.error}", kind="problem")
    else:
        cookies.notice(_came_to(job_id) or f"Job {short} is enqueued.")


def _came_to(job_id: JobId) -> str | None:
    said = unique.came_to(job_id)
    return None if said is None else f"{said[0].upper()}{said[1:]}."


def _options() -> dict[str, Any]:
    """Return the options of the form.

    Raises:
        InvalidOption: An id is of another kind, or not the user's own organization.
    """
    options: dict[str, Any] = {}
    for name in ("user", "organization"):
        text = request.form.get(name, "").strip()
        if text:
            try:
                options[f"{name}_id"] = parse_owner_id(text)
            except ValueError as error:
                raise InvalidOption(f"{name}: {text[:80]!r} is not {error}") from None
    if "tags" in request.form:  # else those that its type declares
        options["tags"] = request.form["tags"].split()
    if delay := request.form.get("delay", "").strip():
        options["delay"] = delay
    own = access.user().organization_id
    if own is not None and options.setdefault("organization_id", own) != own:
        asked = f"{str(options['organization_id'])[:80]!r} is not your organization"
        raise InvalidOption(f"organization: {asked}: write {own}, or leave it empty")
    return options


def _form(
    config: JobConfig,
    given: Mapping[str, str],
    problems: Mapping[str, list[str]] | None = None,
    trouble: str | None = None,
) -> ResponseReturnValue:
    """Show the form, with each problem beside its field, or above where it is of none."""
    about = (trouble or "").partition(":")[0]
    elsewhere = None if about in _OPTIONS else trouble
    return page(
        "new.html",
        400 if problems or trouble else 200,
        config=config,
        given=given,
        refused={about: trouble},
        **payload_form.shown(config, given, problems or {}, elsewhere),
    )
