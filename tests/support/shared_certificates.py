"""Share between the thousands of HTTP clients of a run what each would read of certificates.

To read those of all authorities takes a client of httpx some 30 ms, though tests speak plain HTTP.
"""

import os
from collections.abc import Callable
from typing import Any

from httpx._transports import default

_SOURCES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_create: Callable[..., Any] = default.create_ssl_context
_created: dict[Any, Any] = {}


def share() -> None:
    """Have the same certificates read only once in this process."""
    default.create_ssl_context = _shared


def _shared(**options: Any) -> Any:
    key = (*sorted(options.items()), *map(os.environ.get, _SOURCES))
    if key not in _created:
        _created[key] = _create(**options)
    return _created[key]
