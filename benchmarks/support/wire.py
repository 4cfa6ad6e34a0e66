"""A proxy before PostgreSQL that counts what clients wait for: the same count for every library.

https://www.postgresql.org/docs/current/protocol-message-formats.html: each message of the server is
a byte for its kind, and four for its length. Connections must not be encrypted (PGSSLMODE=disable).
"""

import asyncio
import threading
from collections import Counter
from typing import Self

_COMMAND_COMPLETE, _READY = ord("C"), ord("Z")


class Wire:
    """Listens on `port` and passes everything on; `count` has what has been answered so far.

    The keys of `count` are statements (commands that were completed, BEGIN and COMMIT included),
    round_trips (how often the server said that it is ready for the next query) and commits
    (transactions that ended otherwise than in ROLLBACK, one for each statement outside of one).
    """

    def __init__(self, port_of_server: int) -> None:
        self.count: Counter[str] = Counter()
        self.port = 0
        self._server_port = port_of_server
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = self._loop.run_until_complete(starting)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, ask = await asyncio.open_connection("127.0.0.1", self._server_port)
        asking = asyncio.create_task(_pass_on(client, ask))
        session = _Session(self.count)
        try:
            while data := await server.read(65536):
                session.read(data)
                answer.write(data)
                await answer.drain()
        except OSError:
            pass  # one of the two has gone, and the other is told by the close
        finally:
            asking.cancel()
            answer.close()
            ask.close()


class _Session:
    """Reads one connection's messages, which may arrive in any pieces."""

    def __init__(self, count: Counter[str]) -> None:
        self._count = count
        self._left = b""
        self._tags: list[bytes] = []

    def read(self, data: bytes) -> None:
        data, at = self._left + data, 0
        while len(data) - at >= 5:
            end = at + 1 + int.from_bytes(data[at + 1 : at + 5])
            if end > len(data):
                break
            self._message(data[at], data[at + 5 : end])
            at = end
        self._left = data[at:]

    def _message(self, kind: int, body: bytes) -> None:
        if kind == _COMMAND_COMPLETE:
            self._count["statements"] += 1
            self._tags.append(body)
        elif kind == _READY:
            self._count["round_trips"] += 1
            if self._tags and body == b"I":  # none: connected, prepared a statement, or failed
                self._count["commits"] += not self._tags[-1].startswith(b"ROLLBACK")
                self._tags.clear()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()
