"""What the first pages show is true: the example is made and run, the tables are complete."""

import re
from pathlib import Path

from tests.support.apps import names_in
from tests.support.project import assert_passed, copy_project, run_python

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
QUICK_START = (ROOT / "docs/quick-start.md").read_text()
_FILE = re.compile(r"^`((?:app|tests)/\S+\.py)`\n\n```python\n(.*?)```", re.MULTILINE | re.DOTALL)


def example_files() -> dict[str, str]:
    """Return the files that quick start shows: a path on a line of its own, then the code."""
    return dict(_FILE.findall(QUICK_START))


def test_the_example_of_a_job_type_works_as_it_stands(tmp_path: Path, database_server: str) -> None:
    copy_project(tmp_path)
    files = example_files()
    assert len(files) == 3
    for path, code in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(code)

    done = run_python(tmp_path, database_server, "-m", "pytest", "-q", "tests/families/sms")

    assert_passed(done, 4)


def settings_of(text: str) -> dict[str, str]:
    """Return the rows of a table of settings: names and defaults."""
    return dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) ?\|", text, re.MULTILINE))


def test_every_setting_has_a_row_on_its_page() -> None:
    page = settings_of((ROOT / "docs/settings.md").read_text())

    assert page.keys() == names_in((ROOT / ".env.example").read_text())


def test_readme_shows_a_dozen_settings_with_the_defaults_of_the_page() -> None:
    page = settings_of((ROOT / "docs/settings.md").read_text())
    shown = settings_of(README)

    assert len(shown) == 12
    assert shown == {name: page[name] for name in shown}


def test_the_picture_of_a_jobs_life_names_rooms_that_there_are() -> None:
    picture = README.partition("## The life of a job")[2].split("```")[1]
    rooms = set(re.findall(r"\b([a-z]+)/", picture))

    assert rooms == {"enqueue", "table", "publish", "execute", "recover", "operate"}
    assert [room for room in rooms if not (ROOT / "app/jobs" / room).is_dir()] == []


def test_images_are_small_and_shown() -> None:
    pages = "".join(path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
    images = sorted(ROOT.glob("docs/images/*"))

    assert images
    assert [one.name for one in images if f"images/{one.name})" not in pages] == []
    assert [one.name for one in images if one.stat().st_size > 150_000] == []


def test_readme_fits_two_screens() -> None:
    assert len(README.splitlines()) <= 195
    assert len(README.split()) <= 1500


def test_fault_A24_the_makefile_names_no_host() -> None:
    text = (ROOT / "Makefile").read_text()

    assert re.findall(r"https?://|\b[a-z0-9-]+\.(?:org|com|net|io)\b", text) == []
