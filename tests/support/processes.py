"""Looking at other processes from outside."""

import urllib.error
import urllib.request


def answers(url: str) -> bool:
    """Tell whether a server answers there, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - our own URLs
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
