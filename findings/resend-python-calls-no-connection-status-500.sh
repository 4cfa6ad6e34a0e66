#!/usr/bin/env bash
# The Resend Python SDK reports that it could not connect as an error with code 500, as if Resend had
# answered: `error.code >= 500` does not tell an outage of Resend from a missing network.
#
# Seen on 2026-11-28 with Python 3.11 and resend==2.52.0.
# Fails if the output changes. Installs into a temporary folder, and talks to loopback alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    resend==2.52.0

cat > "$folder/check.py" <<'PYTHON'
import resend

resend.api_key, resend.api_url = "re_123", "http://127.0.0.1:9"  # nobody listens there
try:
    resend.Emails.send(
        {"from": "a@example.com", "to": "b@example.com", "subject": "s", "html": "h"}
    )
except resend.exceptions.ResendError as error:
    print(f"code {error.code}, error_type {error.error_type}")
PYTHON
expected=$(cat <<'OUTPUT'
code 500, error_type HttpClientError
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
