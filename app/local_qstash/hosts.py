"""Which host names stay on this machine."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Say whether `host`, a name or an address without port, can mean this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
