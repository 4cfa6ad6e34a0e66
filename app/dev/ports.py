"""Ports of 127.0.0.1 to listen on."""

import socket

_given: set[int] = set()


def free_port(usual: int = 0) -> int:
    """Return the usual port, or any other if that is taken; it was free a moment ago.

    No port is given twice: whoever asks for several listens on them only later.
    """
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still fading away counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", usual))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    if port in _given:
        return free_port()
    _given.add(port)
    return port
