"""The table of docs/coming-from.md has every test of this folder, in the guide's order."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/coming-from.md"
ROW = re.compile(r"^\| .* \| `(test_\w+)` \|$", re.MULTILINE)


def defined() -> list[str]:
    modules = sorted(HERE.glob("test_[0-9]*.py"))
    trees = [ast.parse(module.read_text()) for module in modules]
    names = [node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith("test_")]


def test_each_example_of_the_guide_is_in_the_table_with_its_test() -> None:
    assert ROW.findall(PAGE.read_text()) == defined()
