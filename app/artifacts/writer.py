"""The stream that a job writes a file to: the file appears complete, or not at all."""

import hashlib
import io
from dataclasses import asdict, dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from app.artifacts.errors import ArtifactError
from app.artifacts.models import Artifact
from app.artifacts.names import parse_key
from app.artifacts.removal import remove_after_commit
from app.artifacts.stores.base import Store, Upload
from app.db import db
from app.jobs.kit import OwnerId

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: Bytes buffered before they go to the store: callers write line by line.
BUFFER = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known about a file before it is written."""

    key: str
    name: str
    media_type: str
    expires_at: datetime
    organization_id: OwnerId | None = None
    user_id: OwnerId | None = None
    job_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "expires_at": self.expires_at.isoformat()}

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Self:
        return cls(**{**state, "expires_at": datetime.fromisoformat(state["expires_at"])})


class ArtifactFile(io.BufferedIOBase):
    """A write-only, forward-only binary stream.

    It is its own context manager. Leaving the block makes the file appear and adds its row to
    `db.session`. An exception removes what was written; a resumed file stays, and can be resumed
    from the same state again. Closing a wrapper has no effect.

    Attributes:
        artifact: The row, once the block is left.
        size: Bytes written so far, over all legs.
    """

    artifact: Artifact

    def __init__(self, store: Store, about: About, state: dict[str, Any] | None = None) -> None:
        self.size = state["size"] if state else 0
        self._about = about
        self._store = store
        self._state = state
        self._upload: Upload | None = None
        self._buffer = bytearray()
        self._text: io.TextIOWrapper | None = None
        self._broken: BaseException | None = None
        # A hash cannot be passed to another process: a resumed file is read again at its end.
        self._hash = None if self.size else hashlib.sha256()

    def __enter__(self) -> Self:
        key, about = self._about.key, self._about
        if self._state is None:
            self._upload = self._store.begin(key, name=about.name, media_type=about.media_type)
        else:
            self._upload = self._store.resume(key, self._state["upload"])
        return self

    def text(self, encoding: str = "utf-8") -> io.TextIOWrapper:
        """Return the one text stream for this file, which writes line ends unchanged.

        It is flushed when the file is suspended or its block ends.
        """
        if self._text is None:
            self._text = io.TextIOWrapper(self, encoding, newline="", write_through=False)
        return self._text

    def suspend(self) -> dict[str, Any]:
        """Make what was written durable, and return the state for `artifacts.resume`.

        Flush wrappers other than `text()` first. Afterwards the file accepts no more writes, and
        leaving its block has no effect.

        Returns:
            JSON of about 500 bytes, for a checkpoint.
        """
        self._flush_all()
        upload = self._opened()
        state = {"about": self._about.to_json(), "size": self.size, "upload": upload.suspend()}
        self._upload = None
        return state

    @property
    def name(self) -> str:
        return self._about.name

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        self._opened()
        with memoryview(data) as view, view.cast("B") as octets:
            length = len(octets)
            if length >= BUFFER:
                self._drain()
                self._pass_on(octets)
            else:
                self._buffer += octets
        self.size += length
        if len(self._buffer) >= BUFFER:
            self._drain()
        return length

    def tell(self) -> int:
        return self.size

    def close(self) -> None:
        """Do nothing: wrappers close what they wrap, but the block decides about the file."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None or self._broken is not None:
            self._give_up()
        elif self._upload is not None:
            self._complete()
        if kind is None and self._broken is not None:
            raise ArtifactError(f"the file is incomplete: {self._broken}") from self._broken

    def _complete(self) -> None:
        try:
            self._flush_all()
            obsolete = self._opened().complete()
            self.artifact = self._row()
        except BaseException:
            self._give_up()
            raise
        self._upload = None
        db.session.add(self.artifact)
        if obsolete:
            remove_after_commit(obsolete)

    def _flush_all(self) -> None:
        if self._text is not None:
            self._text.flush()
        self._drain()

    def _drain(self) -> None:
        """Pass the buffer to the store."""
        gathered, self._buffer = self._buffer, bytearray()
        with memoryview(gathered) as octets:
            self._pass_on(octets)

    def _pass_on(self, octets: memoryview) -> None:
        if not octets:
            return
        try:
            self._opened().write(octets)
        except BaseException as error:
            # If the caller goes on regardless, the file must not end up with a hole in it.
            self._broken = error
            raise
        if self._hash is not None:
            self._hash.update(octets)

    def _opened(self) -> Upload:
        if self._upload is None:
            raise ValueError("this file is not open: write to it inside its `with` block")
        return self._upload

    def _give_up(self) -> None:
        upload, self._upload = self._upload, None
        if upload is None:
            return
        if self._state is None:
            upload.abort()
        else:
            upload.release()

    def _row(self) -> Artifact:
        key = parse_key(self._about.key)
        assert key is not None  # noqa: S101 - `create` made it
        return Artifact(
            id=key.artifact_id,
            key=self._about.key,
            name=self._about.name,
            media_type=self._about.media_type,
            size=self.size,
            sha256=self._sha256(),
            organization_id=self._about.organization_id,
            user_id=self._about.user_id,
            job_id=self._about.job_id,
            created_at=datetime.now(self._about.expires_at.tzinfo),
            expires_at=self._about.expires_at,
        )

    def _sha256(self) -> str:
        """Return the hash; a file of several legs is read again from its store."""
        found = self._hash
        if found is None:
            found = hashlib.sha256()
            for piece in self._store.read(self._about.key):
                found.update(piece)
        return found.hexdigest()
