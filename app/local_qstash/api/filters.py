"""Query parameters to SQL conditions over messages, shared by cancel, dead letters and logs."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import bad_request
from ..protocol.text import whole_number

Parameters = Mapping[str, Sequence[str]]
_MAX_VALUES = 10_000
_PAGE_BYTES = 4 * 1024 * 1024


def _equal(column: str) -> Callable[[str], tuple[str, object]]:
    return lambda value: (f"{column} = ?", value)


def _label(value: str) -> tuple[str, object]:
    return "instr(m.labels, ?)", f",{value},"


# Parameter -> one condition per value; several values of one parameter are alternatives.
MESSAGE_FILTERS: dict[str, Callable[[str], tuple[str, object]]] = {
    "messageId": _equal("m.id"),
    "messageIds": _equal("m.id"),
    "url": _equal("m.url"),
    "topicName": _equal("m.topic"),
    "queueName": _equal("m.queue"),
    "scheduleId": _equal("m.schedule_id"),
    "flowControlKey": _equal("m.flow_key"),
    "callerIp": _equal("m.caller_ip"),
    "callerIP": _equal("m.caller_ip"),
    "label": _label,
}
URL_FILTERS: dict[str, Callable[[str], tuple[str, object]]] = {
    "host": _equal("url_host(m.url)"),
    "path": _equal("url_path(m.url)"),
}


@dataclass(slots=True)
class Where:
    """A WHERE clause that grows; an empty one selects everything."""

    conditions: list[str] = field(default_factory=list)
    args: list[object] = field(default_factory=list)

    def add(self, condition: str, *args: object) -> None:
        self.conditions.append(condition)
        self.args += args

    def __str__(self) -> str:
        return " AND ".join(self.conditions) or "1"


def where(
    parameters: Parameters,
    filters: Mapping[str, Callable[[str], tuple[str, object]]],
    *,
    time_column: str,
) -> Where:
    """Return the condition that the filters among `parameters` express.

    Raises:
        ApiError: 400, for an empty filter or a date that is not a number.
    """
    found = Where()
    for name in parameters.keys() & filters.keys():
        alternatives = [filters[name](value) for value in values(parameters, name)]
        found.add(
            "(" + " OR ".join(condition for condition, _ in alternatives) + ")",
            *(arg for _, arg in alternatives),
        )
    for name, sign in (("fromDate", ">="), ("toDate", "<=")):
        if name in parameters:
            found.add(f"{time_column} {sign} ?", integer(parameters, name))
    return found


def values(parameters: Parameters, name: str) -> list[str]:
    """Return the values of a repeated or comma-separated parameter.

    Raises:
        ApiError: 400 when there is none: an empty selection must never come to mean everything.
    """
    # A comma is legal in a URL, so URLs can only be repeated.
    split = name not in ("url", "path")
    found = [
        part for value in parameters[name] for part in (value.split(",") if split else [value])
    ]
    found = [part for part in found if part]
    if not found or len(found) > _MAX_VALUES:
        raise bad_request(f"{name}: expected 1 to {_MAX_VALUES} values")
    return found


def integer(
    parameters: Parameters, name: str, default: int = 0, *, limits: tuple[int, int] | None = None
) -> int:
    """Return a parameter as an integer, `default` if it is absent.

    Raises:
        ApiError: 400 when it is not one or outside `limits`.
    """
    if name not in parameters:
        return default
    text = parameters[name][-1]
    number = whole_number(text)
    if number is None:
        raise bad_request(f"{name}: expected a non-negative integer, got {text!r}")
    if limits and not limits[0] <= number <= limits[1]:
        raise bad_request(f"{name}: expected {limits[0]} to {limits[1]}, got {number}")
    return number


def cursor_seq(parameters: Parameters) -> int | None:
    """Return the sequence number that a page starts at, None for the first page.

    Raises:
        ApiError: 400, when the cursor is not one that a list returned.
    """
    if "cursor" not in parameters:
        return None
    cursor = parameters["cursor"][-1]
    seq = whole_number(cursor.rpartition("-")[2])
    if seq is None:
        raise bad_request(f"cursor: {cursor!r} is not one that a list returned")
    return seq


def read_page(
    rows: Iterable[sqlite3.Row], limit: int, bodies: Iterable[str]
) -> tuple[list[sqlite3.Row], sqlite3.Row | None]:
    """Return at most `limit` rows, and the one after them if there is one.

    A page ends early when its `bodies`, the columns that may be large, come to some megabytes.
    """
    page: list[sqlite3.Row] = []
    size = 0
    for row in rows:
        size += sum(len(row[column] or b"") for column in bodies)
        if page and (len(page) == limit or size > _PAGE_BYTES):
            return page, row
        page.append(row)
    return page, None


def check_known(parameters: Iterable[str], known: Iterable[str]) -> None:
    """Refuse parameters that are not in `known`: an ignored filter would select too much.

    Raises:
        ApiError: 400, naming them.
    """
    if unknown := sorted(set(parameters) - set(known)):
        raise bad_request(f"unknown parameter(s): {', '.join(unknown)}")
