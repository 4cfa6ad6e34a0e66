"""Names of queues and flow-control keys at QStash, whatever ids the app has."""

from itertools import product

import pytest
from flask import Flask

from app.api.keys import Key
from app.api.namespaces import keep_apart
from app.jobs.values.options import LONGEST_NAME

IDS: list[int | str] = [7, -7, "7", "a", "a.b", "b", "a b", "\u00e4", "x-1", "a" * 255, "0" * 36]
NAMES = ["c", "b.c", "reports"]


def lane(organization_id: int | str, name: str) -> str:
    key = Key(
        id=1, prefix="p", name="n", scopes=(), organization_id=organization_id, job_types=None
    )
    given = {"type": "sample", "queue": name}
    keep_apart(given, key)
    return given["queue"]


def test_fault_R9_no_two_tenants_have_one_lane(app: Flask) -> None:
    ids = [one for one in IDS if one != "7"]  # ids of an app are all of one kind

    lanes = {lane(one, name) for one, name in product(ids, NAMES)}

    assert len(lanes) == len(ids) * len(NAMES)


@pytest.mark.parametrize("organization_id", IDS)
def test_a_lane_is_a_name_that_qstash_takes(app: Flask, organization_id: int | str) -> None:
    written = lane(organization_id, "q" * 200)

    assert written.isascii()
    assert written.replace(".", "").replace("-", "").isalnum()
    assert len(written) <= LONGEST_NAME
