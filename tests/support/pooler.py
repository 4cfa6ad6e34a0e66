"""What PgBouncer does at the start of a session, on the way to a PostgreSQL that is real."""

import re

from tests.support.silent_proxy import SilentProxy

#: The message by which the server tells its process, and a secret.
_KEY = re.compile(rb"K\x00\x00\x00\x0c.{8}", re.DOTALL)


class Pooler(SilentProxy):
    """Gives each client a number of its own for the server's process, as clients share those."""

    def _passed(self, data: bytes) -> bytes:
        return _KEY.sub(b"K\x00\x00\x00\x0c" + bytes(range(8)), data)
