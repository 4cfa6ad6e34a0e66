"""`/api/pauses`: pause, list, resume."""

import pytest

from app.jobs import enqueue
from app.jobs.message import Message
from app.jobs.operate import audit
from tests.api.calling import Call, make_key

SAMPLE = "/api/pauses/type/sample"
WHY = {"reason": "Resend is down"}


def test_a_type_is_paused_listed_and_resumed(call: Call, published: list[Message]) -> None:
    key = make_key()
    begun = call("PUT", SAMPLE, key, json=WHY)
    enqueue("sample", {"action": "none"})

    assert (begun.status_code, published) == (200, [])
    listed = call("GET", "/api/pauses", key).json
    assert listed is not None
    assert {name: listed["pauses"][0][name] for name in ("kind", "name", "reason", "waiting")} == {
        "kind": "type",
        "name": "sample",
        "waiting": 1,
        **WHY,
    }
    assert call("DELETE", SAMPLE, key).json == {"published": 1, "left": 0}
    assert call("DELETE", SAMPLE, key).status_code == 404
    assert len(published) == 1
    assert [one.action for one in audit.entries(limit=2)] == ["resume", "pause"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/pauses/type/sampel", WHY, "name"),
        ("/api/pauses/typ/sample", WHY, "kind"),
        ("/api/pauses/queue/a%20b", WHY, "queue"),
        ("/api/pauses/organization/x", WHY, "organization"),
        (SAMPLE, {"reason": " "}, "reason"),
        (SAMPLE, {}, "reason"),
        (SAMPLE, {**WHY, "until": 5}, "until"),
    ],
)
def test_what_makes_no_sense_is_refused(
    call: Call, path: str, body: dict[str, object], field: str
) -> None:
    key = make_key()
    answer = call("PUT", path, key, json=body)

    assert answer.status_code == 422
    assert answer.json is not None
    assert list(answer.json["errors"]) == [field]
    assert call("GET", "/api/pauses", key).json == {"pauses": []}


def test_a_key_of_an_organization_may_pause_that_alone(call: Call) -> None:
    own, whole = make_key(organization_id=7), make_key()
    assert call("PUT", SAMPLE, own, json=WHY).status_code == 403
    assert call("PUT", "/api/pauses/organization/8", own, json=WHY).status_code == 403
    assert call("PUT", "/api/pauses/organization/7", own, json=WHY).status_code == 200
    call("PUT", SAMPLE, whole, json=WHY)

    seen = call("GET", "/api/pauses", own).json
    assert seen is not None
    assert [one["kind"] for one in seen["pauses"]] == ["organization"]
    assert call("DELETE", SAMPLE, own).status_code == 403


def test_who_may_only_read_pauses_nothing(call: Call) -> None:
    assert call("PUT", SAMPLE, make_key("read"), json=WHY).status_code == 403
    assert call("GET", "/api/pauses", make_key("enqueue")).status_code == 403
    assert call("GET", "/api/pauses").status_code == 401
