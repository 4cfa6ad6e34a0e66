"""Files in a folder: written under a temporary name, made durable, then renamed.

`3f/<artifact>.<job>` is a complete file; with `.part` it is being written, and locked by the
process that writes it.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import send_file
from werkzeug import Response

from app.artifacts.errors import ArtifactBusy, ArtifactLost
from app.artifacts.models import Artifact
from app.artifacts.names import parse_key
from app.artifacts.stores.base import Stray

PART = ".part"
PIECE = 1024 * 1024


class LocalStore:
    """A folder on this machine, or one mounted on all machines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, key: str, *, name: str, media_type: str) -> "LocalUpload":  # noqa: ARG002 - the row keeps them
        path = self.folder / key
        _make_folder(path.parent)
        return LocalUpload(path, _open_locked(path, os.O_CREAT | os.O_EXCL), 0)

    def resume(self, key: str, state: dict[str, Any]) -> "LocalUpload":
        path, size = self.folder / key, int(state["size"])
        with suppress(FileNotFoundError):
            # The process died after the rename, before its row was committed: undo the rename.
            path.rename(_part(path))
        try:
            file = _open_locked(path, 0)
        except FileNotFoundError as error:
            raise ArtifactLost(f"{_part(path)} is gone; start the file over") from error
        upload = LocalUpload(path, file, size)
        upload.truncate()
        return upload

    def read(self, key: str) -> Iterator[bytes]:
        try:
            file = (self.folder / key).open("rb")
        except FileNotFoundError as error:
            raise ArtifactLost(f"{self.folder / key} is gone") from error
        with file:
            while piece := file.read(PIECE):
                yield piece

    def response(self, artifact: Artifact, *, seconds: int) -> Response | None:  # noqa: ARG002 - holds no link
        try:
            response = send_file(
                self.folder / artifact.key,
                mimetype=artifact.media_type,
                as_attachment=True,
                download_name=artifact.name,
                conditional=True,
                etag=artifact.sha256,
                last_modified=artifact.created_at,
            )
        except FileNotFoundError:
            return None
        response.headers["Content-Type"] = artifact.media_type  # without what Flask adds
        return response

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            (self.folder / key).unlink(missing_ok=True)

    def strays(self) -> Iterator[Stray]:
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*"):
            place = str(path.relative_to(self.folder))
            key = place.removesuffix(PART)
            if parse_key(key) is None:
                continue
            with suppress(FileNotFoundError):  # removed, or renamed, since it was listed
                found = path.stat()
                modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
                yield Stray(key=key, place=place, size=found.st_size, modified_at=modified_at)

    def discard(self, stray: Stray) -> None:
        (self.folder / stray.place).unlink(missing_ok=True)


class LocalUpload:
    """A file being written; the lock keeps out a process that has lost the job."""

    def __init__(self, path: Path, file: int, size: int) -> None:
        self.path = path
        self.file = file
        self.size = size

    def truncate(self) -> None:
        """Go back to the size that was suspended."""
        found = os.fstat(self.file).st_size
        if found < self.size:
            self.release()
            raise ArtifactLost(f"{_part(self.path)} has {found} of {self.size} bytes; start over")
        os.ftruncate(self.file, self.size)
        os.lseek(self.file, self.size, os.SEEK_SET)

    def write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self.file, data) :]

    def suspend(self) -> dict[str, Any]:
        os.fsync(self.file)
        _sync_folder(self.path.parent)
        size = os.fstat(self.file).st_size
        self.release()
        return {"size": size}

    def complete(self) -> Sequence[str]:
        os.fsync(self.file)
        _part(self.path).rename(self.path)
        _sync_folder(self.path.parent)
        self.release()
        return ()

    def release(self) -> None:
        if self.file >= 0:
            with suppress(OSError):
                os.close(self.file)
            self.file = -1

    def abort(self) -> None:
        self.release()
        for path in (_part(self.path), self.path):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    return path.with_name(path.name + PART)


def _open_locked(path: Path, flags: int) -> int:
    file = os.open(_part(path), os.O_WRONLY | os.O_CLOEXEC | flags, 0o640)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise ArtifactBusy(f"another process is still writing {_part(path)}") from error
    return file


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make files created or renamed in a folder survive a power cut."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
