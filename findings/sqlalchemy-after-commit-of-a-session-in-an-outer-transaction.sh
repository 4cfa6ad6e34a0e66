#!/usr/bin/env bash
# A SQLAlchemy Session that joined an outer transaction fires `after_commit` at its own commit, though
# nothing is committed until the outer one is. What hangs on that event (publish the job, send the
# email) then happens, also if the outer transaction rolls back.
#
# Seen on 2026-11-28 with Python 3.11 and sqlalchemy==2.1.9.
# Fails if the output changes. Installs into a temporary folder, and talks to loopback alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    sqlalchemy==2.1.9

cat > "$folder/check.py" <<'PYTHON'
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session

engine = create_engine("sqlite://")
with engine.connect() as connection:
    connection.execute(text("CREATE TABLE jobs (id INTEGER)"))
    connection.commit()
    for mode in ("conditional_savepoint", "rollback_only"):
        outer = connection.begin()
        session = Session(connection, join_transaction_mode=mode)
        told = []
        event.listen(session, "after_commit", lambda _: told.append("after_commit"))
        session.execute(text("INSERT INTO jobs VALUES (1)"))
        session.commit()
        session.close()
        outer.rollback()
        rows = connection.execute(text("SELECT count(*) FROM jobs")).scalar()
        connection.rollback()
        print(f"{mode}: told {told}, rows {rows}")
PYTHON
expected=$(cat <<'OUTPUT'
conditional_savepoint: told ['after_commit'], rows 0
rollback_only: told ['after_commit'], rows 0
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
