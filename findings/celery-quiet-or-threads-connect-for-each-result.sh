#!/usr/bin/env bash
# `celery --quiet worker`, and any worker with --pool threads, opens a connection to the database for
# each result that it stores (NullPool). Only a prefork worker that is not quiet keeps them: printing
# its banner makes the backend before the fork, and only one that has been forked pools connections.
# With results in PostgreSQL that is 14 statements and a connection for a result instead of 5.
#
# Seen on 2026-11-29 with Python 3.11 and celery==5.7.0 sqlalchemy==2.1.9.
# Fails if the output changes. Installs into a temporary folder, and uses files alone.
set -euo pipefail

folder=$(mktemp -d)
worker=
trap '[ -z "$worker" ] || kill "$worker" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check celery==5.7.0 sqlalchemy==2.1.9

cat > "$folder/tasks.py" <<'PYTHON'
import os

from celery import Celery

tried = os.environ["TRIED_POOL"]
app = Celery("tasks", broker="filesystem://", backend=f"db+sqlite:///{tried}/results.sqlite3")
app.conf.broker_transport_options = {
    "data_folder_in": f"{tried}/queue",
    "data_folder_out": f"{tried}/queue",
    "control_folder": f"{tried}/control",
}


@app.task
def pool_of_results():
    """Return how the worker keeps the connections that it stores results by."""
    with app.backend.ResultSession() as session:
        return type(session.get_bind().pool).__name__
PYTHON

expected=$(cat <<'OUTPUT'
threads: NullPool
prefork: QueuePool
prefork, quiet: NullPool
OUTPUT
)

cd "$folder"
try() { # NAME, and what celery gets before and after its subcommand
    local asked='import tasks; print(tasks.pool_of_results.delay().get(timeout=60))'
    export TRIED_POOL=$1
    mkdir -p "$1/queue"
    # shellcheck disable=SC2086 # several words, or none
    venv/bin/celery $2 --app tasks worker $3 --concurrency 1 --loglevel ERROR > "$1/log" 2>&1 &
    worker=$!
    echo "$1: $(venv/bin/python -c "$asked")"
    kill "$worker"
    wait "$worker" || true
}
seen=$(
    try threads "" "--pool threads"
    try prefork "" "--pool prefork"
    try "prefork, quiet" --quiet "--pool prefork"
)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
