#!/usr/bin/env bash
# Flask-Limiter adds itself to Flask's command as a plugin, so where it is installed every `flask`
# command imports it, limits and rich: `flask --help` of an app that does not use it, too.
#
# Seen on 2026-11-29 with Python 3.11 and flask==3.1.3 flask-limiter==4.1.1.
# Fails if the output changes. Installs into a temporary folder, and talks to loopback alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    flask==3.1.3 flask-limiter==4.1.1

cat > "$folder/check.py" <<'PYTHON'
import pathlib, subprocess, sys

pathlib.Path("app.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
done = subprocess.run(
    [sys.executable, "-X", "importtime", "-m", "flask", "--help"], capture_output=True, text=True
)
imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
for name in ("limits", "rich", "flask_limiter.util"):
    print(name, "is imported" if name in imported else "is not imported")
PYTHON
expected=$(cat <<'OUTPUT'
limits is imported
rich is imported
flask_limiter.util is imported
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
