"""One leg of an export: from a position to the end, or until time runs out."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from gzip import GzipFile
from typing import Any

from app.artifacts import ArtifactFile
from app.db import db
from app.families.exports.copying import Block, copy, reader
from app.families.exports.payload import ExportData
from app.families.exports.selection import Selection
from app.families.exports.writers import Writer
from app.families.exports.writers.base import Stream
from app.families.exports.writers.csv import BOM
from app.jobs import Job, PermanentError

#: Rows between two checks of the time: at most a second's work.
CHUNK = 50_000
#: The part of a delivery's time reserved for the last chunk, and for continuing.
RESERVE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far an export has come; one leg passes it to the next.

    Attributes:
        after: The last key read so far.
        last: The last key to read.
        rows: Rows in the file.
        total: Rows that matched at the start.
        file: The suspended file, between legs.
    """

    after: int
    last: int
    rows: int
    total: int
    file: dict[str, Any] | None = None

    @property
    def whole(self) -> bool:
        return self.after >= self.last


class Leg:
    def __init__(self, payload: ExportData, job: Job, chosen: Selection) -> None:
        self._payload = payload
        self._job = job
        self._chosen = chosen
        self._reserve = RESERVE * job.deadline

    def start(self) -> Position:
        """Return the position at which an export starts.

        Raises:
            PermanentError: More rows than the format can hold.
        """
        extent = self._chosen.extent(db.session.connection())
        self._check_fits(extent.total)
        return Position(after=0, last=extent.last, rows=0, total=extent.total)

    def write(self, file: ArtifactFile, position: Position) -> Position:
        """Write rows, at least one chunk, and return the new position.

        Raises:
            PermanentError: Time ran out, and the format cannot be continued.
        """
        with (
            reader(db.session.connection()) as source,
            self._stream(file) as stream,
            self._writer(stream, position) as writer,
        ):
            while not position.whole:
                position = self._write_chunk(source, writer, position)
                if self._job.deadline < self._reserve:
                    break
            if position.whole:
                writer.end()
            elif not writer.continues:
                raise PermanentError(self._too_large(position))
        return position

    def _stream(self, file: ArtifactFile) -> AbstractContextManager[Stream]:
        """Compress if requested; each leg's part is a separate gzip member."""
        if self._payload.gzip:
            return GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
        return nullcontext(file)

    @contextmanager
    def _writer(self, stream: Stream, position: Position) -> Iterator[Writer]:
        payload = self._payload
        writer = payload.writer(stream, payload.entity_type, payload.chosen, rows=position.rows)
        if position.file is None:
            stream.write(BOM if payload.bom else b"")
            writer.begin()
        try:
            yield writer
        except BaseException:
            writer.abandon()
            raise

    def _write_chunk(self, source: Any, writer: Writer, position: Position) -> Position:
        done, after, last = position.rows, position.after, position.last
        upto = self._chosen.chunk_end(db.session.connection(), after, last, rows=CHUNK)

        def take(block: Block) -> None:
            nonlocal done
            writer.write(block)
            done += len(block)
            self._job.progress(done, max(done, position.total), self._payload.entity_type)

        copy(
            source,
            self._chosen.rows(writer.select(), after, upto),
            take,
            options=writer.copy_options,
            timeout=self._job.deadline,
        )
        self._check_fits(done)
        return replace(position, after=upto, rows=done)

    def _check_fits(self, rows: int) -> None:
        limit = self._payload.writer.max_rows
        if limit is not None and rows > limit:
            raise PermanentError(
                f"{rows:,} rows do not fit into {self._payload.format}, which holds {limit:,}:"
                " narrow the filters, or export as csv"
            )

    def _too_large(self, position: Position) -> str:
        return (
            f"only {position.rows:,} of {position.total:,} rows could be written in the time of one"
            f" delivery, and {self._payload.format} cannot be continued in another: export as"
            " csv or jsonl, narrow the filters, or enqueue with a longer timeout"
        )
