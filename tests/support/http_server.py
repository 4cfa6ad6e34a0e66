"""A real HTTP server that answers as it is told, for what a healthy service never says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Canned:
    """What to answer, and what came.

    Attributes:
        silent: Accept requests and never answer them.
    """

    status: int = 200
    body: str = "{}"
    silent: bool = False
    url: str = ""
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def canned_server() -> Iterator[Canned]:
    canned = Canned()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            canned.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            canned.headers.append(dict(self.headers))
            canned.paths.append(self.path)
            if canned.silent:
                canned.released.wait()
                return
            body = canned.body.encode()
            self.send_response(canned.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    canned.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield canned
    finally:
        canned.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
