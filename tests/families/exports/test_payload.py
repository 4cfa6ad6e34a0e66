"""What is refused before anything is recorded: field by field, with what to do."""

from typing import Any

import pytest
from marshmallow import ValidationError

from app.families.exports.payload import ExportData, ExportDataSchema
from app.jobs import InvalidPayload, enqueue

GOOD = {"entityType": "users", "format": "csv"}


def errors(**changes: Any) -> Any:
    with pytest.raises(ValidationError) as raised:
        ExportDataSchema().load({**GOOD, **changes})
    return raised.value.messages


def test_an_empty_payload_is_told_all_that_it_lacks() -> None:
    with pytest.raises(ValidationError) as raised:
        ExportDataSchema().load({})
    assert set(raised.value.messages_dict) == {"entityType", "format"}


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"entityType": "user"}, "entityType", "Unknown entity 'user'; did you mean: users?"),
        ({"entityType": "job_executions"}, "entityType", "did you mean: job-executions?"),
        ({"format": "xls"}, "format", "Unknown format 'xls'; did you mean: xlsx"),
        ({"columns": ["id", "mail"]}, "columns", "Unknown column 'mail'; did you mean: email"),
        ({"columns": ["id", "id"]}, "columns", "only once"),
        ({"columns": []}, "columns", "Shorter than minimum length 1."),
        ({"gzip": True, "format": "xlsx"}, "gzip", "xlsx is already compressed"),
        ({"gzip": "yes"}, "gzip", "Not a valid boolean."),
        ({"bom": True, "format": "jsonl"}, "bom", "Only a CSV"),
        ({"filters": []}, "filters", "Not a valid mapping type."),
        ({"colums": ["id"]}, "colums", "Unknown field; did you mean: columns?"),
    ],
)
def test_a_field_that_is_wrong(changes: dict[str, Any], field: str, said: str) -> None:
    messages = errors(**changes)

    assert list(messages) == [field]
    assert said in messages[field][0]


@pytest.mark.parametrize(
    ("entity", "filters", "said"),
    [
        ("users", {"status": "active"}, "Unknown filter of users 'status'; known: created"),
        ("users", {"createAfter": "2026-01-01"}, "did you mean: createdAfter"),
        ("users", {"createdAfter": "yesterday"}, "Must be a date such as 2026-01-31"),
        ("users", {"createdAfter": "2026-02-30"}, "Must be a date"),
        ("users", {"createdAfter": "2026-01-01T12:00:00"}, "a timestamp with a zone"),
        ("users", {"createdAfter": "0001-01-01T00:00:00+09:00"}, "Must be a date"),
        ("users", {"createdAfter": 20260101}, "Must be a date"),
        ("users", {"createdAfter": None}, "Must be a date"),
        ("users", {"organizationId": "7"}, "Must be a positive integer."),
        ("users", {"organizationId": True}, "Must be a positive integer."),
        ("users", {"organizationId": 2**63}, "Must be a positive integer."),
        ("users", {"organizationId": -1}, "Must be a positive integer."),
        ("users", {"email": ""}, "Must be a text"),
        ("users", {"email": "a\x00b"}, "control characters"),
        ("users", {"email": "\ud800"}, "control characters"),
        ("memberships", {"role": "boss"}, "Unknown value 'boss'; known: owner, admin"),
        ("job-executions", {"status": "complete"}, "did you mean: completed"),
        ("organizations", {"status": "cancelled"}, "did you mean: canceled?"),
    ],
)
def test_a_filter_that_is_wrong(entity: str, filters: dict[str, Any], said: str) -> None:
    messages = errors(entityType=entity, filters=filters)

    assert said in messages["filters"][next(iter(filters))][0]


@pytest.mark.parametrize("before", ["2026-01-31", "2026-02-01", "2026-02-01T08:59:59+09:00"])
def test_an_end_before_its_start(before: str) -> None:
    messages = errors(filters={"createdAfter": "2026-02-01", "createdBefore": before})

    assert messages["filters"] == {"createdBefore": ["Must be later than createdAfter."]}


def test_all_that_is_wrong_is_told_at_once() -> None:
    messages = errors(columns=["x"], filters={"createdAfter": "x", "role": "y"})

    assert set(messages) == {"columns", "filters"}
    assert set(messages["filters"]) == {"createdAfter", "role"}


def test_parquet_without_its_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.families.exports.payload.find_spec", lambda _: None)

    assert "pip install '.[parquet]'" in errors(format="parquet")["format"][0]
    assert ExportDataSchema().load(GOOD) == ExportData("users", "csv")


def test_enqueue_refuses_what_the_schema_refuses(app: object) -> None:
    with pytest.raises(InvalidPayload, match=r"filters\.createdAfter: Must be a date"):
        enqueue("export-data", {**GOOD, "filters": {"createdAfter": "soon"}})
