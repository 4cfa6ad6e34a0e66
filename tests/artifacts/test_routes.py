"""Links: who may follow them, for how long, and what they answer."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import artifacts
from app.db import db

Make = Callable[..., artifacts.Artifact]


@pytest.fixture
def get(client: FlaskClient) -> Callable[..., TestResponse]:
    """Follow a link, or a path."""

    def follow(url: str, method: str = "GET", **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.open(urlsplit(url).path, method=method, headers=named, buffered=True)

    return follow


Get = Callable[..., TestResponse]


def test_a_link_downloads_the_file_under_its_name(made: Make, get: Get) -> None:
    link = artifacts.link(made('Zürich "1".csv', media_type="text/csv; charset=utf-8"))
    answer = get(link)

    assert link.startswith("https://app.example.com/api/artifacts/")
    assert (answer.status_code, answer.data) == (200, b"id\r\n1\r\n")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="Zurich \\"1\\".csv"; filename*=UTF-8\'\'Z%C3%BCrich%20%221%22.csv'
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_head_tells_the_size(made: Make, get: Get) -> None:
    answer = get(artifacts.link(made()), "HEAD")

    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", "7")


def test_a_download_is_continued(made: Make, get: Get) -> None:
    artifact = made(data=b"0123456789")
    link, tag = artifacts.link(artifact), f'"{artifact.sha256}"'

    part = get(link, Range="bytes=4-6", If_Range=tag)
    assert (part.status_code, part.data) == (206, b"456")
    assert (part.headers["Content-Range"], part.headers["ETag"]) == ("bytes 4-6/10", tag)
    assert get(link, Range="bytes=4-6", If_Range='"other"').status_code == 200
    assert get(link, Range="bytes=10-").status_code == 416
    assert get(link, If_None_Match=tag).status_code == 304


def test_a_page_cannot_run_scripts_in_our_origin(made: Make, get: Get) -> None:
    answer = get(artifacts.link(made("r.html", media_type="text/html; charset=utf-8")))

    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "x" + t, lambda _: "x", str.upper])
def test_a_tampered_link_is_refused(made: Make, get: Get, change: Callable[[str], str]) -> None:
    path, _, token = artifacts.link(made()).rpartition("/")
    answer = get(f"{path}/{change(token)}")

    assert answer.status_code == 403
    assert answer.content_type == "application/problem+json"
    assert b"users" not in answer.data


def test_another_apps_link_is_refused(app: Flask, made: Make, get: Get) -> None:
    link = artifacts.link(made())
    app.config["SECRET_KEY"] = "another"

    assert get(link).status_code == 403


def test_a_link_of_another_organization_is_refused(made: Make, get: Get) -> None:
    artifact = made(organization_id=3)
    link = artifacts.link(artifact)
    artifact.organization_id = 4
    db.session.commit()

    assert get(link).status_code == 403


def test_a_link_expires(app: Flask, made: Make, get: Get) -> None:
    link = artifacts.link(made(expires_in=timedelta(days=30)))
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=23), tick=False):
        assert get(link).status_code == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25), tick=False):
        answer = get(link)

    assert answer.status_code == 410
    assert b"users" not in answer.data


def test_a_link_ends_with_its_file(made: Make, get: Get) -> None:
    link = artifacts.link(made(expires_in=timedelta(hours=1)), expires_in=timedelta(days=2))
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2), tick=False):
        assert get(link).status_code == 410


def test_deleting_a_file_revokes_its_links(made: Make, get: Get) -> None:
    artifact = made()
    link = artifacts.link(artifact)
    artifacts.delete(artifact)
    db.session.commit()

    assert get(link).status_code == 410


def test_a_file_that_vanished_from_its_folder_is_gone(app: Flask, made: Make, get: Get) -> None:
    link = artifacts.link(made())
    artifacts.remove_orphans(timedelta(0))
    assert get(link).status_code == 200
    for path in artifacts.stores.local_folder().rglob("*.none"):
        path.unlink()

    assert get(link).status_code == 410


def test_s3_hands_the_file_out_itself(on_s3: Flask, made: Make, get: Get) -> None:
    link = artifacts.link(made("Zürich.csv", media_type="text/csv; charset=utf-8"))
    answer = get(link)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "private, no-store")

    with urlopen(Request(answer.location, headers={"Range": "bytes=1-2"})) as found:  # noqa: S310 - ours
        assert (found.status, found.read()) == (206, b"d\r")
        assert found.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert "filename*=UTF-8''Z%C3%BCrich.csv" in found.headers["Content-Disposition"]
    head = get(link, "HEAD").location
    with urlopen(Request(head, method="HEAD")) as found:  # noqa: S310 - ours
        assert found.headers["Content-Length"] == "7"


def test_s3_refuses_what_it_hands_out_under_another_name(
    on_s3: Flask, made: Make, get: Get
) -> None:
    """The signature counts, and so does its end."""
    location = get(artifacts.link(made())).location

    assert "X-Amz-Signature=" in location
    assert "X-Amz-Expires=300" in location
