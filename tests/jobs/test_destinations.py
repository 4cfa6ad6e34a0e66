"""Where a callback may go: nobody has QStash call into a private network."""

import socket
from typing import Any

import pytest
from flask import Flask

from app.config import ConfigError, load
from app.db import db
from app.jobs import enqueue, signed
from app.jobs.destinations import check
from app.jobs.errors import InvalidOption

PRIVATE = [
    "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://0/",
    "http://10.0.0.5/", "http://172.16.1.1/", "http://192.168.1.1/", "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/", "http://224.0.0.1/", "http://255.255.255.255/",
    "http://[::1]/", "http://[::]/", "http://[fe80::1]/", "http://[fd00::1]/", "http://[ff02::1]/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:a00:5]/", "http://[64:ff9b::a00:5]/",
    "http://[2002:a00:5::1]/", "http://localhost/",
]  # fmt: skip
NONSENSE = ["ftp://example.com/", "//example.com/", "https://", "https:///x", "http://[::1", "x"]


@pytest.fixture(autouse=True)
def nothing_is_allowed(app: Flask) -> None:
    app.config["JOBS_CALLBACK_ALLOW"] = ""


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have every name mean these; there are no names where tests run."""
    found: list[Any] = [(0, 0, 0, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(InvalidOption, match=r"callback: .* is in a private network"):
        check("callback", url)


@pytest.mark.parametrize("url", NONSENSE)
def test_what_is_no_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidOption, match=r"is not an absolute http\(s\) URL"):
        check("callback", url)


def test_a_url_with_a_password_is_refused_and_not_quoted() -> None:
    with pytest.raises(InvalidOption, match="user or password") as caught:
        check("callback", "https://ann:hunter2@example.com/")
    assert "hunter2" not in str(caught.value)


def test_one_private_address_among_a_names_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    assert check("callback", "https://hooks.example.com/") == "https://hooks.example.com/"
    resolving(monkeypatch, "93.184.215.14", "10.0.0.5")
    with pytest.raises(InvalidOption, match=r"hooks.example.com is in a private network \(10"):
        check("callback", "https://hooks.example.com/")


def test_a_host_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidOption, match=r"the host 'no.such.invalid' is unknown"):
        check("callback", "https://no.such.invalid/")


@pytest.mark.parametrize("allowed", ["10.0.0.0/8", "192.168.0.1, 10.0.0.5", "hooks.internal"])
def test_the_operator_allows_networks_and_hosts(
    app: Flask, monkeypatch: pytest.MonkeyPatch, allowed: str
) -> None:
    resolving(monkeypatch, "10.0.0.5")
    app.config["JOBS_CALLBACK_ALLOW"] = allowed

    assert check("callback", "http://hooks.internal/")


@pytest.mark.parametrize(
    "path",
    ["/api/jobs/sample", "/api/jobs/%73ample", "/api/jobs/email?x", "/api/jobs/maintenance"],
)
def test_a_callback_that_would_pass_for_a_delivery_is_refused(app: Flask, path: str) -> None:
    with pytest.raises(InvalidOption, match="this app's own endpoint"):
        check("callback", f"{app.config['BASE_URL']}{path}")


def test_an_endpoint_of_the_apps_own_that_checks_signatures_may_be_a_callback(app: Flask) -> None:
    app.add_url_rule("/done", view_func=signed(str), endpoint="done", methods=["POST"])

    assert check("callback", f"{app.config['BASE_URL']}/done")


@pytest.mark.parametrize("option", ["callback", "failure_callback"])
def test_an_enqueue_with_a_private_callback_records_nothing(option: Any) -> None:
    with pytest.raises(InvalidOption, match=option):
        enqueue("sample", {"action": "none"}, **{option: "http://169.254.169.254/"})
    assert db.session.scalar(db.text("SELECT count(*) FROM job_executions")) == 0


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "http://x", "300.1.1.1", "a b"])
def test_a_wrong_allowance_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, wrong: str
) -> None:
    monkeypatch.setenv("JOBS_CALLBACK_ALLOW", wrong)
    with pytest.raises(ConfigError, match=r"JOBS_CALLBACK_ALLOW: .* is neither a host"):
        load(tmp_path)
