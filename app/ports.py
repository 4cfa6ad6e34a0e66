"""Addresses to listen on, taken at the moment they are chosen."""

import socket

from click import ClickException

BACKLOG = 128


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago; if it is taken by then, try again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def listen(usual: int, host: str = "127.0.0.1") -> socket.socket:
    """Return a socket that listens on the usual port, or on any other if that is taken.

    The process that answers there inherits it. So no other process can take the port meanwhile, and
    early clients wait instead of being refused.

    Raises:
        ClickException: This machine has no such address.
    """
    try:
        return _listening(host, usual)
    except OSError:
        pass
    try:
        return _listening(host, 0)
    except OSError as error:
        raise ClickException(f"HOST={host}: {error.strerror or error}") from error


def _listening(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # As servers do: a port whose last connections are still closing counts as free.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        # Immediately: two sockets may be bound to a port, but only one can listen on it.
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made
