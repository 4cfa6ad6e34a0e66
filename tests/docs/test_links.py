"""Links within the project lead to files that exist, and to headings that they have."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, prose_of

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ELSEWHERE = ("http://", "https://", "mailto:")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    links = [link for link in _LINK.findall(prose_of(page)) if not link.startswith(_ELSEWHERE)]

    assert [link for link in links if not leads(ROOT / page, link)] == []


def leads(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


@cache
def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose_of(str(page.relative_to(ROOT))), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def test_the_index_names_every_page() -> None:
    named = set(_LINK.findall(prose_of("docs/README.md")))

    assert {Path(page).name for page in PAGES if page.startswith("docs/")} - named == {"README.md"}
