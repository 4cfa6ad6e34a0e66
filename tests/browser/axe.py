"""axe-core, which looks at a page for what some readers could not use."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.node_sdk import node_with

FOLDER = Path(__file__).parent / "axe_core"
#: What axe calls a finding that keeps somebody from reading or acting.
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the program, which npm brings as locked."""
    node_with(FOLDER)
    return (FOLDER / "node_modules/axe-core/axe.min.js").read_text()


def findings(page: Page, program: str) -> list[str]:
    """Return the serious findings of a page as it is."""
    # By the debugger, which the page's policy does not hold.
    page.evaluate(program)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
