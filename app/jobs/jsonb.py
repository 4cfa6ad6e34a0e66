"""What PostgreSQL's text and jsonb can hold: everything but NUL and halves of surrogate pairs."""

import json
import re
from math import isfinite
from typing import Any

# An escaped NUL: an odd number of backslashes before `u0000`.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def dumps(value: Any) -> str:
    """Encode as JSON, without the NaN and Infinity that Python would allow.

    Raises:
        ValueError: The value cannot be said in JSON or cannot be stored.
    """
    try:
        encoded = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        encoded.encode()
    except UnicodeEncodeError as error:
        raise ValueError("text must not contain unpaired surrogates") from error
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if _NUL.search(encoded):
        raise ValueError("text must not contain NUL characters")
    return encoded


def loads(encoded: str) -> Any:
    """Decode JSON; raises `ValueError` for anything else, NaN and Infinity included."""
    try:
        return json.loads(encoded, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def clean_text(text: str) -> str:
    """Return the text with what cannot be stored replaced."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def clean(value: Any) -> Any:
    """Return JSON with what cannot be stored replaced, in names as in values."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(name): clean(one) for name, one in value.items()}
    if isinstance(value, list):
        return [clean(one) for one in value]
    # A number such as 1e999 is read as infinite, which JSON cannot say.
    return None if isinstance(value, float) and not isfinite(value) else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
