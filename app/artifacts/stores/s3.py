"""Files in S3, or in any store with its protocol, such as R2, MinIO or Ceph."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlsplit

from flask import redirect, request
from werkzeug import Response

from app.artifacts.errors import ArtifactLost, StoreUnavailable
from app.artifacts.models import Artifact
from app.artifacts.names import parse_key
from app.artifacts.stores.base import Stray
from app.artifacts.stores.s3_client import Bucket, Gone, make_client, translate_s3_errors
from app.artifacts.stores.s3_upload import TAIL, S3Upload

PIECE = 1024 * 1024
BATCH = 1000  # maximum keys per delete request
LINK_SECONDS = 300

_UPLOAD = "?uploadId="
_TAIL = re.compile(re.escape(TAIL) + "[0-9a-f]{8}$")


class S3Store:
    """Complete files, parts in multipart uploads, and the tails of suspended uploads."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.client = bucket.client

    @classmethod
    def from_url(cls, url: str, settings: Mapping[str, Any]) -> Self:
        """Return the store for a URL such as `s3://bucket/folder`, with ARTIFACTS_S3_… settings."""
        parts = urlsplit(url)
        folder = parts.path.strip("/")
        client = make_client(settings)
        return cls(Bucket(client, parts.netloc, f"{folder}/" if folder else ""))

    def begin(self, key: str, *, name: str, media_type: str) -> S3Upload:
        return S3Upload(self.bucket, key, name=name, media_type=media_type)

    def resume(self, key: str, state: dict[str, Any]) -> S3Upload:
        upload = self.begin(key, name=state["name"], media_type=state["media_type"])
        return upload.resume(state)

    def read(self, key: str) -> Iterator[bytes]:
        try:
            with translate_s3_errors():
                body = self.client.get_object(**self.bucket.place(key))["Body"]
                yield from body.iter_chunks(PIECE)
        except Gone as error:
            raise ArtifactLost(f"{key} is gone from the store") from error

    def response(self, artifact: Artifact, *, seconds: int) -> Response | None:
        """Redirect to the store, whose signed URLs are each for one method."""
        method = "head_object" if request.method == "HEAD" else "get_object"
        url = self.client.generate_presigned_url(
            method, Params=self.bucket.place(artifact.key), ExpiresIn=min(seconds, LINK_SECONDS)
        )
        return redirect(url)

    def delete(self, keys: Sequence[str]) -> None:
        self._delete([self.bucket.folder + key for key in keys])

    def strays(self) -> Iterator[Stray]:
        where = {"Bucket": self.bucket.name, "Prefix": self.bucket.folder}
        with translate_s3_errors():
            pages = self.client.get_paginator("list_objects_v2").paginate(**where)
            yield from self._strays(
                (one["Key"], _TAIL.sub("", one["Key"]), one["LastModified"], one["Size"])
                for page in pages
                for one in page.get("Contents", [])
            )
            pages = self.client.get_paginator("list_multipart_uploads").paginate(**where)
            yield from self._strays(
                (f"{one['Key']}{_UPLOAD}{one['UploadId']}", one["Key"], one["Initiated"], None)
                for page in pages
                for one in page.get("Uploads", [])
            )

    def discard(self, stray: Stray) -> None:
        key, _, upload_id = stray.place.partition(_UPLOAD)
        if not upload_id:
            self._delete([key])
            return
        try:
            with translate_s3_errors():
                self.client.abort_multipart_upload(
                    Bucket=self.bucket.name, Key=key, UploadId=upload_id
                )
        except Gone:
            return

    def _delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), BATCH):
            objects = [{"Key": key} for key in keys[start : start + BATCH]]
            with translate_s3_errors():
                answer = self.client.delete_objects(
                    Bucket=self.bucket.name, Delete={"Objects": objects, "Quiet": True}
                )
            if answer.get("Errors"):
                raise StoreUnavailable(f"the S3 store did not delete {answer['Errors'][0]}")

    def _strays(self, found: Iterable[tuple[str, str, datetime, int | None]]) -> Iterator[Stray]:
        for place, key, modified_at, size in found:
            own = key.removeprefix(self.bucket.folder)
            if parse_key(own) is not None:
                yield Stray(key=own, place=place, size=size, modified_at=modified_at)
