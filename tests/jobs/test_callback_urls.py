"""Where a callback may go: nobody has QStash call into a private network."""

import socket
import time
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask
from qstash import QStash

from app.config import ConfigError, load
from app.db import db
from app.jobs import enqueue, signed
from app.jobs.errors import InvalidOption
from app.jobs.publish import relay
from app.jobs.values import callback_urls
from app.jobs.values.callback_urls import check_url
from tests.support.rows import Rows

PRIVATE = [
    "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://0/",
    "http://10.0.0.5/", "http://172.16.1.1/", "http://192.168.1.1/", "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/", "http://224.0.0.1/", "http://255.255.255.255/",
    "http://[::1]/", "http://[::]/", "http://[fe80::1]/", "http://[fd00::1]/", "http://[ff02::1]/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:a00:5]/", "http://[64:ff9b::a00:5]/",
    "http://[2002:a00:5::1]/", "http://localhost/", "http://localhost./", "http://10.0.0.5.:80/",
    "http://0x7f.1./",
]  # fmt: skip
NONSENSE = ["ftp://example.com/", "//example.com/", "https://", "https:///x", "http://[::1", "x"]


@pytest.fixture(autouse=True)
def nothing_is_allowed(app: Flask) -> None:
    app.config["JOBS_CALLBACK_ALLOW"] = ""


@pytest.fixture
def in_the_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """QStash is elsewhere, as far as the check can tell; there is none in the network here."""
    monkeypatch.setattr(callback_urls, "is_on_this_machine", lambda _: False)


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have every name mean these; there are no names where tests run."""
    found: list[Any] = [(0, 0, 0, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(InvalidOption, match=r"callback: .* is in a private network"):
        check_url("callback", url)


EMBEDDED = [
    "::127.0.0.1", "::10.0.0.5", "::a00:5", "64:ff9b:1::a00:5", "64:ff9b:1:a00:0:500::",
    "64:ff9b::7f00:1", "::ffff:0:10.0.0.5", "2002:7f00:1::", "2001:0:0:0:0:0:f5ff:fffa",
    "2600::5efe:10.0.0.5", "2600::200:5efe:a00:5", "::ffff:169.254.169.254",
]  # fmt: skip
NOT_ROUTED = [
    "fec0::1", "5f00::1", "3fff::1", "2001:db8::1", "100::1", "::8.8.8.8", "2001:20::1",
    "192.0.0.9", "192.88.99.1", "198.18.0.1", "240.0.0.1", "203.0.113.9",
]  # fmt: skip


@pytest.mark.parametrize("address", [*EMBEDDED, *NOT_ROUTED])
def test_fault_D16_R24_only_what_the_internet_routes_is_public(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, address)
    with pytest.raises(InvalidOption, match="is in a private network"):
        check_url("callback", "https://hooks.example.com/")


@pytest.mark.parametrize("address", ["2002:808:808::", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_fault_D16_an_embedded_public_address_is_one(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, address)
    assert check_url("callback", "https://hooks.example.com/")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1\\.example.com/", "http://ex\u00e4mple.com/", "http://\uff11\uff12\uff17.0.0.1/",
        "http://a b/", "http://x/a b", "http://x;y/", "http://[::1%25lo]/", "http://%31%32%37.1/",
    ],
)  # fmt: skip
def test_fault_D16_a_host_that_programs_read_differently_is_refused(url: str) -> None:
    with pytest.raises(InvalidOption):
        check_url("callback", url)


OUTAGES = [
    socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"),
    OSError("no route"),
    None,
]


@pytest.fixture(params=OUTAGES, ids=repr)
def outage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name servers are away: they refuse, or are silent."""
    monkeypatch.setattr(callback_urls, "PATIENCE", 0.1)

    def fail(*_: Any, **__: Any) -> Any:
        if request.param is None:
            time.sleep(1)
            return []
        raise request.param

    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.mark.usefixtures("outage", "in_the_cloud")
def test_fault_A14_an_outage_of_names_refuses_no_enqueue(rows: Rows) -> None:
    job_id = enqueue("sample", {"action": "none"}, callback="https://hooks.example.com/x")

    assert (rows[job_id].status, rows[job_id].published_at) == ("pending", None)


