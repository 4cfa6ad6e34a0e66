"""API keys, and requests with them."""

from collections.abc import Callable
from typing import Any

from werkzeug.test import TestResponse

from app.api import keys

Call = Callable[..., TestResponse]


ALL = keys.SCOPES


def make_key(*scopes: Any, **details: Any) -> str:
    return keys.create("test", scopes or ALL, **details)[0]
