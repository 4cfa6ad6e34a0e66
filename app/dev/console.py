"""One log for several processes: each line starts with the name of its process."""

import os
import threading
from typing import TextIO

COLOURS = (36, 35, 33, 32, 34)  # https://en.wikipedia.org/wiki/ANSI_escape_code#Colors
NAME_WIDTH = 8


class Console:
    """Writes prefixed lines; in colour only for a terminal, and not when NO_COLOR is set."""

    def __init__(self, stream: TextIO) -> None:
        self._colourful = is_colourful(stream)
        self._stream = stream
        self._lock = threading.Lock()
        self._names: list[str] = []

    def line(self, name: str, text: str) -> None:
        """Write one line of the process `name`; no other thread's line gets into it."""
        with self._lock:
            self._stream.write(f"{self._prefix(name)} {text}\n")
            self._stream.flush()

    def _prefix(self, name: str) -> str:
        padded = f"{name:<{NAME_WIDTH}} │"
        if not self._colourful:
            return padded
        if name not in self._names:
            self._names.append(name)
        colour = COLOURS[self._names.index(name) % len(COLOURS)]
        return f"\033[{colour}m{padded}\033[0m"


def is_colourful(stream: TextIO) -> bool:
    """Tell whether to write in colour: for a terminal, unless NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")
