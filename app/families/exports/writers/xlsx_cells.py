"""The cells of a worksheet as XML, written by PostgreSQL.

Limits of a cell: https://support.microsoft.com/office/excel-specifications-and-limits; how
characters that XML does not allow are written: ECMA-376 part 1, 22.9.2.19 (ST_Xstring).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.families.exports.entity import Column, Kind

#: The cell format of timestamps: the first that `xlsx` adds to its workbook.
DATE_STYLE = 1
#: UTF-16 units that a cell can hold: two for each character beyond U+FFFF, one for any other.
MAX_UNITS = 32_767
#: Integers up to this are exact in a spreadsheet's doubles.
MAX_EXACT = 999_999_999_999_999

_CONTROL = r"[\u0001-\u0008\u000b-\u001f\ufffe\uffff]"
_SPECIAL = _CONTROL + "|_x[0-9A-Fa-f]{4}_"
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\n", "&#10;"))
_DATES = datetime(1900, 3, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_EPOCH_DAY, _SECONDS_PER_DAY = 25_569, 86_400


def row(columns: Sequence[Column]) -> ColumnElement[Any]:
    """Return one row; cells need no references, because they are in order."""
    return func.concat("<row>", *(_cell(column) for column in columns), "</row>")


def _cell(column: Column) -> ColumnElement[Any]:
    write = _WRITE.get(column.kind, _text)
    return case((column.expression.is_(None), "<c/>"), else_=write(column.expression))


def _integer(value: ColumnElement[Any]) -> ColumnElement[Any]:
    number = func.concat("<c><v>", value, "</v></c>")
    return case(
        (cast(value, BigInteger).between(-MAX_EXACT, MAX_EXACT), number), else_=_text(value)
    )


def _timestamp(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Write a real date in UTC, or text if it is outside a spreadsheet's calendar."""
    days = func.date_part("epoch", value) / _SECONDS_PER_DAY + _EPOCH_DAY
    date = func.concat(f'<c s="{DATE_STYLE}"><v>', days, "</v></c>")
    return case((value.between(*_DATES), date), else_=_text(value))


def _boolean(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.concat('<c t="b"><v>', case((value, "1"), else_="0"), "</v></c>")


def _text(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Write an inline string, which is never a formula, number or link."""
    text = _cut(cast(value, Text))
    plain: ColumnElement[Any] = case(
        (text.regexp_match(_SPECIAL), _without_special(text)), else_=text
    )
    escaped = reduce(_replaced, _ENTITIES, plain)
    opening = '<c t="inlineStr"><is><t xml:space="preserve">'
    return func.concat(opening, escaped, "</t></is></c>")


def _replaced(text: ColumnElement[Any], pair: tuple[str, str]) -> ColumnElement[Any]:
    return func.replace(text, *pair)


def _cut(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """Truncate a text with "…" if a cell cannot hold it, without splitting surrogate pairs."""
    beginning = func.left(text, MAX_UNITS - 1)
    cut = func.concat(func.left(text, MAX_UNITS - 1 - _pairs(beginning)), "…")
    # A text never has more units than bytes in UTF-8, so most need no counting.
    may_be_long = func.octet_length(text) > MAX_UNITS
    return case(
        (may_be_long, case((func.char_length(text) + _pairs(text) > MAX_UNITS, cut), else_=text)),
        else_=text,
    )


def _pairs(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """Count the characters that are two units in UTF-16."""
    rest = func.regexp_replace(text, r"[\U00010000-\U0010ffff]", "", "g")
    return func.char_length(text) - func.char_length(rest)


def _without_special(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """Write control characters as `_x0001_`, and escape texts that look like that.

    It goes character by character, which is slow, so only for texts that need it.
    """
    itself = func.regexp_replace(text, "_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", "g")
    split = func.regexp_split_to_table(itself, "").table_valued("one", with_ordinality="n")
    split = split.render_derived()
    character = split.c.one
    code = func.lpad(func.upper(func.to_hex(func.ascii(character))), 4, "0")
    is_control = character.regexp_match(_CONTROL)
    written = case((is_control, func.concat("_x", code, "_")), else_=character)
    joined = func.string_agg(written, aggregate_order_by(literal(""), split.c.n))
    return select(joined).select_from(split).scalar_subquery()


_WRITE = {Kind.INTEGER: _integer, Kind.TIMESTAMP: _timestamp, Kind.BOOLEAN: _boolean}
