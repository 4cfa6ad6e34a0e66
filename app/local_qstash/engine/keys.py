"""The signing keys: what deliveries are signed with now, and what comes next."""

from ..settings import Credentials
from ..signing import new_key


class SigningKeys:
    """Keys of the running server.

    A rotation lasts until the server stops: its clients are configured with fixed keys, and a
    restart that brought back a rotated key would lock all of them out.
    """

    def __init__(self, credentials: Credentials) -> None:
        self.current = credentials.current_signing_key
        self.next = credentials.next_signing_key

    def rotate(self) -> None:
        self.current, self.next = self.next, new_key()
