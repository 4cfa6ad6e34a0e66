"""What a format is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from sqlalchemy import ColumnElement

from app.families.exports.entity import Column


class Stream(Protocol):
    """What a format needs of the file that it writes to."""

    def write(self, data: bytes, /) -> int: ...


class Writer(ABC):
    """Writes one file: `begin`, `write` any number of times, `end`.

    Where the format `continues`, another writer may go on with the file, without `begin`.

    Attributes:
        suffix: Of the file's name.
        continues: Whether rows can be added to a file that was left, so that an export may take
            several deliveries.
        text: Whether gzip makes sense of it.
        max_rows: How many the format holds.
        rows: How many are in the file already.
        copy_options: How COPY writes the rows that `select` asks for.
    """

    suffix: ClassVar[str]
    media_type: ClassVar[str]
    continues: ClassVar[bool] = True
    text: ClassVar[bool] = True
    max_rows: ClassVar[int | None] = None
    copy_options: str = "FORMAT csv"

    def __init__(
        self, file: Stream, title: str, columns: Sequence[Column], *, rows: int = 0
    ) -> None:
        self.file = file
        self.title = title
        self.columns = columns
        self.rows = rows

    @abstractmethod
    def select(self) -> list[ColumnElement[Any]]:
        """Return what SQL selects for a row."""

    @abstractmethod
    def begin(self) -> None:
        """Write what stands before the rows."""

    @abstractmethod
    def write(self, rows: list[bytes]) -> None:
        """Write rows as COPY sent them, each with its line end."""

    @abstractmethod
    def end(self) -> None:
        """Write what stands behind the rows."""

    def abandon(self) -> None:  # noqa: B027 - most formats hold nothing
        """Let go of what holds the file, as it is given up; never raises."""
