"""Long lists in pages: by keyset in the state file, by page number in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

from ..errors import bad_request
from ..protocol.text import whole_number
from .page_request import PageRequest

_T = TypeVar("_T")
PAGE = 50


@dataclass(frozen=True, slots=True)
class Paged(Generic[_T]):
    """One page of a list; the links to its neighbours are None if there is none."""

    items: Sequence[_T]
    newer: str | None
    older: str | None


def link(request: PageRequest, **changes: str | None) -> str:
    """Return the address of this page with other parameters; None removes one."""
    path = f"/{request.section}" + (f"/{quote(request.name, safe='')}" if request.name else "")
    merged = {key: value for key, value in request.query.items() if key not in ("done", "of")}
    kept = {key: value for key, value in (merged | changes).items() if value is not None}
    return f"{path}?{urlencode(kept)}" if kept else path


def read_cursor(request: PageRequest) -> tuple[int, int] | None:
    """Return the sort key that the page starts below, None for the first page.

    Raises:
        ApiError: 400, if no page linked to it.
    """
    text = request.query.get("before")
    if text is None:
        return None
    head, _, tail = text.partition("-")
    time, seq = whole_number(head), whole_number(tail)
    if time is None or seq is None:
        raise bad_request(f"before: {text!r} is not a place in this list")
    return time, seq


def number_pages(request: PageRequest, items: Sequence[_T]) -> Paged[_T]:
    """Return one page of a list in memory.

    Raises:
        ApiError: 400, if the page is not a number.
    """
    text = request.query.get("page", "1")
    number = whole_number(text)
    if not number:
        raise bad_request(f"page: {text!r} is not a page number")
    start = (number - 1) * PAGE
    more = len(items) > start + PAGE
    return Paged(
        items[start : start + PAGE],
        newer=link(request, page=str(number - 1)) if number > 1 else None,
        older=link(request, page=str(number + 1)) if more else None,
    )
