"""Users whom a trusted proxy names in a header."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app import create_app
from app.jobs import StartRefused
from tests.support.apps import close_connections, settings

from .pages import PREFIX

PROXY = "10.0.0.7"


@pytest.fixture
def status(app: Flask, database_url: str, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Return what asks for a page of an app behind a proxy."""
    wanted = {
        "JOBS_DASHBOARD": "auto",
        "ADMIN_PROXY": f"{PROXY}, 192.168.0.0/16",
        "ADMIN_PROXY_ROLES": "ada=admin, bob=viewer",
    }
    site = create_app(settings(database_url) | wanted, instance=tmp_path)

    def ask(headers: dict[str, str], *, address: str = PROXY, path: str = "/jobs") -> int:
        environ = {"REMOTE_ADDR": address}
        answer = site.test_client().get(
            PREFIX + path, headers=headers, environ_overrides=environ, buffered=True
        )
        return answer.status_code

    ask.site = site  # type: ignore[attr-defined]
    yield ask
    with site.app_context():
        close_connections()


def named(name: str) -> dict[str, str]:
    return {"X-Forwarded-User": name}


def test_who_is_named_has_the_role_of_the_mapping(status: Callable[..., int]) -> None:
    assert status(named("ada"), path="/new") == 200
    assert status(named("bob"), path="/new") == 403
    assert status(named("bob"), address="192.168.3.4") == 200
    assert status(named("bob"), address="::ffff:10.0.0.7") == 200


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        (named("ada"), "10.0.0.8"),
        (named("ada"), "127.0.0.1"),
        (named("ada"), ""),
        (named("ada") | {"X-Forwarded-For": PROXY}, "10.0.0.8"),
        (named("nobody"), PROXY),
        (named("ada,ada"), PROXY),
        (named("Ada"), PROXY),
        (named(""), PROXY),
        ({}, PROXY),
    ],
)
def test_nobody_else_is_let_in(
    status: Callable[..., int], headers: dict[str, str], address: str
) -> None:
    assert status(headers, address=address) == 404


def test_the_socket_s_address_counts_behind_proxy_fix(status: Any) -> None:
    """Which takes the client's address out of a header."""
    status.site.wsgi_app = ProxyFix(status.site.wsgi_app, x_for=1)

    assert status(named("ada") | {"X-Forwarded-For": PROXY}, address="10.0.0.8") == 404
    assert status(named("ada") | {"X-Forwarded-For": "1.2.3.4"}) == 200


def test_groups_give_the_greatest_of_their_roles(status: Any) -> None:
    status.site.config.update(
        ADMIN_PROXY_GROUPS="X-Groups", ADMIN_PROXY_ROLES="ops=operator,root=admin,*=viewer"
    )

    assert status(named("eve") | {"X-Groups": "a, ops,root"}, path="/new") == 200
    assert status(named("eve") | {"X-Groups": "ops"}, path="/new") == 403
    assert status(named("root"), path="/new") == 403
    assert status(named("root")) == 200


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ADMIN_PROXY", "10.0.0.300", "neither an address nor a network"),
        ("ADMIN_PROXY_USER", "X User", "is not the name of a header"),
        ("ADMIN_PROXY_ROLES", "ada=root", "not NAME=ROLE with one of the roles viewer"),
        ("ADMIN_SIGN_IN", "yes", "is none of: off, password"),
        ("ADMIN_SESSION_IDLE", "0", "is no time at all"),
    ],
)
def test_a_wrong_setting_is_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(StartRefused, match=said):
        create_app({**settings(""), name: value})
