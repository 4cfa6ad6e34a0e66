"""The filter in one line, as people type it: `type:send-email state:dead error:"rate limit"`."""

import re
from collections.abc import Callable, Iterator, Mapping

from flask import current_app

from ..jobs.kit import registry_of
from ..jobs.operate import queues_in_use, tags_in_use
from . import access, filters
from .states import STATES

#: A field and its value, in quotes where it has spaces; or a word alone.
_PART = re.compile(r'([a-z]+):(?:"((?:[^"\\]|\\.)*)"?|(\S*))|"((?:[^"\\]|\\.)*)"?|(\S+)')
#: What an id may begin with.
_ID = re.compile(r"[0-9a-f]{4}[0-9a-f-]*[0-9][0-9a-f-]*")
#: Characters that a line may have.
LONGEST = 2_000
#: How many suggestions there are at most.
SHOWN = 20

_TIMES = ("1h", "1d", "7d", "30d")


def read(line: str) -> tuple[dict[str, str], list[str]]:
    """Return what a line asks for by field, and what is wrong with it.

    Words without a field are looked for in errors; one that begins an id is under "id".
    """
    given: dict[str, str] = {}
    problems: list[str] = []
    words: list[str] = []
    known = {"state", *(one.name for one in filters.fields())}
    for name, quoted, plain, phrase, word in _PART.findall(line[:LONGEST]):
        value = _unquoted(quoted) if quoted else plain
        if not name:
            words.append(_unquoted(phrase) if phrase else word)
        elif name not in known:
            problems.append(f"There is no filter {name!r}: use {', '.join(sorted(known))}.")
        elif name in given:
            problems.append(f"{name} is given twice: all conditions must hold at once.")
        elif value:
            given[name] = value
    if len(words) == 1 and not given and _ID.fullmatch(words[0].lower().rstrip("…")):
        return {"id": words[0]}, problems
    if words and "error" in given:
        problems.append(f"{words[0]!r} belongs to no field: put what has spaces in quotes.")
    elif words:
        given["error"] = " ".join(words)
    return given, problems


def write(address: Mapping[str, str]) -> str:
    """Return the line for the parameters of an address."""
    return " ".join(f"{name}:{_quoted(value)}" for name, value in address.items())


def suggestions(line: str) -> list[tuple[str, str, str]]:
    """Return what may come next: the whole line then, what is added, and what it means.

    Args:
        line: As far as it is typed.
    """
    before, part = _last(line[:LONGEST])
    name, colon, begun = part.partition(":")
    found = _values(name, begun.lstrip('"')) if colon else _names(name)
    return [(f"{before}{text}", text.strip(), said) for text, said in found][:SHOWN]


def _last(line: str) -> tuple[str, str]:
    """Split off what is being typed: nothing, where a part has ended."""
    parts = list(_PART.finditer(line))
    if not parts or parts[-1].end() < len(line):
        return line, ""
    return line[: parts[-1].start()], parts[-1].group()


def _names(begun: str) -> Iterator[tuple[str, str]]:
    known = [("state", "State"), *((one.name, one.label) for one in filters.fields())]
    for name, label in known:
        if any(word.startswith(begun.lower()) for word in (name, *label.lower().split())):
            yield f"{name}:", label


def _values(name: str, begun: str) -> Iterator[tuple[str, str]]:
    for value, said in _known_values(name):
        if begun.lower() in value.lower():
            yield f"{name}:{_quoted(value)} ", said


def _known_values(name: str) -> Iterator[tuple[str, str]]:
    types = list(registry_of(current_app))
    match name:
        case "state":
            yield from ((one.name, one.says) for one in STATES.values())
        case "type":
            yield from ((one.type, one.description or "") for one in types)
        case "queue":
            declared = {one.queue for one in types if one.queue}
            yield from ((one, "") for one in sorted(declared | set(_of_all(queues_in_use))))
        case "tag":
            yield from ((one, "") for one in _of_all(tags_in_use))
        case "newer" | "older" | "due" | "late":
            yield from ((one, "") for one in _TIMES)


def _of_all(look: Callable[[], list[str]]) -> list[str]:
    """Return what the jobs of all organizations have, to who may see those."""
    return [] if access.user().organization_id is not None else look()


def _quoted(value: str) -> str:
    if value and not re.search(r'[\s"]', value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
