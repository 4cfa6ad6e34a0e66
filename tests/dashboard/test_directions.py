"""Characters that change the direction of writing: no text can rearrange the line that it is in."""

import re
from datetime import UTC, datetime

from app.jobs.operate import audit, pauses
from tests.support.rows import add_row

from .pages import Reader

TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: Reads as "photo" and what is left of the line, from its end to its beginning.
TEXT = "photo\u202egnp\u2066."
SHOWN = "photo\\u202egnp\\u2066."


def add_turned() -> str:
    """Add a dead job that has such characters wherever somebody else's text may be."""
    moment = datetime.now(UTC).isoformat()
    line = {"at": moment, "level": "INFO", "logger": TEXT, "message": TEXT}
    attempt = {
        "number": 1, "started_at": moment, "duration_ms": 5, "outcome": "failed",
        "error": TEXT, "traceback": f"Traceback:\n  {TEXT}",
    }  # fmt: skip
    return add_row(
        status="failed",
        dead_at=datetime.now(UTC),
        error=TEXT,
        attempts=[attempt],
        logs=[{"attempt": 1, "left_out": 0, "lines": [line]}],
        payload={"payload": {"action": TEXT, TEXT: 1}},
        idempotency_key=TEXT,
    )


def test_no_page_has_them_but_as_escapes(reader: Reader) -> None:
    job_id = add_turned()
    audit.note(TEXT[:20], by=TEXT, wanted={"error": TEXT})
    pauses.pause("queue", "reports", reason=TEXT, by=TEXT)

    paths = ["/jobs", f"/jobs?error={TEXT}", "/errors", "/audit", "/queues", f"/job/{job_id}"]
    pages = [reader.get(path).text for path in paths]

    for page in pages:
        assert SHOWN in page
    outside = [re.sub(r'\bvalue="[^"]*"', "", page) for page in pages]
    assert [TURNS.findall(page) for page in outside] == [[]] * len(pages)


def test_a_form_sends_them_as_they_are(reader: Reader) -> None:
    job_id = add_turned()

    listed = reader.get(f"/jobs?error={TEXT}").text
    edited = reader.get(f"/new?again={job_id}").text

    assert f'name="error" value="{TEXT}"' in listed
    assert f"/job/{job_id}" in listed
    assert f'aria-describedby="about-action" value="{TEXT}"' in edited


def test_a_suggestion_leaves_what_was_typed_before_as_it_is(reader: Reader) -> None:
    suggested = reader.get(f"/jobs/suggest?q=error:{TEXT} sta").text

    assert f'data-line="error:{TEXT} state:"' in suggested
