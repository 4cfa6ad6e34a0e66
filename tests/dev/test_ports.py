"""Addresses for the processes of the stack."""

from app.dev.ports import free_port


def test_two_that_want_the_same_port_get_two() -> None:
    """As with `PORT=8080 make dev`: the QStash server's usual port is the app's then."""
    usual = free_port()

    assert usual not in {free_port(usual), free_port(usual)}
