"""Each message on the page of troubleshooting is one that the code still prints."""

import ast
import re
from functools import cache

import pytest

from tests.docs.pages import ROOT, text_of

PLACES = (ROOT / "app", ROOT / "migrations")
MESSAGES = re.findall(r"^\| `([^`]+)` \|", text_of("docs/troubleshooting.md"), re.MULTILINE)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_that_the_code_has(message: str) -> None:
    wanted = re.compile(".*".join(map(re.escape, message.strip("… ").split("…"))), re.DOTALL)

    assert any(wanted.search(text) for text in texts())


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


def test_the_page_names_many() -> None:
    assert len(MESSAGES) > 80
