#!/usr/bin/env bash
# A migration that runs another Alembic environment's upgrade, as for the tables of a library, loses its
# own `op`: what follows in it fails on None, and a KeyError 'script' on the way out hides that.
#
# Seen on 2026-11-29 with Python 3.11 and alembic==1.20.1 sqlalchemy==2.1.9.
# Fails if the output changes. Installs into a temporary folder, and talks to loopback alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    alembic==1.20.1 sqlalchemy==2.1.9

cat > "$folder/check.py" <<'PYTHON'
import pathlib, tempfile
from alembic import command
from alembic.config import Config

ENV = """from alembic import context
import sqlalchemy
engine = context.config.attributes["engine"]
with engine.begin() as connection:
    context.configure(connection=connection, version_table=context.config.get_main_option("table"))
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = '''revision = "{}"
down_revision = None
{}
'''
INNER = "from alembic import op\ndef upgrade():\n    op.execute('CREATE TABLE inner_table (id int)')\n"
OUTER = """from alembic import op
from alembic import command
def upgrade():
    op.execute('CREATE TABLE first (id int)')
    {}
    op.execute('CREATE TABLE second (id int)')
"""
root = pathlib.Path(tempfile.mkdtemp())
def make(name, body):
    (root/name/"versions").mkdir(parents=True)
    (root/name/"env.py").write_text(ENV)
    (root/name/"versions"/"one.py").write_text(REVISION.format(name, body))
    config = Config(); config.set_main_option("script_location", str(root/name)); config.set_main_option("table", f"{name}_version")
    return config
import builtins, sqlalchemy
inner = make("inner", INNER)
builtins.run_inner = lambda: command.upgrade(inner, "head")
for name, call in (("alone", "pass"), ("nested", "run_inner()")):
    outer = make(name, OUTER.format(call))
    engines = [sqlalchemy.create_engine("sqlite://") for _ in range(2)]
    outer.attributes["engine"], inner.attributes["engine"] = engines
    try:
        command.upgrade(outer, "head")
        print(name, "upgraded", sorted(sqlalchemy.inspect(engines[0]).get_table_names()))
    except Exception as error:
        first = error.__context__ or error
        print(name, type(error).__name__, error, "after", type(first).__name__, first)
PYTHON
expected=$(cat <<'OUTPUT'
alone upgraded ['alone_version', 'first', 'second']
nested KeyError 'script' after AttributeError 'NoneType' object has no attribute 'execute'
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
