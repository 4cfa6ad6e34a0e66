"""docs/security.md names tests that there are."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMED = sorted(
    set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/security.md").read_text()))
)


def test_every_named_test_is_there() -> None:
    assert len(NAMED) > 10
    for path, name in NAMED:
        tree = ast.parse((ROOT / path).read_text())
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not name or name in functions, f"{path}::{name}"
