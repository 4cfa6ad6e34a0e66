"""A way to PostgreSQL that can fall silent: what is open stays open, but nothing passes."""

import socket
import threading
from contextlib import suppress
from typing import Self

from sqlalchemy import make_url


class SilentProxy:
    """Forwards to the server of a database's URL, from its own address."""

    def __init__(self, database_url: str) -> None:
        self._to = make_url(database_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._generation = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        port = self._listener.getsockname()[1]
        here = self._to.set(host="127.0.0.1", port=port).difference_update_query(["host"])
        return here.render_as_string(hide_password=False)

    def fall_silent(self) -> None:
        """Forward nothing of what is open now; what comes after is served."""
        self._generation += 1

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for each in self._open:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    args = (source, sink, self._generation)
                    threading.Thread(target=self._forward, args=args, daemon=True).start()

    def _connect(self) -> socket.socket:
        host = self._to.query.get("host") or self._to.host or "127.0.0.1"
        port = int(self._to.port or 5432)
        if str(host).startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{host}/.s.PGSQL.{port}")
            return server
        return socket.create_connection((str(host), port))

    def _forward(self, source: socket.socket, sink: socket.socket, generation: int) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if generation == self._generation:
                    sink.sendall(self._passed(data))
            if generation == self._generation:
                sink.shutdown(socket.SHUT_WR)

    def _passed(self, data: bytes) -> bytes:
        """Return what arrives of what was sent."""
        return data
