"""Share between the thousands of HTTP clients of a run what each would read of certificates.

To read those of all authorities takes a client of httpx some 30 ms, though tests speak plain HTTP.
"""

import os
from typing import Any

import httpx
from httpx._transports import default

_SOURCES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_created: dict[Any, Any] = {}


def share() -> None:
    """Have the same certificates read only once in this process."""
    used: Any = default
    used.create_ssl_context = _shared


def _shared(**options: Any) -> Any:
    key = (*sorted(options.items()), *map(os.environ.get, _SOURCES))
    if key not in _created:
        _created[key] = httpx.create_ssl_context(**options)
    return _created[key]
