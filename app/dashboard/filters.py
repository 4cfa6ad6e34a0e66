"""The filter of a list of jobs, as it stands in the page's address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import abort

from ..jobs import InvalidOption
from ..jobs.kit import LONGEST_NAME, durations, is_uuid, parse_owner_id, parse_tag
from ..jobs.operate import Filter
from . import access
from .access import Role
from .states import STATES

#: Characters that one field may have.
LONGEST = 500

_UNSTORABLE = "has a character that no text in the database can have"


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a time like 2026-11-29 or 2026-11-29T14:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _of_payload(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals or not all(path.split(".")):
        raise ValueError("a field of the payload and its value, like customer.id=7")
    return path.strip(), value.strip()


def _of_batch(text: str) -> str:
    if not is_uuid(text):
        raise ValueError("the whole id of a batch")
    return text


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the filter's form.

    Attributes:
        name: In the address.
        label: For people.
        hint: An example.
        read: From its text to what `Filter` takes; raises ValueError with a reason.
        of_filter: What `Filter` calls it.
        needs: Of what it tells, only such a role may see it.
    """

    name: str
    label: str
    hint: str
    of_filter: str
    read: Callable[[str], Any] = str
    needs: Role = Role.VIEWER


FIELDS = (
    Field("type", "Type", "send-email", "job_type"),
    Field("error", "Error contains", "timeout", "error"),
    Field("newer", "Newer than", "2h", "newer_than", durations.parse),
    Field("older", "Older than", "7d", "older_than", durations.parse),
    Field("from", "Enqueued from (UTC)", "2026-11-29T14:00", "recorded_from", _moment),
    Field("to", "Enqueued until (UTC)", "2026-11-30", "recorded_to", _moment),
    Field("due", "Due within", "1h", "due_within", durations.parse),
    Field("late", "Late by", "10m", "due_within", lambda text: -durations.parse(text)),
    Field("user", "User", "7", "user_id", parse_owner_id),
    Field("organization", "Organization", "42", "organization_id", parse_owner_id),
    Field("tag", "Tag", "billing", "tags", lambda text: (parse_tag(text),)),
    Field("parent", "Enqueued by job", "01a22669-…", "parent_id"),
    Field("queue", "Queue", "mail", "queue"),
    Field("key", "Idempotency key", "order-4711", "idempotency_key"),
    Field("payload", "Payload field", "customer.id=7", "field", _of_payload, Role.OPERATOR),
    Field("message", "QStash message", "msg_…", "message_id"),
    Field("schedule", "Schedule", "jobs:…", "schedule_id"),
    Field("batch", "Batch", "01a22669-…", "batch_id", _of_batch),
    Field("kind", "Kind of error", "0a1b2c3d4e5f", "fingerprint"),
)


def fields() -> list[Field]:
    """Return those that the user may filter by: what is found tells what is there."""
    return [one for one in FIELDS if access.user().may(one.needs)]


@dataclass(frozen=True, slots=True)
class Given:
    """What an address asks for.

    Attributes:
        state: A state's name, or "" for all.
        values: The fields that are filled in, by name, as they are written.
        problems: By field, why it cannot be used.
        fields: What `Filter` takes, without the state.
    """

    state: str
    values: dict[str, str]
    problems: dict[str, str]
    fields: dict[str, Any]

    @property
    def address(self) -> dict[str, str]:
        """The same as parameters of an address."""
        return {"state": self.state, **self.values} if self.state else dict(self.values)

    def wanted(self, state: str | None = None) -> Filter:
        """Return the filter, or that for another state; "" is all states."""
        name = self.state if state is None else state
        of_state = STATES[name].as_filter() if name else {}
        return access.within({**self.fields, **of_state})


def read(args: Mapping[str, str]) -> Given:
    """Return what an address asks for; what is wrong in it is said, never raised."""
    values: dict[str, str] = {}
    problems: dict[str, str] = {}
    found: dict[str, Any] = {}
    for one in FIELDS:
        text = args.get(one.name, "").strip()
        if not text:
            continue
        values[one.name] = text
        try:
            if not access.user().may(one.needs):  # leaving it out would show other jobs as these
                raise ValueError(f"is for the role {one.needs.name.lower()}: leave it out")  # noqa: TRY301 - said like the others
            if one.of_filter in found:
                raise ValueError("is another limit of the same; give one of them")  # noqa: TRY301 - said like the others
            found[one.of_filter] = one.read(_whole(text))
        except (ValueError, InvalidOption) as error:
            problems[one.name] = f"{one.label}: {text[:LONGEST_NAME]!r} {_reason(error)}"
    own = access.user().organization_id
    if own is not None and found.get("organization_id", own) != own:
        # Theirs instead would be other jobs than were asked for, and an action would change those.
        problems["organization"] = f"Organization: you see the jobs of {own} only"
    state = args.get("state", "")
    if state and state not in STATES:
        problems["state"] = f"State: {state[:LONGEST_NAME]!r} is none of {', '.join(STATES)}"
        state = ""
    return Given(state, values, problems, found)


def storable(name: str, text: str) -> str:
    """Return a text of a request outside the filter; 400 for what no text in the database can be.

    Args:
        name: Of the field.
        text: What is in it.
    """
    if "\0" in text:
        abort(HTTPStatus.BAD_REQUEST, f"{name}: {_UNSTORABLE}; leave out the NUL.")
    return text


def _whole(text: str) -> str:
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    if "\0" in text:
        raise ValueError(_UNSTORABLE)
    return text


def _reason(error: Exception) -> str:
    said = str(error)
    return said if said.startswith(("is ", "has ")) else f"is not {said}"
