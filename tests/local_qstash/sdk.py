"""The official SDK, as two clients behind one way to call them."""

import asyncio
import inspect
from operator import attrgetter
from typing import Any

from qstash import AsyncQStash, QStash


class Sdk:
    """An official client, sync or async, behind one way to call it: `sdk("queue.get", "q")`."""

    def __init__(self, client: QStash | AsyncQStash, runner: asyncio.Runner) -> None:
        self._client, self._runner = client, runner

    def __call__(self, verb: str, *args: Any, **options: Any) -> Any:
        result = attrgetter(verb)(self._client)(*args, **options)
        return self._runner.run(result) if inspect.iscoroutine(result) else result

    def close(self) -> None:
        if isinstance(self._client, QStash):
            self._client.http._client.close()
        else:
            self._runner.run(self._client.http._client.aclose())
