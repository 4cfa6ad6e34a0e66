"""`llms.txt` (https://llmstxt.org) lists every page, so that tools that read docs find them."""

import re

from tests.docs.pages import ROOT

_LINK = re.compile(r"\]\((docs/[\w-]+\.md)\)")


def test_every_page_is_listed_once() -> None:
    listed = _LINK.findall((ROOT / "llms.txt").read_text())

    assert sorted(listed) == sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md"))


def test_each_has_the_title_of_its_page() -> None:
    for title, page in re.findall(r"- \[(.+?)\]\((.+?)\)", (ROOT / "llms.txt").read_text()):
        assert (ROOT / page).read_text().startswith(f"# {title}\n"), page
