"""What the doctor says."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """What a run of the doctor found, by check, and its exit code."""

    exit_code: int
    findings: dict[str, dict[str, str]]

    def levels(self) -> dict[str, str]:
        return {name: finding["level"] for name, finding in self.findings.items()}


Doctor = Callable[..., Said]
