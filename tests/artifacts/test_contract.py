"""What holds for every store."""

import gzip
import hashlib
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from flask import Flask

from app import artifacts
from app.db import db
from app.jobs import Job
from tests.artifacts.stores import content, held

MB = 1024 * 1024
#: More than two of S3's parts, and no multiple of anything.
LARGE = Random(1).randbytes(20 * MB + 3)  # noqa: S311 - the same in each run
#: More than one.
DATA = LARGE[: 9 * MB + 3]


def write_in_pieces(file: artifacts.ArtifactFile, data: bytes, size: int = 65_521) -> None:
    for start in range(0, len(data), size):
        file.write(data[start : start + size])


def fail_after(file: artifacts.ArtifactFile, data: bytes) -> None:
    with file:
        file.write(data)
        raise KeyError("boom")


def test_a_large_file_arrives_byte_by_byte_in_bounded_memory(store: Flask) -> None:
    artifacts.create("warm-up", media_type="text/csv")  # loads the store's library
    tracemalloc.start()
    with artifacts.create("large.bin", media_type="application/octet-stream") as file:
        write_in_pieces(file, LARGE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 14 * MB
    assert content(file.artifact) == LARGE
    assert file.artifact.size == len(LARGE) == file.size
    assert file.artifact.sha256 == hashlib.sha256(LARGE).hexdigest()


def test_a_file_is_recorded_with_all_that_is_known_of_it(store: Flask, job: Job) -> None:
    day = timedelta(days=1)
    with artifacts.create("a.csv", media_type="text/csv", job=job, expires_in=day) as file:
        file.write(b"hello")
    db.session.commit()

    row = db.session.get(artifacts.Artifact, file.artifact.id)
    assert row is file.artifact
    assert (row.name, row.media_type, row.size) == ("a.csv", "text/csv", 5)
    assert (row.job_id, row.user_id, row.organization_id) == (job.id, 7, 3)
    assert timedelta(0) <= datetime.now(UTC) + day - row.expires_at < timedelta(minutes=1)


def test_an_empty_file_is_a_file(store: Flask) -> None:
    with artifacts.create("empty.csv", media_type="text/csv") as file:
        pass

    assert (content(file.artifact), file.artifact.size) == (b"", 0)


@pytest.mark.parametrize("size", [10, 9 * MB])
def test_an_exception_leaves_nothing(store: Flask, size: int) -> None:
    before = open_files()
    with pytest.raises(KeyError, match="boom"):
        fail_after(artifacts.create("users.csv", media_type="text/csv"), DATA[:size])

    assert held() == []
    assert not db.session.new
    assert open_files() <= before + 1  # S3's connection, which is kept for the next request


def test_a_file_is_not_there_before_it_is_whole(store: Flask) -> None:
    with artifacts.create("users.csv", media_type="text/csv") as file:
        write_in_pieces(file, DATA)
        assert not any(name.endswith(".none") for name in held())

    assert held() == [file.artifact.key.rpartition("/")[2]]


def test_other_writers_can_be_stacked_on_it(store: Flask) -> None:
    with artifacts.create("a.gz", media_type="a/b") as file, gzip.open(file, "wb") as zipped:
        zipped.write(b"zzz")
    archive = artifacts.create("a.zip", media_type="a/b")
    with archive, zipfile.ZipFile(archive, "w") as folder:
        folder.writestr("one.txt", "1")
    with artifacts.create("a.txt", media_type="text/plain") as plain:
        plain.text().write("ä\r\n")

    assert gzip.decompress(content(file.artifact)) == b"zzz"
    assert b"one.txt" in content(archive.artifact)
    assert content(plain.artifact) == "ä\r\n".encode()


def test_a_file_on_disk_is_stored_and_its_folder_removed(store: Flask, job: Job) -> None:
    with artifacts.spool(job) as folder:
        (folder / "book.xlsx").write_bytes(DATA)
        artifact = artifacts.store(folder / "book.xlsx", "b.xlsx", media_type="a/b", job=job)

    assert content(artifact) == DATA
    assert not folder.exists()


@pytest.mark.parametrize("sizes", [(0, 0), (10, 20), (8 * MB, 9 * MB)])
def test_a_file_is_continued_over_legs(store: Flask, job: Job, sizes: tuple[int, int]) -> None:
    first, second = sizes
    with artifacts.create("a.bin", media_type="a/b", job=job) as file:
        write_in_pieces(file, DATA[:first])
        state = file.suspend()
    with artifacts.resume(state) as file:
        write_in_pieces(file, DATA[first:second])
        state = file.suspend()
    with artifacts.resume(state) as file:
        assert file.size == second
        write_in_pieces(file, DATA[second:])
    db.session.commit()

    assert content(file.artifact) == DATA
    assert file.artifact.sha256 == hashlib.sha256(DATA).hexdigest()
    assert held() == [file.artifact.key.rpartition("/")[2]]


@pytest.mark.parametrize("size", [10, 9 * MB])
def test_what_a_failed_leg_wrote_is_dropped(store: Flask, job: Job, size: int) -> None:
    with artifacts.create("a.bin", media_type="a/b", job=job) as file:
        file.write(DATA[:size])
        state = file.suspend()
    with pytest.raises(KeyError, match="boom"):
        fail_after(artifacts.resume(state), b"x" * 9 * MB)
    with artifacts.resume(state) as file:
        file.write(DATA[size:])

    assert content(file.artifact) == DATA


@pytest.mark.parametrize("size", [10, 9 * MB])
def test_a_leg_whose_transaction_rolled_back_after_the_file_was_complete_is_repeated(
    store: Flask, job: Job, size: int
) -> None:
    with artifacts.create("a.bin", media_type="a/b", job=job) as file:
        file.write(DATA[:size])
        state = file.suspend()
    with artifacts.resume(state) as file:
        file.write(b"x" * MB)
    db.session.rollback()
    with artifacts.resume(state) as file:
        file.write(DATA[size:])
    db.session.commit()

    assert content(file.artifact) == DATA
    with pytest.raises(artifacts.ArtifactLost, match="already recorded"):
        artifacts.resume(state)


@pytest.mark.parametrize("size", [10, 9 * MB])
def test_a_suspended_file_that_is_gone_cannot_be_continued(store: Flask, size: int) -> None:
    with artifacts.create("a.bin", media_type="a/b") as file:
        file.write(DATA[:size])
        state = file.suspend()
    artifacts.remove_orphans(timedelta(0))

    with pytest.raises(artifacts.ArtifactLost), artifacts.resume(state):
        pass


def test_deleting_takes_effect_with_the_commit(
    store: Flask, made: Callable[..., artifacts.Artifact]
) -> None:
    artifact = made()
    artifacts.delete(artifact)
    db.session.rollback()
    assert content(artifact)

    artifacts.delete(artifact)
    assert held()
    db.session.commit()
    assert held() == []


def test_a_savepoint_that_rolls_back_keeps_the_file(
    app: Flask, made: Callable[..., artifacts.Artifact]
) -> None:
    artifact = made()
    savepoint = db.session.begin_nested()
    artifacts.delete(artifact)
    savepoint.rollback()
    db.session.commit()

    assert content(artifact)


def test_a_file_takes_nothing_outside_its_block(store: Flask) -> None:
    file = artifacts.create("a.csv", media_type="text/csv")
    with pytest.raises(ValueError, match="inside its `with` block"):
        file.write(b"early")
    assert held() == []


def open_files() -> int:
    found = Path("/proc/self/fd")
    return len(list(found.iterdir())) if found.is_dir() else 0
