"""Each format, opened by a reader that is not ours, beside what the database holds, row by row."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.escape import unescape
from pyarrow import parquet
from sqlalchemy import text

from app.accounts.models import User
from app.artifacts.formulas import guarded
from app.db import db
from app.families.exports.catalog import ENTITIES
from app.families.exports.writers import WRITERS
from tests.families.exports.exporting import NASTY, Export, a_job, in_database
from tests.support.libreoffice import convert, needs_libreoffice

pytestmark = pytest.mark.usefixtures("nasty")
EACH = pytest.mark.parametrize("name", ENTITIES)


@EACH
def test_csv(export: Export, name: str) -> None:
    data = export(name).decode()
    rows = list(csv.DictReader(io.StringIO(data, newline=""), strict=True))

    assert rows == [{key: in_csv(value) for key, value in row.items()} for row in in_database(name)]


def in_csv(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            text = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
            return f"{text}+00"
        case dict():
            return guarded(compact(value))
        case str():
            return guarded(value)
    return str(value)


def compact(value: Any) -> str:
    """Write JSON as PostgreSQL does: shorter keys first."""
    ordered = dict(sorted(value.items(), key=lambda item: (len(item[0]), item[0])))
    return json.dumps(ordered, ensure_ascii=False)


def test_every_line_of_a_csv_ends_in_crlf_and_breaks_in_texts_stay(export: Export) -> None:
    data = export("users", columns=["name"])

    assert data.startswith(b"name\r\n")
    assert data.endswith(b"\r\n")
    assert b'"line\nbreaks\r\nof \r all kinds\n"\r\n' in data


def test_a_csv_begins_with_a_byte_order_mark_when_asked(export: Export) -> None:
    assert export("users", bom=True).startswith(b"\xef\xbb\xbfid,email")


def test_the_null_of_an_only_column_is_no_empty_line(export: Export) -> None:
    rows = list(csv.reader(io.StringIO(export("organizations", columns=["planName"]).decode())))

    assert rows.count([""]) == len(rows) - 3
    assert rows[-1] == ["free"]


@EACH
@pytest.mark.parametrize("to", ["jsonl", "json"])
def test_json(export: Export, name: str, to: str) -> None:
    data = export(name, to)
    rows = json.loads(data) if to == "json" else [json.loads(line) for line in lines(data)]

    assert [{key: moment(key, value) for key, value in row.items()} for row in rows] == in_database(
        name
    )


def test_a_time_that_is_no_time_is_a_text_in_json(export: Export) -> None:
    db.session.add(User(email="ever@example.com", name="%"))
    db.session.execute(text("UPDATE users SET created_at = 'infinity', updated_at = '-infinity'"))
    db.session.commit()

    asked = {
        "columns": ["createdAt", "name", "updatedAt"],
        "filters": {"email": "ever@example.com"},
    }
    assert json.loads(export("users", "jsonl", **asked)) == {
        "createdAt": "infinity",
        "name": "%",
        "updatedAt": "-infinity",
    }


def lines(data: bytes) -> Iterator[bytes]:
    return iter(data.split(b"\n")[:-1])


def moment(key: str, value: Any) -> Any:
    is_time = isinstance(value, str) and key.endswith(("At", "End"))
    return datetime.fromisoformat(value) if is_time else value


@EACH
def test_xlsx(export: Export, name: str) -> None:
    book = openpyxl.load_workbook(io.BytesIO(export(name, "xlsx")))
    header, *rows = book[name].iter_rows()
    found = [
        {head.value: cell.value for head, cell in zip(header, row, strict=True)} for row in rows
    ]

    assert all(cell.data_type != "f" for row in rows for cell in row)
    assert [{key: read(value) for key, value in row.items()} for row in found] == [
        {key: in_xlsx(value) for key, value in row.items()} for row in in_database(name)
    ]


def read(value: Any) -> Any:
    """Return a cell's value; openpyxl leaves the escapes of control characters to its caller."""
    match value:
        case str():
            return unescape(value)
        case datetime():
            return value.replace(tzinfo=UTC).timestamp()
    return value


def in_xlsx(value: Any) -> Any:
    match value:
        case datetime():
            # openpyxl rounds to the millisecond; half of one goes either way.
            return pytest.approx(value.timestamp(), abs=0.001)
        case dict():
            return compact(value)
        case int() if abs(value) > 10**15:
            return str(value)
    return value


def test_the_head_of_a_worksheet_is_bold_frozen_filtered_and_wide_enough(export: Export) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(export("users", "xlsx")))["users"]

    assert all(cell.font.bold for cell in sheet[1])
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:E{len(in_database('users')) + 1}"
    assert sheet["D2"].is_date
    assert sheet.column_dimensions["B"].width > 20


