#!/usr/bin/env bash
# `pytest --cov tests/unit` measures the folder tests/unit, and runs all tests: --cov takes the next
# word as what to measure, though it may also stand alone. `--cov=` and a value are needed before a path.
#
# Seen on 2026-11-28 with Python 3.11 and pytest==9.1.0 pytest-cov==7.1.0.
# Fails if the output changes. Installs into a temporary folder, and talks to loopback alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    pytest==9.1.0 pytest-cov==7.1.0

cat > "$folder/check.py" <<'PYTHON'
import pathlib, subprocess, sys

for name in ("unit", "slow"):
    pathlib.Path("tests", name).mkdir(parents=True)
    pathlib.Path("tests", name, f"test_{name}.py").write_text("def test_it(): pass\n")
for words in (["--cov", "tests/unit"], ["--cov=.", "tests/unit"]):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--cov-report=", *words]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    print(f"{' '.join(words)}: {said.splitlines()[-1].split(' in ')[0]}")
PYTHON
expected=$(cat <<'OUTPUT'
--cov tests/unit: 2 passed
--cov=. tests/unit: 1 passed
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
