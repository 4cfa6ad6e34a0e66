"""What a sealed payload says in clear is kept out of errors, tracebacks and logs.

An exception quotes what it was raised over, often in part: an HTTP client names a URL's path, the
database a long value's two ends, a template its escaped form. So not only a sealed value is
hidden, but every run of `RUN` characters of it.

What a handler logs or returns by itself is its own affair.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any
from urllib.parse import quote, quote_plus

from flask import g

#: The name in `g` under which `remember` keeps them.
KEPT_IN = "jobs_sealed_texts"
HIDDEN = "[sealed]"
RUN = 12
#: A text shorter than this is hidden only where it stands as a word.
WORD = 4


def remember(secrets: list[str]) -> None:
    """Have `scrub` hide these for the rest of the request or command, and nothing else."""
    setattr(g, KEPT_IN, secrets)


def has_secrets() -> bool:
    """Tell whether the job under way has anything that `scrub` hides."""
    return bool(g and g.get(KEPT_IN))


def scrub(text: str) -> str:
    """Return the text without what the job under way has in sealed fields."""
    return hide(text, g.get(KEPT_IN, ()) if g else ())


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return the text with each secret, whole or in part, written as `[sealed]`."""
    forms = {form for secret in secrets for form in _forms(secret)}
    runs = {run for form in forms if len(form) >= RUN for run in _runs(form)}
    if runs:
        text = _without_runs(text, runs)
    for form in sorted(forms, key=len, reverse=True):
        if 0 < len(form) < RUN:
            text = re.sub(_pattern(form), HIDDEN, text)
    return text


def hide_in(errors: Any, secrets: list[str]) -> Any:
    """Do the same for a schema's messages, whatever their nesting; fields' names stay."""
    if isinstance(errors, Mapping):
        return {key: hide_in(said, secrets) for key, said in errors.items()}
    if isinstance(errors, list):
        return [hide_in(said, secrets) for said in errors]
    return hide(str(errors), secrets) if secrets else errors


def _forms(secret: str) -> set[str]:
    quoted = {quote(secret, errors="replace"), quote_plus(secret, errors="replace")}
    return {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], html.escape(secret), *quoted}


def _runs(form: str) -> Iterator[str]:
    return (form[start : start + RUN] for start in range(len(form) - RUN + 1))


def _without_runs(text: str, runs: set[str]) -> str:
    hidden = bytearray(len(text))
    for start, run in enumerate(_runs(text)):
        if run in runs:
            hidden[start : start + RUN] = b"\x01" * RUN
    parts = groupby(zip(text, hidden, strict=True), key=itemgetter(1))
    return "".join(HIDDEN if flag else "".join(map(itemgetter(0), part)) for flag, part in parts)


def _pattern(form: str) -> str:
    return re.escape(form) if len(form) >= WORD else rf"(?<!\w){re.escape(form)}(?!\w)"
