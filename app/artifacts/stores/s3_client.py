"""The client for S3 and compatible stores, with its errors in one line."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize
from urllib.parse import quote

from werkzeug.http import dump_options_header

from app.artifacts.errors import MissingExtra, StoreUnavailable

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError as error:
    raise MissingExtra(
        "ARTIFACTS_STORE is an s3:// URL, which needs the extra s3: pip install '.[s3]'"
    ) from error

CONNECT_TIMEOUT, READ_TIMEOUT, ATTEMPTS = 5, 30, 3

_GONE = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or a folder in one: its name ends with a slash and is the prefix of every key."""

    client: Any
    name: str
    folder: str

    def place(self, key: str) -> dict[str, str]:
        """Return the client's arguments for an object."""
        return {"Bucket": self.name, "Key": self.folder + key}


class Gone(Exception):
    """The object or the upload does not exist."""


def make_client(settings: Mapping[str, Any]) -> Any:
    """Return a thread-safe client, configured by ARTIFACTS_S3_… ."""
    endpoint = settings["ARTIFACTS_S3_ENDPOINT"] or None
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        # Most other stores have no regions, but a signature must name one.
        region_name=settings["ARTIFACTS_S3_REGION"] or ("us-east-1" if endpoint else None),
        aws_access_key_id=settings["ARTIFACTS_S3_ACCESS_KEY_ID"] or None,
        aws_secret_access_key=settings["ARTIFACTS_S3_SECRET_ACCESS_KEY"] or None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint else "auto"},
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            # Not all other stores know Amazon's newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    client.meta.events.register("before-call.s3.DeleteObjects", _add_md5)
    return client


def _add_md5(params: dict[str, Any], **_: Any) -> None:
    """Send the digest that S3's protocol required when other stores implemented it.

    boto3 sends only a CRC32, whatever its checksum settings; a store that requires the older digest
    answers MissingContentMD5, and no file would ever be deleted.
    """
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = b64encode(digest).decode()


@contextmanager
def translate_s3_errors() -> Iterator[None]:
    """Turn the SDK's errors into ours.

    Raises:
        Gone: No such object or upload.
        StoreUnavailable: Anything else.
    """
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _GONE:
            raise Gone from error
        raise StoreUnavailable(f"the S3 store refused: {error}") from error
    except BotoCoreError as error:
        raise StoreUnavailable(f"the S3 store cannot be reached: {error}") from error


def object_headers(name: str, media_type: str) -> dict[str, str]:
    """Return the headers that the store sends when a file is downloaded."""
    # The ASCII name is for clients older than RFC 5987.
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode()
    names = {"filename": plain, "filename*": f"UTF-8''{quote(name, safe='')}"}
    return {
        "ContentType": media_type,
        "ContentDisposition": dump_options_header("attachment", names),
        "CacheControl": "private, no-store",
    }
