#!/usr/bin/env bash
# A line of no length with round ends is a dot, says SVG (https://www.w3.org/TR/SVG2/paths.html,
# zero-length segments). typst draws it in a PNG and leaves it out of a PDF of the same document, so a
# line chart whose only value stands alone is empty there.
#
# Seen on 2026-11-28 with Python 3.11 and typst==0.15.2 pypdfium2==5.0.0 pillow==12.0.0.
# Fails if the output changes. Installs into a temporary folder, and talks to loopback alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check \
    typst==0.15.2 pypdfium2==5.0.0 pillow==12.0.0

cat > "$folder/check.py" <<'PYTHON'
import io
import pypdfium2, typst
from PIL import Image

SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">
<path d="M20 20L{x} 20" fill="none" stroke="#000" stroke-width="10" stroke-linecap="round"/></svg>"""
with open("page.typ", "w") as file:
    file.write('#set page(width: 40pt, height: 40pt, margin: 0pt)\n#image("dot.svg")')

def said(picture):
    return "a dot" if sum(picture.convert("L").histogram()[:128]) else "nothing"

for length, x in (("0", "20"), ("0.1", "20.1")):
    with open("dot.svg", "w") as file:
        file.write(SVG.format(x=x))
    png = Image.open(io.BytesIO(typst.compile("page.typ", format="png", ppi=72)))
    pdf = pypdfium2.PdfDocument(typst.compile("page.typ"))[0].render().to_pil()
    print(f"length {length}: PNG {said(png)}, PDF {said(pdf)}")
PYTHON
expected=$(cat <<'OUTPUT'
length 0: PNG a dot, PDF nothing
length 0.1: PNG a dot, PDF a dot
OUTPUT
)

seen=$(cd "$folder" && venv/bin/python check.py)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "The behaviour has changed." >&2; exit 1; }
