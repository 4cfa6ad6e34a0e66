"""The blocks that no test of this folder runs, each with the reason: by page and first line."""

import re

from tests.docs.pages import Block

RUN = ("sh", "python")
#: What is no code for a shell or for Python, whatever it says.
LANGUAGES = {
    "": "shows output",
    "text": "shows output, or what is written where no shell reads it",
    "json": "shows an answer, in which ids and times differ",
    "ini": "configures another program",
    "yaml": "configures another program",
}
#: Though marked as output, these are code or commands, and so need a reason of their own.
LOOKS_LIKE_CODE = re.compile(
    r"^(flask |make |pip |curl |docker |git |sudo |systemctl |from \w+|import |def |@)",
    re.MULTILINE,
)

DEMO = "tests/dev/test_demo.py runs it"
HOSTS = "tests/extension/hosts has apps that do so"
THIS = "is what runs this"
STACK = "tests/dev/test_stack.py and test_runner.py start it"
SMS = "tests/test_readme.py writes these files and runs their tests"
SERVER = "tests/local_qstash/test_cli.py starts servers with such options"
CLIENT = "tests/docs/test_local_qstash_page.py runs it"
PAGE = "tests/host/test_pages.py runs the page's app, and its requests"
#: Each a whole app.
OF_HOSTS = {
    f"docs/{name}.md"
    for name in ("app-factory", "global-app", "api-behind-a-prefix", "uuid-keys", "multi-tenant")
}
TESTING = "tests/jobs/test_testing_doc.py runs the page's examples as one file of tests"

#: By page, and by how a block begins.
REASONS: dict[str, dict[str, str]] = {
    "README.md": {
        "git clone": "takes the address of the reader's copy",
        "make demo": DEMO,
        "make check": THIS,
        "make dev": STACK,
    },
    "CONTRIBUTING.md": {"make check": THIS, "make test": THIS},
    "docs/add-to-your-app.md": dict.fromkeys(
        (
            "pip install",
            "from dataclasses",
            "from flask_qstash_jobs",
            "flask jobs",
            "app.config",
        ),
        "tests/extension/test_hosts.py does as a newcomer would",
    ),
    "docs/extending.md": {
        "from app.jobs import migrations": "tests/jobs/test_migrations.py calls it so",
    },
    "docs/batches.md": {
        "flask jobs batches": "names batches by id; tests/jobs/cli/test_batch_commands.py does",
    },
    "docs/workflows.md": {
        "flask jobs workflows": "names workflows by id, as docs/batches.md does batches",
    },
    "docs/deploy.md": {
        "docker build": "wants a container engine; tests/deploy does by hand what the image does",
        "useradd": "changes the machine",
        "git clone": "changes the machine",
    },
    "docs/exports-and-reports.md": {
        "MEMBERSHIPS = Entity(": "is a part of a file",
    },
    "docs/dashboard.md": {
        "from flask_qstash_jobs.dashboard": HOSTS,
        "flask admin create-user": "asks for a password; tests/dashboard/test_sign_in.py gives one",
    },
    "docs/idempotency.md": {"stripe.Refund": "would move money"},
    "docs/local-qstash.md": {
        "import os": CLIENT,
        "curl -X POST": CLIENT,
        'curl "$QSTASH_URL/v2/events': CLIENT,
        "curl -X PUT": CLIENT,
        "set -a; . ./.env": CLIENT,
        "import { Client }": CLIENT,
        "QSTASH_DEV=true": CLIENT,
        "flask qstash dev": SERVER,
        "QSTASH_DEV_TOKEN=": SERVER,
    },
    "docs/quick-start.md": {
        "make demo": DEMO,
        "make dev": STACK,
        '"""Text messages."""': SMS,
        '"""The job `send-sms`': SMS,
    },
    "docs/monitoring.md": {
        "flask jobs health": "has the verdict as its exit code",
        "flask jobs doctor\n": "has what it finds as its exit code",
        "flask jobs doctor --production": "likewise",
        "flask jobs alerts test": "needs a channel, and an alert",
        "pip install": "installs an extra; tests/deploy/test_locks.py holds its lock",
        "from flask_qstash_jobs.gunicorn_hooks": "gunicorn.conf.py imports them so",
    },
}


def is_run(block: Block) -> bool:
    return block.language in RUN and reason(block) is None


def reason(block: Block) -> str | None:
    """Say why a block is not run; None where it is, or where no reason was given."""
    for beginning, why in REASONS.get(block.page, {}).items():
        if block.text.startswith(beginning):
            return why
    if block.page in OF_HOSTS:
        return PAGE
    if block.page == "docs/testing.md":
        return TESTING
    if block.language in RUN or LOOKS_LIKE_CODE.search(block.text):
        return None
    return LANGUAGES.get(block.language)
