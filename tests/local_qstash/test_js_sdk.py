"""Every noun of the official JavaScript SDK: js/*.test.mjs, run by Node against a server."""

import os
import subprocess

import pytest

from app.local_qstash.testing import LocalQStash
from tests.support.node_sdk import SUITE

_SECONDS = 60  # for the tests of one noun, which take about one


@pytest.mark.parametrize("noun", sorted(path.name for path in SUITE.glob("*.test.mjs")))
def test_the_javascript_sdk_cannot_tell_the_server_from_qstash(
    node: str, server: LocalQStash, noun: str
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "QSTASH_URL": server.url,
        "QSTASH_TOKEN": server.token,
        "QSTASH_CURRENT_SIGNING_KEY": server.current_signing_key,
        "QSTASH_NEXT_SIGNING_KEY": server.next_signing_key,
    }
    done = subprocess.run(  # noqa: S603 - Node with our own file
        [node, noun], cwd=SUITE, env=environment, capture_output=True, text=True,
        timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
