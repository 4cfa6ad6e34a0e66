"""The interface of a format."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from sqlalchemy import ColumnElement

from app.families.exports.entity import Column


class Stream(Protocol):
    """The file that a format writes to."""

    def write(self, data: bytes, /) -> int: ...


class Writer(ABC):
    """Writes one file: `begin`, `write` any number of times, `end`.

    If the format `continues`, another writer may continue the file, without `begin`.

    Attributes:
        suffix: Of the file's name.
        continues: Whether rows can be added to a suspended file, so that an export may take several
            deliveries.
        text: Whether compressing it makes sense.
        max_rows: How many rows the format can hold.
        rows: How many rows are already in the file.
        copy_options: How COPY writes the rows of `select`.
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
        """Return the SQL expressions of a row."""

    @abstractmethod
    def begin(self) -> None:
        """Write what comes before the rows."""

    @abstractmethod
    def write(self, rows: list[bytes]) -> None:
        """Write rows as sent by COPY, each with its line end."""

    @abstractmethod
    def end(self) -> None:
        """Write what comes after the rows."""

    def abandon(self) -> None:  # noqa: B027 - most formats hold nothing
        """Release the file, which is abandoned; never raises."""
