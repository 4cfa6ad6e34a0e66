"""Job types as constants."""

import pytest
from flask import Flask

from app.jobs import JOB_TYPES, enqueue
from app.jobs.registry import registry_of


@pytest.mark.parametrize(
    ("constant", "name"),
    [
        ("SEND_EMAIL", "send-email"),
        ("PROCESS_WEBHOOK", "process-webhook"),
        ("PROCESS_STRIPE_WEBHOOK", "process-stripe-webhook"),
        ("EXPORT_DATA", "export-data"),
        ("GENERATE_REPORT", "generate-report"),
        ("CLEANUP_OLD_DATA", "cleanup-old-data"),
    ],
)
def test_the_six_of_the_guide_are_constants(app: Flask, constant: str, name: str) -> None:
    assert getattr(JOB_TYPES, constant) == name
    assert registry_of(app).get(name)


def test_every_job_type_has_its_constant_by_being_declared(app: Flask) -> None:
    assert {config.type for config in registry_of(app)} <= set(JOB_TYPES)
    assert enqueue(JOB_TYPES.SAMPLE, {"action": "x"})


def test_a_misspelt_constant_names_the_nearest(app: Flask) -> None:
    with pytest.raises(AttributeError, match="no job type SEND_MAIL; did you mean: SEND_EMAIL"):
        assert JOB_TYPES.SEND_MAIL
