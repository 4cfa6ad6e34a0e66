"""CONTRIBUTING.md: its map has every part and every room, and answers its own questions."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
#: Parts that are mapped by what is in them.
OPENED = {"app/families", "app/jobs"}


def test_the_map_names_every_part_and_every_room_and_no_other() -> None:
    mapped = re.findall(r"^\| `(app/[\w/.]+)` \|", TEXT, re.MULTILINE)

    assert sorted(mapped) == sorted({*parts("app") - {"app/families"}, *rooms()})


def parts(folder: str) -> set[str]:
    """Return the packages and modules of a folder."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).iterdir()
        if (path / "__init__.py").exists() or (path.suffix == ".py" and path.stem != "__init__")
    }


def rooms() -> set[str]:
    return {room for part in OPENED for room in parts(part) if not room.endswith(".py")}


def test_each_question_is_answered_by_a_row_of_the_map() -> None:
    answers = re.findall(r"^\| [^|]+\? \| `([\w/.]+)` \|$", TEXT, re.MULTILINE)

    assert len(answers) >= 10
    assert set(answers) <= parts("app") | rooms()


def test_the_glossary_explains_each_word_once() -> None:
    table = TEXT.partition("## Glossary")[2].partition("\n## ")[0]
    words = re.findall(r"^\| ([a-z][\w, ]+) \| \S", table, re.MULTILINE)

    assert len(words) >= 25
    assert len(set(words)) == len(words)


def test_every_path_that_it_names_is_there() -> None:
    named = re.findall(r"`((?:app|tests|docs|requirements)/[\w/.]+)`", TEXT)

    assert [path for path in named if not (ROOT / path).exists()] == []
