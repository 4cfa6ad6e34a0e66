"""Each message on the page of troubleshooting is one that the code still prints."""

import ast
import re
from functools import cache

from tests.docs.pages import ROOT, text_of

PLACES = (ROOT / "app", ROOT / "migrations")
MESSAGES = re.findall(r"^\| `([^`]+)` \|", text_of("docs/troubleshooting.md"), re.MULTILINE)


def test_every_message_is_one_that_the_code_has() -> None:
    assert len(MESSAGES) > 80
    assert [message for message in MESSAGES if not is_there(message)] == []


def is_there(message: str) -> bool:
    wanted = re.compile(".*".join(map(re.escape, message.strip("… ").split("…"))), re.DOTALL)
    return any(wanted.search(text) for text in texts())


@cache
def texts() -> list[str]:
    """Return every text of the code, with `…` for what is put into it."""
    sources = [path.read_text() for place in PLACES for path in sorted(place.rglob("*.py"))]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    return [text for node in nodes if (text := read(node))]


def read(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(read(part) or "…" for part in parts)
    return ""
