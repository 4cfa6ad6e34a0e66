"""What people and machines are shown of a payload: not what is sealed, nor what is named a secret.

What should be kept from who can read the table must be sealed; this keeps the rest from screens,
scrollback and bug reports.
"""

import re
from typing import Any

from .sealing import MARK

SEALED = "(sealed)"
HIDDEN = "(hidden)"
DEEP = "(nested deeper)"
#: How deep is shown: much deeper, Python itself gives up, and no reader gets as far.
LEVELS = 100

_SECRET = re.compile(
    r"passw(or)?d|passphrase|secret|token$|api_?key|(access|private|signing)_?key"
    r"|authorization|cookie|credential|card_?number|^cvc$|^cvv$|^iban$"
)


def hidden(value: Any, *, levels: int = LEVELS) -> Any:
    """Return a copy of JSON without secrets; what is null or empty stays so."""
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return DEEP
    if isinstance(value, list):
        return [hidden(item, levels=levels - 1) for item in value]
    if value.keys() == {MARK}:
        return SEALED
    return {
        key: HIDDEN
        if item and _is_secret(key) and not _is_sealed(item)
        else hidden(item, levels=levels - 1)
        for key, item in value.items()
    }


def _is_secret(key: str) -> bool:
    return _SECRET.search(key.lower().replace("-", "_")) is not None


def _is_sealed(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {MARK}
