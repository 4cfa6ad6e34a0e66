"""Names that no file may have."""

from datetime import timedelta

import pytest
from flask import Flask

from app import artifacts
from app.artifacts.names import new_key, parse_key
from tests.artifacts.stores import held


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../etc/passwd", "is a path"),
        ("/etc/passwd", "is a path"),
        ("..", "is a path"),
        ("a\\b", "is a path"),
        ("a\0b", "NUL, control"),
        ("a\r\nSet-Cookie: x", "NUL, control"),
        ("photo\u202egnp.exe", "invisible"),
        ("\ud800", "invisible"),
        ("ü" * 128, "longer than 255 bytes"),
        ("", "is empty"),
        ("  ", "is empty"),
        (None, "is empty, or not a text"),
    ],
)
def test_a_bad_name_is_refused_with_its_reason(app: Flask, name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        artifacts.create(name, media_type="text/csv")

    assert held() == []


@pytest.mark.parametrize("media_type", ["csv", "text/csv\r\nx: y", "a/" + "b" * 99, None])
def test_a_bad_media_type_is_refused(app: Flask, media_type: str) -> None:
    with pytest.raises(artifacts.InvalidArtifact, match="not a media type such as text/csv"):
        artifacts.create("a.csv", media_type=media_type)


def test_a_file_cannot_have_expired_already(app: Flask) -> None:
    with pytest.raises(artifacts.InvalidArtifact, match="not in the future"):
        artifacts.create("a.csv", media_type="text/csv", expires_in=timedelta(seconds=-1))


def test_only_our_own_keys_are_taken_for_ours() -> None:
    key = new_key("0655ac7a-6efd-4f99-b1ef-9ed999c793c1")

    assert parse_key(str(key)) == key
    assert parse_key(str(new_key(None))) is not None
    assert parse_key("ab/notes.txt") is None
    assert parse_key(f"../{key}") is None
