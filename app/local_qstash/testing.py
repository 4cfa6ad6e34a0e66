"""A server inside a test's process: in memory, on a free port, ready in milliseconds."""

import asyncio
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from .engine.usage import Usage
from .faults import Faults, parse_faults
from .server import Server, serve_until, start_server
from .settings import DEVELOPMENT, QUOTAS, Limits, Settings


class LocalQStash:
    """A running server; a context manager.

    with LocalQStash(speed=100) as qstash:
        client = QStash(qstash.token, base_url=qstash.url)

    `quota` names a plan whose limits hold, as `--quota` does; `limits` sets each by itself.

    `faults` are injected from the start, in the form of `--fault`: `["drop=0.05"]`; see `faults.py`
    for the kinds. With the same `seed` they hit the same deliveries and publishes, counted in the
    order of their arrival.
    """

    token = DEVELOPMENT.token
    current_signing_key = DEVELOPMENT.current_signing_key
    next_signing_key = DEVELOPMENT.next_signing_key

    def __init__(
        self,
        *,
        speed: float = 1.0,
        state: Path | None = None,
        origins: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        quota: str = "none",
        faults: Iterable[str] = (),
        seed: int | None = None,
        port: int = 0,
    ) -> None:
        """Prepare a server; entering it starts it.

        Raises:
            InvalidFaultError: one of `faults` is invalid; the message names the fix.
        """
        self._settings = Settings(
            state=state,
            port=port,
            speed=speed,
            origins=origins or {},
            limits=limits or QUOTAS[quota],
            faults=parse_faults(faults),
            fault_seed=seed,
        )
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="local-qstash", daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        """Start the server.

        Raises:
            StateFileError: the state file cannot be used.
            OSError: the port is taken.
        """
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def faults(self) -> Faults:
        """Return the faults of the running server, to read the counts or set others."""
        return self.server.services.faults

    @property
    def usage(self) -> Usage:
        """Return what the running server counted."""
        return self.server.services.usage

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            self.server: Server = await start_server(self._settings)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._error = error
            return
        else:
            self.url = self.server.url
        finally:
            self._ready.set()
        await serve_until(self.server, self._stop)
