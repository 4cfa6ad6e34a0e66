"""Addresses for the processes of the stack."""

import pytest
from click import ClickException

from app.ports import listen


def test_two_that_want_the_same_port_get_two() -> None:
    """As with `PORT=8080 make dev`: the QStash server's usual port is the app's then."""
    with listen(0) as first:
        usual = first.getsockname()[1]
        with listen(usual) as second:
            assert second.getsockname()[1] != usual
    with listen(usual) as again:
        assert again.getsockname()[1] == usual


def test_an_address_that_this_machine_does_not_have_is_named() -> None:
    with pytest.raises(ClickException, match=r"HOST=192\.0\.2\.1"):
        listen(0, "192.0.2.1")
