"""What is wrong with a rule is said where it stands, in one sentence that names the fix."""

from typing import Any

import pytest
from flask import Flask

from app.jobs import DiscoveryError, InvalidOption, Job, JobBlueprint, Unique, enqueue
from tests.support.rows import count_rows
from tests.support.sample_jobs import SampleSchema
from tests.support.unique_jobs import LetterSchema

BAD: list[tuple[dict[str, Any], str]] = [
    ({"fields": "to"}, "fields: 'to' is no tuple of names; write ('to',)"),
    ({"fields": (1,)}, "fields: (1,) is no tuple of names"),
    ({"period": "10 minutes"}, "period: '10 minutes' is not a duration"),
    ({"period": 0}, "period: 0 is too short; give at least one second"),
    ({"period": "400d"}, "period: '400d' is more than a year; give less"),
    ({"while_": "pending"}, "while_: 'pending' is no tuple of states; write ('pending',)"),
    ({"while_": ()}, "while_: () is no tuple of states; give some of pending, processing"),
    (
        {"while_": ("pending", "procesing")},
        "unknown state 'procesing'; did you mean: processing",
    ),
    ({"while_": ("processing",)}, "a job that is processing has been pending before; add what"),
    (
        {"while_": ("pending", "processing", "completed")},
        "a completed job would keep others out for ever; give a period, too",
    ),
    ({"on_conflict": "ignore"}, "on_conflict: 'ignore' is unknown; known: return, replace, raise"),
    ({"once_more": "yes"}, "once_more: 'yes' is not True or False"),
    ({"once_more": True, "period": 5}, "period and once_more: the next waits until"),
    ({"once_more": True, "while_": ("pending",)}, "leave while_ out"),
    ({"at_most": "5m"}, "at_most: bounds a debounce; give that, too, or leave it out"),
    ({"debounce": "5m", "at_most": "1m"}, "at_most: is shorter than debounce"),
    ({"debounce": "5m", "on_conflict": "raise"}, "with debounce the last call wins"),
    ({"debounce": "5m", "period": "1h"}, "period and debounce: the job is free when it begins"),
    ({"debounce": "-1s"}, "debounce: '-1s' is not a duration"),
]


def handler(payload: Any, job: Job) -> None:
    """Do nothing."""


@pytest.mark.parametrize(("given", "said"), BAD)
def test_a_rule_that_makes_no_sense(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidOption) as raised:
        Unique(**given)

    assert str(raised.value).startswith("unique: ")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Unique(fields=("too",)), "unique: fields: unknown field 'too'; did you mean: to?"),
        (Unique(fields=("to", "secret")), "unique: fields: secret is sealed, and a key made of it"),
        (Unique(), "unique: fields: secret is sealed, and a key made of it could be guessed; name"),
        ("to", "unique: 'to' is not a Unique; write Unique(fields=…)"),
    ],
)
def test_a_declaration_that_cannot_hold(rule: Any, said: str) -> None:
    bp = JobBlueprint("bad", __name__)

    with pytest.raises(DiscoveryError, match="bad") as raised:
        bp.job("bad", "/bad", payload=LetterSchema, sealed=("secret",), unique=rule)(handler)

    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"unique": Unique(fields=("actoin",))}, "unknown field 'actoin'; did you mean: action?"),
        ({"unique": True}, "unique: True is neither a Unique nor False; write Unique(fields=…)"),
        ({"unique": Unique(debounce=9), "delay": 5}, "delay: the job's debounce says when"),
        ({"unique": Unique(debounce=9), "queue": "q"}, "queue: the job's debounce says when"),
        ({"unique": Unique(), "idempotency_key": "k"}, "idempotency_key: the job is unique"),
        ({"idempotency_ttl": "1h"}, "idempotency_ttl: there is no idempotency_key"),
        ({"idempotency_ttl": "x", "idempotency_key": "k"}, "idempotency_ttl: 'x' is not a"),
        ({"idempotency_ttl": "400d", "idempotency_key": "k"}, "idempotency_ttl: is more than a"),
    ],
)
def test_an_enqueue_that_cannot_hold_records_nothing(
    app: Flask, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidOption) as raised:
        enqueue("sample", {"action": "none"}, **given)

    assert said in str(raised.value)
    assert not count_rows()


def test_fields_go_by_either_name_in_any_order() -> None:
    bp = JobBlueprint("good", __name__)
    rules = [Unique(fields=("count", "action")), Unique(fields=["action", "count"])]
    declared = [
        bp.job(f"good-{number}", f"/{number}", payload=SampleSchema, unique=rule)(handler).declared
        for number, rule in enumerate(rules)
    ]

    assert declared[0].unique == declared[1].unique
