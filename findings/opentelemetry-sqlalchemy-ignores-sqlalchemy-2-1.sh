#!/usr/bin/env bash
# OpenTelemetry's instrumentation of SQLAlchemy does nothing with SQLAlchemy 2.1: no error is raised, a
# log line says that nothing can be instrumented, and traces have no database in them.
#
# Seen on 2026-11-28 with Python 3.11 and opentelemetry-instrumentation-sqlalchemy==0.66b1 opentelemetry-sdk==1.45.1 sqlalchemy==2.1.9 setuptools==80.9.0.
# Fails if the output changes. Installs into a temporary folder, and talks to loopback alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    opentelemetry-instrumentation-sqlalchemy==0.66b1 opentelemetry-sdk==1.45.1 sqlalchemy==2.1.9 setuptools==80.9.0

cat > "$folder/check.py" <<'PYTHON'
import logging
logging.disable()
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import sqlalchemy

spans, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
SQLAlchemyInstrumentor().instrument(tracer_provider=provider)
engine = sqlalchemy.create_engine("sqlite://")
with engine.connect() as connection:
    connection.execute(sqlalchemy.text("SELECT 1"))
print(f"SQLAlchemy {sqlalchemy.__version__}: {len(spans.get_finished_spans())} spans")
PYTHON
expected=$(cat <<'OUTPUT'
SQLAlchemy 2.1.9: 0 spans
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
