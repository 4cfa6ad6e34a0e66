"""The disk is full, or the store goes away, in the middle of a file."""

import hashlib
import resource
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIG_IGN, SIGXFSZ, signal

import pytest
from flask import Flask

from app import artifacts
from app.artifacts.stores import current_store, local_folder
from app.artifacts.stores.s3 import S3Store
from app.artifacts.stores.s3_client import Bucket, make_client
from app.db import db
from tests.artifacts.stores import held, s3_server, s3_settings
from tests.support.http_server import HttpServer, Reply

MB = 1024 * 1024


@contextmanager
def room_for(octets: int) -> Iterator[None]:
    """Let files grow no further, as a full disk does: the write fails with an `OSError`."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal(SIGXFSZ, SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
        signal(SIGXFSZ, handler)


def write(file: artifacts.ArtifactFile, octets: int) -> None:
    with file:
        for _ in range(octets // 1000):
            file.write(b"x" * 1000)


def test_a_full_disk_leaves_no_half_file(app: Flask) -> None:
    with room_for(MB), pytest.raises(OSError, match="File too large"):
        write(artifacts.create("a.csv", media_type="text/csv"), 2 * MB)

    assert held() == []
    assert not db.session.new
    assert not is_open(local_folder().resolve())


def test_a_full_disk_at_the_very_end_leaves_no_half_file(app: Flask) -> None:
    """What is gathered in memory goes to the disk when the block is left."""
    with room_for(10_000), pytest.raises(OSError, match="File too large"):
        write(artifacts.create("a.csv", media_type="text/csv"), 50_000)

    assert held() == []
    assert not is_open(local_folder().resolve())


def test_a_writer_that_ignores_the_full_disk_gets_no_file_with_a_hole(app: Flask) -> None:
    file = artifacts.create("a.csv", media_type="text/csv")
    with pytest.raises(artifacts.ArtifactError, match="is incomplete"):
        write_regardless(file)

    assert held() == []


def write_regardless(file: artifacts.ArtifactFile) -> None:
    with file:
        with room_for(1000), pytest.raises(OSError, match="File too large"):
            file.write(b"x" * MB)
        file.write(b"y")


def test_a_full_disk_keeps_what_was_suspended(app: Flask) -> None:
    with artifacts.create("a.csv", media_type="text/csv") as file:
        file.write(b"first")
        state = file.suspend()
    with room_for(MB), pytest.raises(OSError, match="File too large"):
        write(artifacts.resume(state), 2 * MB)
    with artifacts.resume(state) as file:
        file.write(b"second")

    assert (local_folder() / file.artifact.key).read_bytes() == b"firstsecond"


def test_a_process_that_was_taken_over_cannot_spoil_the_file(app: Flask) -> None:
    with artifacts.create("a.csv", media_type="text/csv") as file:
        state = file.suspend()
    with artifacts.resume(state) as zombie:
        zombie.write(b"x")
        with pytest.raises(artifacts.ArtifactBusy), artifacts.resume(state):
            pass


def test_a_store_that_goes_away_leaves_no_half_file(app: Flask) -> None:
    with s3_server() as address:
        app.config.update(s3_settings(address, "folder"))
        file = artifacts.create("a.csv", media_type="text/csv")
        file.__enter__()
        file.write(b"x" * 9 * MB)
    with pytest.raises(artifacts.StoreUnavailable, match="cannot be reached"), file:
        pass

    assert not db.session.new
    store = current_store()
    assert isinstance(store, S3Store)
    store.client.close()


def test_a_store_that_refuses_says_why(on_s3: Flask, s3: str) -> None:
    on_s3.config.update({**s3_settings(s3, "x"), "ARTIFACTS_STORE": "s3://no-such-bucket"})
    on_s3.extensions["artifacts"].clear()
    with pytest.raises(artifacts.StoreUnavailable, match="NoSuchBucket"):
        write(artifacts.create("a.csv", media_type="text/csv"), 1000)
    store = current_store()
    assert isinstance(store, S3Store)
    store.client.close()


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    code = "import sys; sys.modules['boto3'] = None; import app.artifacts.stores.s3"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert "MissingExtra: ARTIFACTS_STORE is an s3:// URL" in done.stderr
    assert "pip install '.[s3]'" in done.stderr


def is_open(folder: Path) -> bool:
    """Say whether this process has a file of that folder open, where the system tells."""
    open_files = Path("/proc/self/fd")
    links = open_files.iterdir() if open_files.is_dir() else []
    return any(link.readlink().is_relative_to(folder) for link in links if link.is_symlink())


def test_fault_A17_deleting_sends_the_digest_that_other_stores_demand(app: Flask) -> None:
    with HttpServer(Reply(body="<DeleteResult></DeleteResult>")) as strict:
        client = make_client(s3_settings(strict.url, "any"))
        S3Store(Bucket(client, "files", "any/")).delete(["a", "b"])
        client.close()

    [received] = strict.received
    body, sent = received.body, received.headers
    assert b"<Key>any/a</Key>" in body
    assert b64decode(sent["content-md5"]) == hashlib.md5(body, usedforsecurity=False).digest()
    assert "content-md5" in sent["authorization"]  # so it is signed
