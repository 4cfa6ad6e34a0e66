"""Events as their sources send them, for `flask webhooks send`; all values are invented."""

from datetime import UTC, datetime
from typing import Any

_REPOSITORY = {
    "id": 186853002,
    "name": "app",
    "full_name": "acme/app",
    "private": True,
    "owner": {"login": "acme", "id": 21031067, "type": "Organization"},
    "html_url": "https://github.com/acme/app",
    "default_branch": "main",
}
_SENDER = {"login": "ann", "id": 583231, "type": "User"}
_BEFORE, _AFTER = (
    "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c",
)


def samples(source: str) -> dict[str, dict[str, Any]]:
    """Return a source's sample events by name, if it has any."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"github": _github(now), "resend": _resend(now)}.get(source, {})


def _github(now: str) -> dict[str, dict[str, Any]]:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads ."""
    # The time makes each one different: the same bytes are a repeat.
    about = {"repository": {**_REPOSITORY, "updated_at": now}, "sender": _SENDER}
    author = {"name": "Ann", "email": "ann@example.com", "username": "ann"}
    commit = {"id": _AFTER, "message": "Fix the fix", "timestamp": now, "author": author}
    return {
        "ping": {"zen": "Keep it logically awesome.", "hook_id": 109948940, **about},
        "push": {
            "ref": "refs/heads/main",
            "before": _BEFORE,
            "after": _AFTER,
            "created": False,
            "deleted": False,
            "forced": False,
            "commits": [commit],
            "head_commit": commit,
            "pusher": {"name": "ann", "email": "ann@example.com"},
            **about,
        },
        "pull_request": {
            "action": "opened",
            "number": 7,
            "pull_request": {"id": 1, "number": 7, "state": "open", "title": "Fix the fix"},
            **about,
        },
        "issues": {
            "action": "opened",
            "issue": {"id": 2, "number": 8, "state": "open", "title": "It needs a fix"},
            **about,
        },
    }


def _resend(now: str) -> dict[str, dict[str, Any]]:
    """https://resend.com/docs/webhooks/event-types ."""
    email = {
        "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
        "created_at": now,
        "from": "Acme <onboarding@resend.dev>",
        "to": ["bounced@example.com"],
        "subject": "Welcome to Acme",
    }
    bounce = {"type": "Permanent", "subType": "General", "message": "There is no such mailbox."}
    data = {
        "email.delivered": email,
        "email.complained": {**email, "to": ["complained@example.com"]},
        "email.bounced": {**email, "bounce": bounce},
    }
    return {name: {"type": name, "created_at": now, "data": one} for name, one in data.items()}