@pytest.mark.usefixtures("in_the_cloud")
def test_fault_A14_D16_a_callback_is_checked_again_before_it_is_published(
    app: Flask, monkeypatch: pytest.MonkeyPatch, qstash: QStash, rows: Rows
) -> None:
    url, real = "https://hooks.example.com/x", socket.getaddrinfo
    meaning = Mock(side_effect=OUTAGES[0])
    hook = lambda host, *rest, **more: (meaning if "hooks" in host else real)(host, *rest, **more)  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", hook)
    unknown, rebound = (enqueue("sample", {"action": "none"}, callback=url) for _ in range(2))
    other = enqueue("sample", {"action": "none"})
    assert [rows[one].published_at is None for one in (unknown, rebound, other)] == [1, 1, 0]

    meaning.side_effect = None
    meaning.return_value = [(0, 0, 0, "", ("127.0.0.1", 0))]
    relay.publish_job(rebound)
    app.config["JOBS_CALLBACK_ALLOW"] = "127.0.0.1"
    relay.publish_job(unknown)

    assert rows[unknown].published_at is not None
    assert rows[rebound].dead_at is not None
    assert "is in a private network" in str(rows[rebound].error)


@pytest.mark.parametrize("url", NONSENSE)
def test_what_is_no_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidOption, match=r"is not an absolute http\(s\) URL"):
        check_url("callback", url)


def test_a_url_with_a_password_is_refused_and_not_quoted() -> None:
    with pytest.raises(InvalidOption, match="user or password") as caught:
        check_url("callback", "https://ann:hunter2@example.com/")
    assert "hunter2" not in str(caught.value)


def test_one_private_address_among_a_names_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    assert check_url("callback", "https://hooks.example.com/") == "https://hooks.example.com/"
    resolving(monkeypatch, "93.184.215.14", "10.0.0.5")
    with pytest.raises(InvalidOption, match=r"hooks.example.com is in a private network \(10"):
        check_url("callback", "https://hooks.example.com/")


@pytest.mark.usefixtures("in_the_cloud")
def test_a_host_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidOption, match=r"the host 'no.such.invalid' is unknown; correct it"):
        check_url("callback", "https://no.such.invalid/")


@pytest.mark.parametrize("host", ["no.such.invalid", "example.com"])
def test_offline_the_local_server_takes_a_callback_whose_host_nobody_knows(
    qstash: QStash, rows: Rows, host: str
) -> None:
    url = f"https://{host}/callback"

    job_id = enqueue("sample", {"action": "none"}, callback=url, failure_callback=url)

    assert rows[job_id].published_at is not None
    assert qstash.message.get(str(rows[job_id].message_id)).callback == url


@pytest.mark.parametrize("allowed", ["10.0.0.0/8", "192.168.0.1, 10.0.0.5", "hooks.internal"])
def test_the_operator_allows_networks_and_hosts(
    app: Flask, monkeypatch: pytest.MonkeyPatch, allowed: str
) -> None:
    resolving(monkeypatch, "10.0.0.5")
    app.config["JOBS_CALLBACK_ALLOW"] = allowed

    assert check_url("callback", "http://hooks.internal/")


@pytest.mark.parametrize(
    "path",
    ["/api/jobs/sample", "/api/jobs/%73ample", "/api/jobs/email?x", "/api/jobs/maintenance",
     "//api/jobs/sample", ":443/api/jobs/sample", "./api/jobs/sample"],
)  # fmt: skip
def test_a_callback_that_would_pass_for_a_delivery_is_refused(app: Flask, path: str) -> None:
    with pytest.raises(InvalidOption, match="this app's own endpoint"):
        check_url("callback", f"{app.config['BASE_URL']}{path}")


def test_an_endpoint_of_the_apps_own_that_checks_signatures_may_be_a_callback(app: Flask) -> None:
    app.add_url_rule("/done", view_func=signed(str), endpoint="done", methods=["POST"])

    assert check_url("callback", f"{app.config['BASE_URL']}/done")


@pytest.mark.parametrize("option", ["callback", "failure_callback"])
def test_an_enqueue_with_a_private_callback_records_nothing(option: Any) -> None:
    given: Any = {option: "http://169.254.169.254/"}
    with pytest.raises(InvalidOption, match=option):
        enqueue("sample", {"action": "none"}, **given)
    assert db.session.scalar(db.text("SELECT count(*) FROM job_executions")) == 0


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "http://x", "300.1.1.1", "a b"])
def test_a_wrong_allowance_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, wrong: str
) -> None:
    monkeypatch.setenv("JOBS_CALLBACK_ALLOW", wrong)
    with pytest.raises(ConfigError, match=r"JOBS_CALLBACK_ALLOW: .* is neither a host"):
        load(tmp_path)
