"""What a store must do: the store itself, and one upload into it.

`key` is always the text of a `names.Key`. All methods raise `StoreUnavailable`, or an `OSError`
such as "disk full"; none is retried here beyond what a store's own client does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from werkzeug import Response

from app.artifacts.models import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """Something that a store holds: a file, the part of one, or a working folder.

    Attributes:
        key: The text of the `names.Key` it was made under.
        place: Where it is, in the store's own words.
        size: Bytes, None where the store does not tell.
        modified_at: When something was last written to it; for an unfinished upload to S3, when
            it was begun.
    """

    key: str
    place: str
    size: int | None
    modified_at: datetime


class Upload(Protocol):
    """A file on its way into a store, which nobody sees before `complete` has returned."""

    def write(self, data: memoryview) -> None: ...

    def suspend(self) -> dict[str, Any]:
        """Keep what was written, let go of everything, and return what `Store.resume` needs."""

    def complete(self) -> Sequence[str]:
        """Make the file appear, whole and durable.

        Returns:
            Keys of what is of no more use once its row is committed, for `Store.delete`.
        """

    def release(self) -> None:
        """Let go of what the process holds and leave the store as it is; never raises."""

    def abort(self) -> None:
        """Remove what was written; never raises, and may be called after `complete` failed."""


class Store(Protocol):
    """A place for files."""

    def begin(self, key: str, *, name: str, media_type: str) -> Upload: ...

    def resume(self, key: str, state: dict[str, Any]) -> Upload:
        """Continue a suspended upload; what was written after it was suspended is dropped.

        Raises:
            ArtifactLost: It is gone.
            ArtifactBusy: Another process still writes it.
        """

    def read(self, key: str) -> Iterator[bytes]:
        """Yield a whole file in pieces of bounded size.

        Raises:
            ArtifactLost: There is none.
        """

    def response(self, artifact: Artifact, *, seconds: int) -> Response | None:
        """Answer the current request with a file; None if it is gone.

        Args:
            artifact: The file.
            seconds: For how long a link that the answer contains may be good at most.
        """

    def delete(self, keys: Sequence[str]) -> None:
        """Remove whole files; those that are gone are no error."""

    def strays(self) -> Iterator[Stray]:
        """List all that the store holds and that was made by us, whole or not."""

    def discard(self, stray: Stray) -> None:
        """Remove what `strays` listed; if it is gone it is no error."""
