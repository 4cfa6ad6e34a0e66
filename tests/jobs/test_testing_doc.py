"""What docs/testing.md shows is true: its examples are run as one file of tests."""

import re
from pathlib import Path

from tests.support.project import ROOT, assert_passed, copy_project, run_python

DOC = (ROOT / "docs/testing.md").read_text()


def test_the_examples_of_the_page_work_as_they_stand(tmp_path: Path, database_server: str) -> None:
    copy_project(tmp_path)
    examples = re.findall(r"^```python\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    (tmp_path / "tests/test_orders.py").write_text("\n\n".join(examples))

    done = run_python(tmp_path, database_server, "-m", "pytest", "-q", "tests/test_orders.py")

    tests = len(re.findall(r"^def test_", "".join(examples), re.MULTILINE))
    assert tests
    assert_passed(done, tests)
