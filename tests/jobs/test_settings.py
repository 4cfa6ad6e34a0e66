"""An app that leaves the extension's settings to the environment, and its driver to chance."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from app.jobs import Jobs, UnknownJobType, enqueue
from app.jobs.errors import JobsNotInitialised

URL = "postgresql+psycopg://nobody@127.0.0.1:9/none"
GIVEN = {
    "BASE_URL": "https://host.example.com/",
    "QSTASH_TOKEN": "token",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_1",
    "QSTASH_NEXT_SIGNING_KEY": "sig_2",
}


def host(url: str = URL, **config: Any) -> Flask:
    app = Flask("host")
    app.config.update(SECRET_KEY="x" * 40, SQLALCHEMY_DATABASE_URI=url, **config)
    db = SQLAlchemy(app)
    Jobs(app, db)
    return app


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_environment_has_what_the_config_has_not(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("JOBS_GRACE", "7.5")
    environment.setenv("JOBS_MAX_LEGS", "12")
    environment.setenv("JOBS_QUIET", "no")

    config = host(QSTASH_TOKEN="own").config

    assert config["BASE_URL"] == "https://host.example.com"
    assert config["QSTASH_TOKEN"] == "own"
    assert (config["JOBS_GRACE"], config["JOBS_MAX_LEGS"], config["JOBS_QUIET"]) == (7.5, 12, False)


def test_durations_are_taken_in_one_form(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("JOBS_GRACE", "1m30s")
    environment.setenv("JOBS_HEALTH_IDLE", "2h")
    environment.setenv("JOBS_SWEEP_EVERY", "30")

    config = host(JOBS_PUBLISH_TIMEOUT="5s", JOBS_HEALTH_OVERDUE=timedelta(minutes=5)).config

    names = ("GRACE", "HEALTH_IDLE", "SWEEP_EVERY", "PUBLISH_TIMEOUT", "HEALTH_OVERDUE")
    assert [config[f"JOBS_{name}"] for name in names] == [90, 7200, 30, 5, 300]


def test_a_switch_may_be_one_of_pythons(environment: pytest.MonkeyPatch) -> None:
    config = host(JOBS_SEAL=True, JOBS_QUIET="off", JOBS_CALLBACK_ALLOW=["10.0.0.0/8", "a"]).config

    assert (config["JOBS_SEAL"], config["JOBS_QUIET"]) == ("true", False)
    assert config["JOBS_CALLBACK_ALLOW"] == "10.0.0.0/8,a"


def test_an_app_without_any_job_type_is_told_to_register_its_blueprint(
    environment: pytest.MonkeyPatch,
) -> None:
    with (
        host().app_context(),
        pytest.raises(UnknownJobType, match=r"this app has none; .*app\.register_blueprint"),
    ):
        enqueue("greet", {})


def test_swapped_arguments_are_named() -> None:
    app = Flask("host")
    app.config["SQLALCHEMY_DATABASE_URI"] = URL
    swapped: Any = (SQLAlchemy(app), app)

    with pytest.raises(JobsNotInitialised, match=r"is a SQLAlchemy: write `Jobs\(app, db\)`"):
        Jobs(*swapped)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("JOBS_GRACE", "soon", "JOBS_GRACE: 'soon' is not a duration; write it like \"90s\" or"),
        ("JOBS_GRACE", "0", "JOBS_GRACE: '0' is no time at all; give more than 0 seconds"),
        ("JOBS_QUIET", "perhaps", "JOBS_QUIET: 'perhaps' is neither true nor false"),
        ("JOBS_PUBLISH", "later", "JOBS_PUBLISH: 'later' is none of: inline, background"),
        ("JOBS_DASHBOARD", "open", "JOBS_DASHBOARD: 'open' is none of: auto, local, off"),
        ("JOBS_MAX_LEGS", "0", "JOBS_MAX_LEGS: '0' is not a whole number of 1 or more"),
        ("JOBS_HEALTH_FAILURE_RATE", "5", "'5' is not a share from 0 to 1; write 5 percent as"),
        ("JOBS_NAMESPACE", "my app", "'my app' is not at most 40 letters, digits, '-' and '_'"),
        ("JOBS_ID_TYPE", "int", "JOBS_ID_TYPE: 'int' is none of: integer, text, uuid"),
        ("BASE_URL", "host.example.com", "is not a URL like https://app.example.com"),
        ("BASE_URL", "https://h\u00f6st.example.com", "must be ASCII: write it https://xn--hst"),
        ("QSTASH_TOKEN", "", "set QSTASH_TOKEN, in app.config or in the environment"),
    ],
)
def test_what_is_wrong_there_is_named(
    environment: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    environment.setenv(name, value)

    with pytest.raises(JobsNotInitialised, match=said):
        host()


@pytest.mark.parametrize("url", ["sqlite://", "postgresql+psycopg2://nobody@127.0.0.1:9/none"])
def test_a_driver_that_jobs_cannot_use_is_refused_with_the_one_they_can(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(JobsNotInitialised, match=r"begin it with postgresql\+psycopg://"):
        host(url)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("JOBS_RETENTON", "JOBS_RETENTON is no setting: did you mean: JOBS_RETENTION?"),
        ("JOBS_RETENTION_DAYS", "JOBS_RETENTION_DAYS is no setting: did you mean: JOBS_RETENTION?"),
        ("JOB_SWEEP_EVERY", "did you mean: JOBS_SWEEP_EVERY?"),
        ("JOBS_PLAN_SIZE", "JOBS_PLAN_SIZE is no setting: did you mean: JOBS_PLAN_PRICE?"),
        ("JOBS_DASHBOARD_COLOR", "did you mean: JOBS_DASHBOARD_COLOUR?"),
        ("QSTASH_CURRENT_SIGN_KEY", "did you mean: QSTASH_CURRENT_SIGNING_KEY?"),
        ("ADMIN_SIGNIN", "did you mean: ADMIN_SIGN_IN?"),
    ],
)
def test_a_misspelled_setting_is_told_once_with_the_right_name(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, said: str
) -> None:
    environment.setenv(name, "secret-1")
    host(**{name: "secret-2"})

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert said in record.getMessage()
    assert "secret" not in record.getMessage()


@pytest.mark.parametrize(
    "name",
    [
        *("JOBS_QUEUE", "JOBS_PER_PAGE", "JOBS_DIR", "JOBS_MAX_RETRIES", "JOBS_TIMEOUT"),
        *("QSTASH_DEV_TOKEN", "QSTASH_DEV_SIGNING_KEYS", "QSTASH_REGION", "US_EAST_1_QSTASH_TOKEN"),
        *("ADMIN_EMAIL", "ADMIN_USER", "ADMIN_TOKEN", "ADMIN_PASSWORD", "ADMIN_SESSION_COOKIE"),
        *("JOBS_PG_BIN", "JOBS_LIFELINE", "DASHBOARD_PREFIX", "RETENTION"),
    ],
)
def test_a_name_of_the_host_s_or_of_another_program_s_draws_no_word(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    environment.setenv(name, "1")
    host(**{name: "1"})

    assert caplog.records == []
