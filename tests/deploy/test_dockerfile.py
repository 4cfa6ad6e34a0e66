"""The rules of hadolint that matter here: it is no package of Python's."""

import re
import subprocess
from pathlib import Path

from tests.deploy.dockerfile import ROOT, Instruction, instructions

ALL = instructions()
LAST = [one for one in ALL if one.stage == ALL[-1].stage]


def named(name: str, among: list[Instruction] = ALL) -> list[Instruction]:
    return [one for one in among if one.name == name]


def test_every_base_image_is_pinned_to_a_version() -> None:
    tags = [one.words.split()[0].partition(":")[2] for one in named("FROM")]

    assert tags
    assert all(re.match(r"\d+\.\d+-slim-\w+$", tag) for tag in tags)
    assert len(set(tags)) == 1


def test_it_runs_as_a_user_with_a_number_who_owns_no_code() -> None:
    (user,) = named("USER")

    assert int(user.words) > 1000
    assert LAST.index(user) > max(map(LAST.index, named("RUN", LAST)))
    assert not any("--chown" in one.words for one in named("COPY", LAST))


def test_what_is_installed_is_held_to_the_hashes_of_a_lock() -> None:
    installing = [one for one in named("RUN") if "pip" in one.words]

    assert [one.stage for one in installing] == [0]
    assert "--require-hashes --only-binary :all:" in installing[0].words
    assert "--no-cache-dir" in installing[0].words


def test_nothing_is_fetched_but_by_pip() -> None:
    assert named("ADD") == []
    assert not any(re.search(r"\b(curl|wget|apt-get|apk|git)\b", one.words) for one in named("RUN"))


def test_a_shell_takes_its_commands() -> None:
    for one in named("RUN"):
        subprocess.run(["/bin/sh", "-n", "-c", one.words], check=True)  # noqa: S603 - our own, only parsed


def test_an_extra_adds_its_lock_to_what_is_installed(tmp_path: Path) -> None:
    """The commands are run with others in the place of python and pip, which print."""
    (installing,) = (one.words for one in named("RUN") if "pip" in one.words)
    for name in ("python", "pip"):
        (tmp_path / name).write_text('#!/bin/sh\necho "$@"\n')
        (tmp_path / name).chmod(0o755)

    done = subprocess.check_output(  # noqa: S603 - likewise
        ["/bin/sh", "-c", installing],
        env={"PATH": str(tmp_path), "EXTRAS": "s3 pdf"},
        text=True,
    )

    locks = re.findall(r"requirements/(\w+)\.txt", done)
    assert locks == ["runtime", "s3", "pdf"]
    assert all((ROOT / f"requirements/{lock}.txt").exists() for lock in locks)


def test_it_names_no_secret() -> None:
    set_by_it = " ".join(one.words for one in (*named("ENV"), *named("ARG")))

    assert not re.search(r"SECRET|TOKEN|KEY|PASSWORD|DATABASE_URL", set_by_it)


def test_its_process_gets_signals_and_is_asked_how_it_is() -> None:
    """A shell between would keep SIGTERM to itself, and running jobs would be cut off."""
    (command,), (check,) = named("CMD"), named("HEALTHCHECK")

    assert command.exec_form == ["gunicorn", "-c", "gunicorn.conf.py"]
    assert "/healthz" in check.exec_form[-1]
