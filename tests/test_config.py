"""Settings: all problems at once, and never a secret's value."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app import config
from app.config import DEV_QSTASH, DEVELOPMENT, ConfigError, checks, load
from app.config.running import publish
from tests.support.apps import PRODUCTION, names_in

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name in PRODUCTION or name.startswith(("JOBS_", "LOG_", "RESEND_", "POSTGRES_")):
            monkeypatch.delenv(name)


def loaded(monkeypatch: pytest.MonkeyPatch, instance: Path, env: dict[str, str]) -> dict[str, Any]:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return load(instance)


def test_development_needs_nothing(tmp_path: Path) -> None:
    settings = load(tmp_path / "instance")

    assert settings["APP_ENV"] == "development"
    assert settings["SQLALCHEMY_DATABASE_URI"] == ""
    assert settings["QSTASH_URL"] == DEV_QSTASH["QSTASH_URL"]


def test_a_running_stack_says_where_it_is(tmp_path: Path) -> None:
    publish(tmp_path, {"BASE_URL": "http://127.0.0.1:8123"})

    assert load(tmp_path)["BASE_URL"] == "http://127.0.0.1:8123"


def test_production_takes_what_hosts_hand_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = loaded(monkeypatch, tmp_path, PRODUCTION)

    database = "postgresql+psycopg://u:p%40ss@db.example.com/app?sslmode=require"
    assert settings["SQLALCHEMY_DATABASE_URI"] == database
    assert settings["BASE_URL"] == "https://app.example.com"
    assert settings["QSTASH_URL"] == "https://qstash.upstash.io"


def test_production_says_all_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(monkeypatch, tmp_path, {"APP_ENV": "production"})

    assert caught.value.problems.keys() == PRODUCTION.keys() - {"APP_ENV"}


def test_fault_A25_an_app_without_the_email_family_needs_no_account_for_emails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(config, "FAMILIES", tmp_path)
    needed = {name: value for name, value in PRODUCTION.items() if "RESEND" not in name}

    settings = loaded(monkeypatch, tmp_path, needed)

    assert (settings["RESEND_API_KEY"], settings["RESEND_FROM_EMAIL"]) == ("", "")


def test_production_takes_empty_for_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An empty API key would otherwise send emails into a folder."""
    with pytest.raises(ConfigError) as caught:
        loaded(monkeypatch, tmp_path, dict.fromkeys(PRODUCTION, "") | {"APP_ENV": "production"})

    assert caught.value.problems.keys() == PRODUCTION.keys() - {"APP_ENV"}


def test_production_refuses_what_is_only_for_development(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = f"{PRODUCTION['JOBS_ENCRYPTION_KEYS']},{DEVELOPMENT['JOBS_ENCRYPTION_KEYS']}"
    unsafe = {"BASE_URL": "http://app.example.com", "SECRET_KEY": "short", **DEV_QSTASH}
    unsafe["JOBS_ENCRYPTION_KEYS"] = keys

    with pytest.raises(ConfigError) as caught:
        loaded(monkeypatch, tmp_path, PRODUCTION | unsafe)

    assert caught.value.problems.keys() == unsafe.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", DEVELOPMENT["SECRET_KEY"]),
        ("STRIPE_WEBHOOK_SECRET", f"whsec_mine,{DEVELOPMENT['STRIPE_WEBHOOK_SECRET']}"),
        ("QSTASH_URL", "http://qstash.example.com"),
        ("RESEND_API_URL", "http://resend.example.com"),
        ("STRIPE_API_URL", "http://stripe.example.com"),
        ("JOBS_SIGNATURE_LEEWAY", "3600"),
        ("JOBS_SEAL", "false"),
        ("JOBS_CALLBACK_ALLOW", "hooks.internal, ::/0"),
        ("ADMIN_TOKEN", "short"),
    ],
)
def test_production_refuses_what_is_unsafe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(monkeypatch, tmp_path, {**PRODUCTION, name: value})

    assert caught.value.problems.keys() == {name}


TUNNEL = {"APP_ENV": "development", "BASE_URL": "https://my-tunnel.example"}
PUBLISHED_SECRETS = {
    "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY", "SECRET_KEY", "JOBS_ENCRYPTION_KEYS",
    "STRIPE_WEBHOOK_SECRET", "WEBHOOK_GITHUB_SECRET", "WEBHOOK_RESEND_SECRET",
}  # fmt: skip


@pytest.mark.parametrize(
    "base_url",
    ["https://my-tunnel.example", "http://192.168.1.5:8000", "http://0.0.0.0:8000",
     "http://localhost.example.com", "http://[2606:2800::1]"],
)  # fmt: skip
def test_fault_R16_published_secrets_do_not_meet_a_public_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base_url: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(monkeypatch, tmp_path, {**TUNNEL, "BASE_URL": base_url})

    assert caught.value.problems.keys() == PUBLISHED_SECRETS


@pytest.mark.parametrize(
    "base_url",
    ["http://localhost:8000", "http://127.0.0.2:8000", "http://[::1]:80", "http://a.localhost"],
)
def test_fault_R16_at_home_they_are_fine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base_url: str
) -> None:
    assert loaded(monkeypatch, tmp_path, {**TUNNEL, "BASE_URL": base_url})["BASE_URL"] == base_url


