#!/usr/bin/env bash
# The QStash Python SDK's Receiver.verify() takes clock_tolerance and does nothing with it: a token
# that expired 5 s ago is refused in spite of a tolerance of 60 s.
#
# Seen on 2026-11-28 with Python 3.11 and qstash==3.4.0.
# Fails if the output changes. Installs into a temporary folder, and talks to loopback alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    qstash==3.4.0

cat > "$folder/check.py" <<'PYTHON'
import base64, hashlib, time
import jwt
from qstash import Receiver

body, url, key, now = "{}", "https://app.example.com/hook", "k" * 32, int(time.time())
claims = {
    "iss": "Upstash", "sub": url, "iat": now - 400, "nbf": now - 400, "exp": now - 5, "jti": "1",
    "body": base64.urlsafe_b64encode(hashlib.sha256(body.encode()).digest()).decode(),
}
receiver = Receiver(current_signing_key=key, next_signing_key="n" * 32)
for tolerance in (0, 60):
    try:
        receiver.verify(
            signature=jwt.encode(claims, key, "HS256"), body=body, url=url, clock_tolerance=tolerance
        )
        print(f"tolerance {tolerance} s: accepted")
    except Exception as error:
        print(f"tolerance {tolerance} s: refused ({type(error).__name__})")
PYTHON
expected=$(cat <<'OUTPUT'
tolerance 0 s: refused (SignatureError)
tolerance 60 s: refused (SignatureError)
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
