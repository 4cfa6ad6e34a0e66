"""Every block of code and commands on a page is run, in the order in which it stands there."""

import gc
import warnings
from typing import Any

import pytest
from flask import Flask

from app.accounts.models import Organization, User
from app.db import db
from app.jobs import JobBlueprint
from tests.docs.not_run import REASONS, is_run, reason
from tests.docs.pages import PAGES, Block, blocks
from tests.docs.terminal import Terminal

ALL = [block for page in PAGES for block in blocks(page)]
ADDRESSES = {"BASE_URL": "http://127.0.0.1:8000", "QSTASH_URL": "http://127.0.0.1:8080"}


@pytest.mark.parametrize("page", sorted({block.page for block in ALL if is_run(block)}))
def test_a_page_can_be_copied_from_top_to_bottom(page: str, served: Flask, shell: Terminal) -> None:
    names = at_hand()
    for block in filter(is_run, blocks(page)):
        if block.language == "sh":
            shell.run(at_our_addresses(block.text, served))
        else:
            run(block, names, served)
    forget(names)


def at_hand() -> dict[str, Any]:
    """What the pages take for granted: two people, their organization, and an email's payload."""
    db.session.add(Organization(id=3, name="Analytical Engines"))
    db.session.add(User(id=1, email="ada@example.com", name="Ada"))
    db.session.add(User(id=7, email="ann@example.com", name="Ann"))
    db.session.execute(db.text("ALTER SEQUENCE users_id_seq RESTART WITH 100"))
    db.session.commit()
    return {"__name__": "page"}


def at_our_addresses(commands: str, served: Flask) -> str:
    for setting, usual in ADDRESSES.items():
        commands = commands.replace(usual, served.config[setting])
    return commands


def run(block: Block, names: dict[str, Any], served: Flask) -> None:
    """Run a block of Python, and register the families that it defines, as discovery would."""
    before = set(map(id, names.values()))
    # The pages come one after the other in an app that serves already; a real one starts anew.
    served._got_first_request = False
    code = compile("\n" * (block.line - 1) + block.text, block.page, "exec")
    exec(code, names)  # noqa: S102 - our own pages
    for new in list(names.values()):
        if isinstance(new, JobBlueprint) and id(new) not in before:
            served.register_blueprint(new)


def forget(names: dict[str, Any]) -> None:
    """Let go of what the pages made; a reader's process would end here, clients open or not."""
    names.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_a_block_that_is_not_run_has_a_reason() -> None:
    assert [str(one) for one in ALL if not is_run(one) and reason(one) is None] == []


def test_every_reason_is_that_of_a_block() -> None:
    listed = {(page, beginning) for page, reasons in REASONS.items() for beginning in reasons}
    needed = {
        (page, beginning)
        for page, beginning in listed
        if any(block.page == page and block.text.startswith(beginning) for block in ALL)
    }
    assert listed - needed == set()
