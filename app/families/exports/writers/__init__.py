"""The formats: each says what PostgreSQL writes for a row, and wraps the rows in a file."""

from app.families.exports.writers.base import Writer
from app.families.exports.writers.csv import CsvWriter
from app.families.exports.writers.json import JsonLinesWriter, JsonWriter
from app.families.exports.writers.parquet import ParquetWriter
from app.families.exports.writers.xlsx import XlsxWriter

WRITERS: dict[str, type[Writer]] = {
    "csv": CsvWriter,
    "jsonl": JsonLinesWriter,
    "json": JsonWriter,
    "xlsx": XlsxWriter,
    "parquet": ParquetWriter,
}

__all__ = ["WRITERS", "Writer"]
