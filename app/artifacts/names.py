"""What a file may be called, and where a store keeps it, which no caller has a say in."""

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
    """Where a store keeps a file, as `artifacts.key` has it.

    It names the job, so that what a crash left behind tells whether somebody may still need it: by
    its id, or by `stand_in` of one that is no UUID and might be no name of a file.
    """

    artifact_id: str
    job_id: str | None

    def __str__(self) -> str:
        return f"{self.artifact_id[:2]}/{self.artifact_id}.{self.job_id or 'none'}"


def new_key(job_id: str | None) -> Key:
    return Key(str(uuid4()), None if job_id is None else stand_in(job_id))


def stand_in(job_id: str) -> str:
    """Return the UUID by which a key names a job: its own, or one made of its id."""
    is_plain = is_uuid(job_id) and job_id == job_id.lower()
    return job_id if is_plain else str(uuid5(NAMESPACE_URL, f"job:{job_id}"))


def parse_key(text: str) -> Key | None:
    """Return None for what was not made by `new_key`: a foreign file, which is left alone."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    job_id = found["job"]
    return Key(found["artifact"], None if job_id == "none" else job_id)


def check_name(name: object) -> str:
    """Return a name that every file system takes and that is not a path.

    Raises:
        InvalidArtifact: Says what is wrong with it.
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidArtifact(f"name: {name!r} is empty, or no text")
    if any(category(character) in _INVISIBLE for character in name):
        raise InvalidArtifact(f"name: {name!r} has a NUL, control or invisible character")
    if "/" in name or "\\" in name or name in {".", ".."}:
        raise InvalidArtifact(f"name: {name!r} is a path; give the file's name alone")
    if len(name.encode()) > MAX_NAME:
        raise InvalidArtifact(f"name: {name[:20]!r}… is longer than {MAX_NAME} bytes")
    return name


def check_media_type(media_type: object) -> str:
    """Return a media type that may stand in a header.

    Raises:
        InvalidArtifact: It is none, such as "csv".
    """
    is_text = isinstance(media_type, str) and len(media_type) <= MAX_MEDIA_TYPE
    if not is_text or not _MEDIA_TYPE.fullmatch(str(media_type)):
        raise InvalidArtifact(f"media_type: {media_type!r} is no media type such as text/csv")
    return str(media_type)
