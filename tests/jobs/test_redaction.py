"""Hiding secrets in text that quotes them, whole or in part, plain or escaped."""

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.payload.redaction import HIDDEN, RUN, hide, hide_in

SECRET = 'https://acme.example/reset?a=1&token=5f1d 7a84"e0b9'


@pytest.mark.parametrize(
    "quoted",
    [
        SECRET,
        repr(SECRET),
        json.dumps(SECRET),
        html.escape(SECRET),
        quote(SECRET),
        quote_plus(SECRET),
    ],
)
def test_every_common_way_to_quote_it_is_hidden(quoted: str) -> None:
    said = hide(f"no: {quoted}!", [SECRET])

    assert "5f1d" not in said
    assert said.startswith("no: ")
    assert said.endswith("!")


@given(st.text(min_size=RUN), st.text(), st.text(), st.data())
def test_no_run_of_a_secret_is_left(
    secret: str, before: str, after: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(secret) - RUN))
    end = data.draw(st.integers(start + RUN, len(secret)))

    said = hide(before + secret[start:end] + after, [secret])

    runs = [secret[at : at + RUN] for at in range(len(secret) - RUN + 1)]
    assert [run for run in runs if run in said and run not in HIDDEN] == []


def test_the_rest_of_the_text_stays() -> None:
    assert hide(f"GET {SECRET} failed: 404", [SECRET]) == f"GET {HIDDEN} failed: 404"
    assert hide("nothing to hide", []) == "nothing to hide"


@pytest.mark.parametrize(
    ("secret", "text", "said"),
    [
        ("90210", "PIN 90210x", f"PIN {HIDDEN}x"),
        ("42", "42 of 420 in a42", f"{HIDDEN} of 420 in a42"),
        ("", "empty", "empty"),
    ],
)
def test_a_short_secret_is_hidden_whole(secret: str, text: str, said: str) -> None:
    assert hide(text, [secret]) == said


def test_messages_of_a_schema_keep_their_fields() -> None:
    errors = {"data": {"link": [f"{SECRET} is bad.", "Too long."]}, "items": {0: ["Not a list."]}}

    assert hide_in(errors, [SECRET]) == {
        "data": {"link": [f"{HIDDEN} is bad.", "Too long."]},
        "items": {0: ["Not a list."]},
    }
