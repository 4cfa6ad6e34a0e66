#!/usr/bin/env bash
# boto3 sends DeleteObjects with a CRC32 and without Content-MD5, whatever it is told of checksums:
# `request_checksum_calculation="when_required"`, the advice for S3-compatible stores, changes nothing
# here. A store that demands the older Content-MD5 for this request refuses every deletion.
#
# Seen on 2026-11-28 with Python 3.11 and boto3==1.44.5 botocore==1.44.5.
# Fails if the output changes. Installs into a temporary folder, and talks to loopback alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    boto3==1.44.5 botocore==1.44.5

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

import boto3
from botocore.config import Config

for wanted in ("when_supported", "when_required"):
    client = boto3.session.Session().client(
        "s3", endpoint_url=address, region_name="us-east-1",
        aws_access_key_id="key", aws_secret_access_key="secret",
        config=Config(
            request_checksum_calculation=wanted, response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        ),
    )
    ANSWER = "<DeleteResult></DeleteResult>"
    client.delete_objects(Bucket="files", Delete={"Objects": [{"Key": "a"}]})
    names = {name.lower() for name in requests[-1][1]}
    sums = sorted(n for n in names if n == "content-md5" or n.startswith("x-amz-checksum-"))
    print(f"{wanted}: {', '.join(sums)}")
PYTHON
expected=$(cat <<'OUTPUT'
when_supported: x-amz-checksum-crc32
when_required: x-amz-checksum-crc32
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
