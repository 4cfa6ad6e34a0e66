"""One upload to an S3 store.

A small file is one request; a larger one is a multipart upload, which is invisible until it is
complete. When a file is suspended, the rest that does not fill a part is kept as a separate object.
"""

import logging
from collections.abc import Sequence
from secrets import token_hex
from typing import Any, Self

from app.artifacts.errors import ArtifactLost, StoreUnavailable
from app.artifacts.stores.s3_client import Bucket, Gone, object_headers, translate_s3_errors

log = logging.getLogger(__name__)

#: Bytes of each part but the last: 10,000 parts are allowed, so a file may have 78 GiB. All parts
#: have one size, as Cloudflare's R2 requires, and at least 5 MiB, as all stores require
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html).
PART = 8 * 1024 * 1024
TAIL = ".tail-"


class S3Upload:
    """Uses about one part of memory, whatever the size of the file."""

    def __init__(self, bucket: Bucket, key: str, *, name: str, media_type: str) -> None:
        self.bucket = bucket
        self.client = bucket.client
        self.key = key
        self.place = bucket.place(key)
        self.name = name
        self.media_type = media_type
        self.upload_id: str | None = None
        self.etags: list[str] = []
        self.tail = bytearray()
        #: The key of the object with the tail that this upload was resumed with.
        self.tail_key: str | None = None

    def write(self, data: memoryview) -> None:
        while data:
            room = PART - len(self.tail)
            self.tail += data[:room]
            data = data[room:]
            if len(self.tail) == PART:
                self._put_part()

    def suspend(self) -> dict[str, Any]:
        tail_key = f"{self.key}{TAIL}{token_hex(4)}" if self.tail else None
        if tail_key:
            with translate_s3_errors():
                self.client.put_object(**self.bucket.place(tail_key), Body=self.tail)
        return {
            "name": self.name,
            "media_type": self.media_type,
            "upload_id": self.upload_id,
            "parts": len(self.etags),
            "tail": tail_key,
            "obsolete": self.tail_key,
        }

    def resume(self, state: dict[str, Any]) -> Self:
        """Return to the suspended state; raises as `Store.resume` does."""
        try:
            self._resume_tail(state["tail"], state["obsolete"])
            if state["upload_id"]:
                self._resume_parts(state["upload_id"], state["parts"])
        except Gone as error:
            raise ArtifactLost(f"{self.name!r} is gone from the store; start it over") from error
        return self

    def complete(self) -> Sequence[str]:
        with translate_s3_errors():
            if self.upload_id is None:
                headers = object_headers(self.name, self.media_type)
                self.client.put_object(**self.place, Body=self.tail, **headers)
            else:
                self._complete_multipart()
        return [self.tail_key] if self.tail_key else []

    def release(self) -> None:
        self.tail = bytearray()

    def abort(self) -> None:
        """Remove parts and object: the answer to its completion may have been lost."""
        self.release()
        try:
            self._abort_multipart()
            with translate_s3_errors():
                self.client.delete_object(**self.place)
        except (Gone, StoreUnavailable) as error:
            log.warning("[artifacts] Upload not aborted", extra={"error": str(error)})

    def _put_part(self) -> None:
        part, self.tail = self.tail, bytearray()
        with translate_s3_errors():
            number = len(self.etags) + 1
            answer = self.client.upload_part(**self._multipart(), PartNumber=number, Body=part)
        self.etags.append(answer["ETag"])

    def _complete_multipart(self) -> None:
        if self.tail:
            self._put_part()
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(self.etags, 1)]
        self.client.complete_multipart_upload(**self._multipart(), MultipartUpload={"Parts": parts})

    def _multipart(self) -> dict[str, str]:
        """Return the id of the multipart upload, which is started when first needed."""
        if self.upload_id is None:
            headers = object_headers(self.name, self.media_type)
            answer = self.client.create_multipart_upload(**self.place, **headers)
            self.upload_id = answer["UploadId"]
        return {**self.place, "UploadId": str(self.upload_id)}

    def _abort_multipart(self) -> None:
        if self.upload_id is None:
            return
        try:
            with translate_s3_errors():
                self.client.abort_multipart_upload(**self._multipart())
        except Gone:
            return

    def _resume_tail(self, tail_key: str | None, obsolete: str | None) -> None:
        with translate_s3_errors():
            if obsolete:
                # The checkpoint that needed it has been superseded by the one we resumed from.
                self.client.delete_object(**self.bucket.place(obsolete))
            if tail_key:
                answer = self.client.get_object(**self.bucket.place(tail_key))
                self.tail = bytearray(answer["Body"].read())
        self.tail_key = tail_key

    def _resume_parts(self, upload_id: str, count: int) -> None:
        """Keep the existing parts; later ones are written again, under the same numbers."""
        try:
            with translate_s3_errors():
                self.upload_id = upload_id
                pages = self.client.get_paginator("list_parts").paginate(**self._multipart())
                etags = [part["ETag"] for page in pages for part in page.get("Parts", [])]
        except Gone:
            self._take_back(count)
            return
        if len(etags) < count:
            raise ArtifactLost(f"{self.name!r} has {len(etags)} of {count} parts; start it over")
        self.etags = etags[:count]

    def _take_back(self, count: int) -> None:
        """Start a new upload with the content of the completed file.

        The process died after completing it, before its row was committed.
        """
        self.upload_id = None
        with translate_s3_errors():
            for number in range(1, count + 1):
                answer = self.client.upload_part_copy(
                    **self._multipart(),
                    PartNumber=number,
                    CopySource=self.place,
                    CopySourceRange=f"bytes={(number - 1) * PART}-{number * PART - 1}",
                )
                self.etags.append(answer["CopyPartResult"]["ETag"])
