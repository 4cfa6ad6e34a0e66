"""Ports for servers that a test starts a while after it has chosen their addresses."""

import socket
import sys

_held: list[socket.socket] = []


def reserved_port() -> int:
    """Return a port of 127.0.0.1 that nobody else is given until this process ends.

    A port that was merely free a moment ago may by now be that of another test's server. On Linux
    a server can listen beside a socket that is bound and does not listen, and the system gives
    its port to no one who asks for any (`inet_csk_get_port` of the kernel); elsewhere it cannot.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port: int = held.getsockname()[1]
    if sys.platform == "linux":
        _held.append(held)
    else:
        held.close()
    return port
