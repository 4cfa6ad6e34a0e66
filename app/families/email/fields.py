"""The types of an email's fields, checked before a job is enqueued rather than on rendering."""

import re
from typing import Annotated
from unicodedata import normalize

from marshmallow import ValidationError, fields
from marshmallow.validate import Length

from app.jobs.kit import ascii_address

LONGEST_ADDRESS = 254

# Line breaks would break a subject's header, NUL cannot be stored, lone surrogates cannot be
# encoded, and direction marks reorder the text around them.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_UNSAFE_IN_URL = re.compile(r"[\s<>\"\\]")


def line(*, required: bool = True) -> fields.String:
    """Accept a short text on one line, such as a name or a price."""
    return fields.String(
        required=required, allow_none=not required, validate=[Length(1, 200), _one_line]
    )


def link(*, required: bool = True) -> fields.Url:
    """Accept an absolute http or https URL, including `http://localhost:3000`."""
    return fields.Url(
        required=required,
        allow_none=not required,
        schemes={"http", "https"},
        require_tld=False,
        validate=[Length(max=2048), _one_line, _quotable],
        error_messages={"invalid": "Not a valid http or https URL."},
    )


def address(*, required: bool = True) -> fields.Email:
    """Accept a bare email address of at most 254 characters, which is RFC 5321's limit."""
    return fields.Email(
        required=required,
        allow_none=not required,
        validate=[Length(max=LONGEST_ADDRESS), _has_a_domain],
    )


#: Types for an email's fields; `Line | None = None` makes one optional.
Line = Annotated[str, line]
Link = Annotated[str, link]
Address = Annotated[str, address]


def sendable(address: str) -> str:
    """Return an address as mail servers accept and report it: with its domain in ASCII."""
    try:
        return ascii_address(address)
    except ValueError:
        return address


def comparable(address: str) -> str:
    """Return the canonical spelling of an address, however it was typed."""
    return normalize("NFC", sendable(address).lower())


def _has_a_domain(value: str) -> None:
    try:
        found = ascii_address(value)
    except ValueError as error:
        raise ValidationError(f"The domain cannot be looked up: {error}.") from None
    if len(found) > LONGEST_ADDRESS:
        raise ValidationError(f"Longer than {LONGEST_ADDRESS} characters in ASCII.")


def _one_line(value: str) -> None:
    if _UNPRINTABLE.search(value):
        raise ValidationError("Must be a single line without control characters.")


def _quotable(value: str) -> None:
    """Reject characters that would end a link early, in HTML or in plain text."""
    if _UNSAFE_IN_URL.search(value):
        raise ValidationError('Percent-encode spaces, quotes, backslashes, "<" and ">".')
