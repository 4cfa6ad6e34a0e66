"""The project's Dockerfile as instructions, and what .dockerignore lets into an image."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; `stage` counts from 0."""

    stage: int
    name: str
    words: str

    @property
    def exec_form(self) -> list[str]:
        """Return the command of a CMD, ENTRYPOINT or HEALTHCHECK, which must be a JSON array."""
        command: list[str] = json.loads(self.words[self.words.index("[") :])
        return command


def instructions() -> list[Instruction]:
    code = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found, stage = [], -1
    for line in filter(None, re.sub(r"\\\n\s*", "", code).splitlines()):
        name, _, words = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(stage, name, words.strip()))
    return found


def in_context() -> list[str]:
    """Return what is sent to the build: all is ignored but lines with an exclamation mark."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    return [line.removeprefix("!") for line in lines if line.startswith("!")]
