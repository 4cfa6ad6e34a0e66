#!/usr/bin/env bash
# css-inline's keep_at_rules puts the kept rules at the very beginning of <head>, before the <meta> that
# names the encoding. Browsers look for that in the first 1024 bytes alone, so media queries of some
# length turn the letters of an email that is opened as a file to gibberish.
#
# Seen on 2026-11-28 with Python 3.11 and css-inline==0.24.0.
# Fails if the output changes. Installs into a temporary folder, and talks to loopback alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    css-inline==0.24.0

cat > "$folder/check.py" <<'PYTHON'
from css_inline import CSSInliner

rules = "".join(f"@media (max-width: {n}px) {{ .c{n} {{ padding: {n}px !important }} }}" for n in range(300, 330))
page = f'<html><head><meta charset="utf-8"><style>p {{ color: red }} {rules}</style></head><body><p>\u00fc</p></body></html>'
for kept in (False, True):
    inlined = CSSInliner(keep_at_rules=kept).inline(page)
    print(f"keep_at_rules={kept}: charset within 1024 bytes: {inlined.encode().find(b'charset') < 1024}")
PYTHON
expected=$(cat <<'OUTPUT'
keep_at_rules=False: charset within 1024 bytes: True
keep_at_rules=True: charset within 1024 bytes: False
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
