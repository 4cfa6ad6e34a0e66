"""Names of files, which callers choose, and their keys in a store, which they do not."""

import re
from dataclasses import dataclass
from unicodedata import category
from uuid import NAMESPACE_URL, uuid4, uuid5

from app.artifacts.errors import InvalidArtifact
from app.jobs.kit import is_uuid

MAX_NAME = 255
MAX_MEDIA_TYPE = 100

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?charset=[\w-]+)?", re.ASCII)
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_KEY = re.compile(rf"[0-9a-f]{{2}}/(?P<artifact>{_UUID})\.(?P<job>{_UUID}|none)")


@dataclass(frozen=True, slots=True)
class Key:
    """A file's key in a store, as in `artifacts.key`.

    It names the job, so that files left behind by a crash show whether a job may still need them:
    by its id, or by its `stand_in` if the id is not a UUID, which may not be a valid file name.
    """

    artifact_id: str
    job_id: str | None

    def __str__(self) -> str:
        return f"{self.artifact_id[:2]}/{self.artifact_id}.{self.job_id or 'none'}"


def new_key(job_id: str | None) -> Key:
    return Key(str(uuid4()), None if job_id is None else stand_in(job_id))


def stand_in(job_id: str) -> str:
    """Return the UUID that stands for a job in a key: its id, or one derived from it."""
    is_plain = is_uuid(job_id) and job_id == job_id.lower()
    return job_id if is_plain else str(uuid5(NAMESPACE_URL, f"job:{job_id}"))


def parse_key(text: str) -> Key | None:
    """Return None for anything not made by `new_key`: foreign files are left alone."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    job_id = found["job"]
    return Key(found["artifact"], None if job_id == "none" else job_id)


def check_name(name: object) -> str:
    """Return a name that is valid on every file system and not a path.

    Raises:
        InvalidArtifact: The message says what is wrong.
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidArtifact(f"name: {name!r} is empty, or not a text")
    if any(category(character) in _INVISIBLE for character in name):
        raise InvalidArtifact(f"name: {name!r} has a NUL, control or invisible character")
    if "/" in name or "\\" in name or name in {".", ".."}:
        raise InvalidArtifact(f"name: {name!r} is a path; give only the file's name")
    if len(name.encode()) > MAX_NAME:
        raise InvalidArtifact(f"name: {name[:20]!r}… is longer than {MAX_NAME} bytes")
    return name


def check_media_type(media_type: object) -> str:
    """Return a media type that is valid in a header.

    Raises:
        InvalidArtifact: It is not one, for example "csv".
    """
    is_text = isinstance(media_type, str) and len(media_type) <= MAX_MEDIA_TYPE
    if not is_text or not _MEDIA_TYPE.fullmatch(str(media_type)):
        raise InvalidArtifact(f"media_type: {media_type!r} is not a media type such as text/csv")
    return str(media_type)
