#!/usr/bin/env bash
# The QStash Python SDK's batch_json() loses retry_delay, which publish_json() and batch() send.
# Whoever gathers single publish_json() calls in one batch_json() gets QStash's own backoff, silently.
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
import json, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

requests = []

class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        requests.append((self.path, dict(self.headers), body))
        sent = ANSWER.encode()
        self.send_response(STATUS)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)
    do_GET = do_POST = do_DELETE = answer
    def log_message(self, *_): pass

STATUS, ANSWER = 200, "{}"
server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"

from qstash import QStash

client = QStash("token", base_url=address)
message = {"url": "https://app.example.com/hook", "retries": 3, "retry_delay": "1000 * (1 + retried)"}
for name, answer, call in (
    ("publish_json", {"messageId": "m"}, lambda m: client.message.publish_json(**m, body={"a": 1})),
    ("batch", [{"messageId": "m"}], lambda m: client.message.batch([{**m, "body": "{}"}])),
    ("batch_json", [{"messageId": "m"}], lambda m: client.message.batch_json([{**m, "body": {"a": 1}}])),
):
    ANSWER = json.dumps(answer)
    call(dict(message))
    path, headers, body = requests[-1]
    if path.endswith("/batch"):
        headers = json.loads(body)[0]["headers"]
    names = {header.lower() for header in headers}
    assert "upstash-retries" in names
    print(f"{name}: retry delay {'sent' if 'upstash-retry-delay' in names else 'lost'}")
PYTHON
expected=$(cat <<'OUTPUT'
publish_json: retry delay sent
batch: retry delay sent
batch_json: retry delay lost
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
