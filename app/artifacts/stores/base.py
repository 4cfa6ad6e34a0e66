"""The interface of a store, and of one upload to it.

`key` is always the text of a `names.Key`. All methods may raise `StoreUnavailable`, or an `OSError`
such as "disk full"; only a store's own client retries.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from werkzeug import Response

from app.artifacts.models import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """Something in a store: a file, part of one, or a working folder.

    Attributes:
        key: The text of its `names.Key`.
        place: Where it is, in the store's own terms.
        size: Bytes, None if the store does not say.
        modified_at: When it was last written to; for an unfinished upload to S3, when it was
            started.
    """

    key: str
    place: str
    size: int | None
    modified_at: datetime


class Upload(Protocol):
    """A file being uploaded, which is invisible until `complete` has returned."""

    def write(self, data: memoryview) -> None: ...

    def suspend(self) -> dict[str, Any]:
        """Keep what was written, release everything, and return the state for `Store.resume`."""

    def complete(self) -> Sequence[str]:
        """Make the file appear, complete and durable.

        Returns:
            Keys that `Store.delete` may remove once its row is committed.
        """

    def release(self) -> None:
        """Release what the process holds and leave the store as it is; never raises."""

    def abort(self) -> None:
        """Remove what was written; never raises, and may be called after `complete` failed."""


class Store(Protocol):
    """Where files are kept."""

    def begin(self, key: str, *, name: str, media_type: str) -> Upload: ...

    def resume(self, key: str, state: dict[str, Any]) -> Upload:
        """Continue a suspended upload; anything written after the suspension is dropped.

        Raises:
            ArtifactLost: It is gone.
            ArtifactBusy: Another process is still writing it.
        """

    def read(self, key: str) -> Iterator[bytes]:
        """Yield a file in pieces of bounded size.

        Raises:
            ArtifactLost: No such file.
        """

    def response(self, artifact: Artifact, *, seconds: int) -> Response | None:
        """Answer the current request with a file; None if it is gone.

        Args:
            artifact: The file.
            seconds: The maximum lifetime of a link in the answer.
        """

    def delete(self, keys: Sequence[str]) -> None:
        """Remove complete files; missing ones are not an error."""

    def strays(self) -> Iterator[Stray]:
        """List everything in the store that we made, complete or not."""

    def discard(self, stray: Stray) -> None:
        """Remove an item of `strays`; if it is gone, that is not an error."""