def test_a_text_longer_than_a_cell_holds_is_cut(export: Export) -> None:
    db.session.add_all([a_job("é" * 32_767), a_job("x" * 32_767), a_job("😀" * 20_000)])
    db.session.commit()

    data = export("job-executions", "xlsx", columns=["error"])
    texts = [cell.value for cell in openpyxl.load_workbook(io.BytesIO(data)).active["A"]]

    long = [text for text in texts if text and len(text) > 1000]
    assert sorted(text[-3:] for text in long) == ["xxx", "ééé", "😀😀…"]
    assert all(len(text.encode("utf-16-le")) // 2 <= 32_767 for text in long)
    assert "x" * 32_767 in long


@EACH
def test_parquet(export: Export, name: str) -> None:
    table = parquet.read_table(io.BytesIO(export(name, "parquet")))
    rows = [
        {key: json.loads(value) if key == "details" else value for key, value in row.items()}
        for row in table.to_pylist()
    ]

    assert rows == in_database(name)


def test_parquet_has_types(export: Export) -> None:
    schema = parquet.read_schema(io.BytesIO(export("webhook-events", "parquet")))

    types = {field.name: str(field.type) for field in schema}
    assert types["id"] == "int64"
    assert types["verified"] == "bool"
    assert types["receivedAt"] == "timestamp[us, tz=UTC]"
    assert types["ipAddress"] == "string"


@pytest.mark.parametrize("to", ["csv", "jsonl", "json"])
def test_gzip_holds_the_same_bytes(export: Export, to: str) -> None:
    assert gzip.decompress(export("users", to, gzip=True)) == export("users", to)


@pytest.mark.parametrize("to", WRITERS)
def test_what_matches_nothing_is_an_empty_but_valid_file(export: Export, to: str) -> None:
    data = export("users", to, filters={"email": "nobody@example.com"})

    match to:
        case "csv":
            assert data == b"id,email,name,createdAt,updatedAt\r\n"
        case "jsonl":
            assert data == b""
        case "json":
            assert json.loads(data) == []
        case "xlsx":
            assert openpyxl.load_workbook(io.BytesIO(data))["users"].max_row == 1
        case "parquet":
            assert parquet.read_table(io.BytesIO(data)).num_rows == 0


@pytest.mark.parametrize("to", WRITERS)
def test_columns_come_as_asked(export: Export, to: str) -> None:
    data = export("users", to, columns=["updatedAt", "id"], filters={"email": "=HYPERLINK(1)4"})

    found = {
        "csv": lambda: next(csv.reader(io.StringIO(data.decode()))),
        "jsonl": lambda: list(json.loads(data)),
        "json": lambda: list(json.loads(data)[0]),
        "xlsx": lambda: [c.value for c in openpyxl.load_workbook(io.BytesIO(data))["users"][1]],
        "parquet": lambda: parquet.read_schema(io.BytesIO(data)).names,
    }[to]()
    assert found == ["updatedAt", "id"]


SEPARATORS = pytest.mark.parametrize("separator", [",", ";", "\t", "|"])


@SEPARATORS
def test_fault_K11_no_cell_of_a_csv_begins_a_formula_whatever_separates_them(
    export: Export, separator: str
) -> None:
    data = export("users", columns=["id", "name", "email"]).decode()

    cells = [cell for line in data.splitlines() for cell in line.split(separator)]
    assert [cell for cell in cells if cell.strip(' "').startswith(tuple("=+-@\uff1d"))] == []


@needs_libreoffice
@pytest.mark.parametrize("separators", ["44", "59", "9", "44/59/9"])
def test_fault_K11_libreoffice_makes_no_formula_of_a_csv(
    export: Export, tmp_path: Path, separators: str
) -> None:
    file = tmp_path / "users.csv"
    file.write_bytes(export("users", columns=["id", "name", "email"]))

    opened = convert(file, "xlsx", reading=f"CSV:{separators},34,76,1,,0,false,true")

    cells = [cell for row in openpyxl.load_workbook(opened).active.iter_rows() for cell in row]
    assert len(cells) > len(NASTY)
    assert [cell.value for cell in cells if cell.data_type == "f"] == []


@pytest.mark.parametrize(
    ("error", "cell"),
    [
        ("д" * 20_000, "д" * 20_000),
        ("a" * 32_767, "a" * 32_767),
        ("a" * 32_768, "a" * 32_766 + "…"),
        ("д" * 40_000, "д" * 32_766 + "…"),
        ("😀" * 16_383 + "a", "😀" * 16_383 + "a"),
        ("a" * 32_766 + "😀", "a" * 32_766 + "…"),
        ("a" * 30_000 + "😀" * 1_384, "a" * 30_000 + "😀" * 1_382 + "…"),
    ],
    ids=["cyrillic", "just fits", "one too long", "long", "pairs", "a pair too long", "mixed"],
)
def test_fault_K12_a_text_is_cut_where_a_cell_cannot_hold_it_and_nowhere_else(
    export: Export, error: str, cell: str
) -> None:
    db.session.add(a_job(error, job_type="long"))
    db.session.commit()

    asked = {"columns": ["error"], "filters": {"jobType": "long"}}
    sheet = openpyxl.load_workbook(io.BytesIO(export("job-executions", "xlsx", **asked))).active

    assert sheet["A2"].value == cell


@needs_libreoffice
def test_fault_D12_a_workbook_keeps_the_texts_that_a_csv_loses(
    export: Export, tmp_path: Path
) -> None:
    """As docs/exports-and-reports.md says: take xlsx where texts must stay what they are."""
    db.session.add(a_job("1e5", job_type="looks like a number"))
    db.session.commit()
    asked = {"columns": ["error"], "filters": {"jobType": "looks like a number"}}
    found = {}
    for to in ("csv", "xlsx"):
        file = tmp_path / f"opened.{to}"
        file.write_bytes(export("job-executions", to, **asked))
        sheet = openpyxl.load_workbook(convert(file, "xlsx")).active
        found[to] = sheet["A2"].value

    assert found == {"csv": 100_000, "xlsx": "1e5"}
