#!/usr/bin/env bash
# The QStash Python SDK's log.list() prints the server's whole answer to standard output; the
# asynchronous client does not. In a command-line tool with --json it lands in the middle of the JSON.
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

import asyncio, contextlib, io
from qstash import AsyncQStash, QStash

ANSWER = json.dumps({"logs": [], "events": []})

async def listed():
    await AsyncQStash("token", base_url=address).log.list()

for name, call in (
    ("sync", lambda: QStash("token", base_url=address).log.list()),
    ("async", lambda: asyncio.run(listed())),
):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        call()
    print(f"{name}: {len(printed.getvalue().splitlines())} line(s) printed")
PYTHON
expected=$(cat <<'OUTPUT'
sync: 1 line(s) printed
async: 0 line(s) printed
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
