"""Where a process can die: before and after everything that commits or talks to the network.

The points are found by wrapping the database's driver and the standard library's HTTP client, so
code that is written tomorrow has its own.
"""

import os
from collections.abc import Callable
from http.client import HTTPConnection
from threading import Lock
from typing import Any

import psycopg

CRASHED = 86


class CrashPoints:
    """Counts the points a process passes, and ends it at one of them as SIGKILL would.

    Attributes:
        passed: The names of the points, in order.
    """

    def __init__(self, die_at: int) -> None:
        self.die_at = die_at
        self.passed: list[str] = []
        self._lock = Lock()

    def install(self) -> None:
        cursor: Any = psycopg.Cursor
        cursor.execute = self._around("statement", cursor.execute)
        connection: Any = psycopg.Connection
        connection.commit = self._around("commit", connection.commit)
        client: Any = HTTPConnection
        client.request = self._around("request", client.request)
        client.getresponse = self._around("answer", client.getresponse)

    def _around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self._pass(f"before {name}")
            result = call(*args, **kwargs)
            self._pass(f"after {name}")
            return result

        return wrapped

    def _pass(self, name: str) -> None:
        with self._lock:
            self.passed.append(name)
            if len(self.passed) == self.die_at:
                os._exit(CRASHED)
