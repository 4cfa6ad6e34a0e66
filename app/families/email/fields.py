"""The kinds of text that an email may carry: checked before a job is enqueued, not on rendering."""

import re
from typing import Annotated
from unicodedata import normalize

from marshmallow import ValidationError, fields
from marshmallow.validate import Length

from app.jobs.kit import ascii_address

LONGEST_ADDRESS = 254

# Line breaks would break a subject's header, NUL cannot be stored, lone surrogates not encoded, and
# marks of direction turn round what stands beside them.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_UNSAFE_IN_URL = re.compile(r"[\s<>\"\\]")


def line(*, required: bool = True) -> fields.String:
    """Take a short text on one line, such as a name or a price."""
    return fields.String(
        required=required, allow_none=not required, validate=[Length(1, 200), _one_line]
    )


def link(*, required: bool = True) -> fields.Url:
    """Take an absolute http or https URL; `http://localhost:3000` is one too."""
    return fields.Url(
        required=required,
        allow_none=not required,
        schemes={"http", "https"},
        require_tld=False,
        validate=[Length(max=2048), _one_line, _quotable],
        error_messages={"invalid": "Not a valid http or https URL."},
    )


def address(*, required: bool = True) -> fields.Email:
    """Take a bare email address, of at most the 254 characters that RFC 5321 leaves for one."""
    return fields.Email(
        required=required,
        allow_none=not required,
        validate=[Length(max=LONGEST_ADDRESS), _has_a_domain],
    )


#: The types of an email's fields: `Line | None = None` is an optional one.
Line = Annotated[str, line]
Link = Annotated[str, link]
Address = Annotated[str, address]


def sendable(address: str) -> str:
    """Return an address as mail servers take it and report it: its domain in ASCII."""
    try:
        return ascii_address(address)
    except ValueError:
        return address


def comparable(address: str) -> str:
    """Return the one spelling of an address by which it is known again, however it is typed."""
    return normalize("NFC", sendable(address).lower())


def _has_a_domain(value: str) -> None:
    try:
        found = ascii_address(value)
    except ValueError as error:
        raise ValidationError(f"Not at a domain that can be looked up: {error}.") from None
    if len(found) > LONGEST_ADDRESS:
        raise ValidationError(f"Longer than {LONGEST_ADDRESS} characters in the form that travels.")


def _one_line(value: str) -> None:
    if _UNPRINTABLE.search(value):
        raise ValidationError("Must be a single line without control characters.")


def _quotable(value: str) -> None:
    """Refuse what would end a link early, in HTML or in plain text."""
    if _UNSAFE_IN_URL.search(value):
        raise ValidationError('Percent-encode spaces, quotes, backslashes, "<" and ">".')