def test_fault_R16_a_tunnel_with_secrets_of_its_own_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = {name: PRODUCTION.get(name, "") for name in PUBLISHED_SECRETS}

    assert loaded(monkeypatch, tmp_path, {**TUNNEL, **own})["BASE_URL"] == TUNNEL["BASE_URL"]


@pytest.mark.parametrize(
    "name",
    ["BASE_URL", "QSTASH_URL", "RESEND_API_URL", "STRIPE_API_URL", "ALERT_SLACK_URL",
     "ALERT_WEBHOOK_URL", "OTEL_EXPORTER_OTLP_ENDPOINT", "ARTIFACTS_S3_ENDPOINT"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("https://ex\u00e4mple.com", "https://xn--exmple-cua.com"),
        ("https://\uff45xample.com", "https://example.com"),
        ("https://example.com/\u00e4", "https://example.com/%C3%A4"),
        ("https://example.com/a b", "is not a URL"),
        ("https://example.com\\x", "is not a URL"),
        ("https://example.com:99999", "is not a URL"),
    ],
)
def test_fault_A16_a_url_in_other_letters_is_refused_with_the_form_to_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(monkeypatch, tmp_path, {**PRODUCTION, name: value})

    assert said in caught.value.problems[name][0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://u:p@d\u00e4tabase.example/app"),
        ("RATELIMIT_STORAGE_URI", "memcached://d\u00e4tabase.example:6379/0"),
        ("ARTIFACTS_STORE", "s3://d\u00e4tabase.example/x"),
    ],
)
def test_fault_A16_a_host_in_other_letters_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(
        ConfigError, match=f"{name}: must have .* write it as xn--dtabase-5wa.example"
    ):
        loaded(monkeypatch, tmp_path, {**PRODUCTION, name: value})


@pytest.mark.parametrize("name", ["RESEND_FROM_EMAIL", "SUPPORT_EMAIL", "ALERT_EMAIL"])
@pytest.mark.parametrize("value", ["mail@ex\u00e4mple.com", "Acm\u00e9 <mail@ex\u00e4mple.com>"])
def test_fault_A16_a_domain_in_other_letters_is_refused_with_the_form_to_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=f"{name}: .*mail@xn--exmple-cua.com"):
        loaded(monkeypatch, tmp_path, {**PRODUCTION, name: value})


@pytest.mark.parametrize("name", ["RESEND_FROM_EMAIL", "SUPPORT_EMAIL"])
@pytest.mark.parametrize("value", ["mail", "mail@", "a b@example.com"])
def test_what_is_no_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=f"{name}: is not an email address"):
        loaded(monkeypatch, tmp_path, {**PRODUCTION, name: value})


def test_malformed_settings_are_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = {
        "DATABASE_URL": "mysql://u:hunter2@x/y",
        "BASE_URL": "app.example.com",
        "QSTASH_URL": "qstash",
        "LOG_LEVEL": "LOUD",
        "JOBS_MAX_BODY": "many",
        "JOBS_PUBLISH_TIMEOUT": "-1",
        "JOBS_SIGNATURE_LEEWAY": "x",
        "JOBS_SEAL": "off",
        "JOBS_ID_TYPE": "int",
        "JOBS_ENCRYPTION_KEYS": "hunter2",
        "RESEND_RATE_PER_SECOND": "-2",
    }

    with pytest.raises(ConfigError) as caught:
        loaded(monkeypatch, tmp_path, wrong)

    assert caught.value.problems.keys() == wrong.keys()
    assert "hunter2" not in caught.value.format_message()


def test_an_unknown_environment_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="APP_ENV: prod is not one of development, test"):
        loaded(monkeypatch, tmp_path, {"APP_ENV": "prod"})


def test_a_wrong_start_is_a_list_and_no_traceback() -> None:
    env = {"PATH": os.environ["PATH"], "APP_ENV": "production", "SECRET_KEY": "hunter2"}
    command = [sys.executable, "-m", "flask", "jobs", "types"]

    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert done.returncode == 3
    assert "SECRET_KEY: must have at least 32 characters." in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


#: Not settings of people's, or gunicorn's own, or under the name that an extension has for it.
INTERNAL = {
    *("DEV_INSTANCE", "PUBLISHED_SECRETS", "SQLALCHEMY_DATABASE_URI"),
    *("WEB_CONCURRENCY", "GUNICORN_THREADS"),
}


def test_every_setting_is_described_in_the_example(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read = loaded(monkeypatch, tmp_path, {}).keys() - INTERNAL | {"DATABASE_URL"}

    described = names_in((ROOT / ".env.example").read_text())
    assert described == read


@pytest.mark.parametrize(
    ("given", "said"), [("memory", "neither memory:// nor"), ("redis://x", "the extra redis")]
)
def test_a_place_to_count_rate_limits_that_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, said: str
) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda _: None)

    with pytest.raises(ConfigError, match=said):
        loaded(monkeypatch, tmp_path, {"RATELIMIT_STORAGE_URI": given})
