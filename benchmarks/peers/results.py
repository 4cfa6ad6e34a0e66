"""What a session has measured, and what may be concluded from it."""

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OURS = "ours"
#: Above this, the rounds differ too much for a conclusion.
MOST_SPREAD = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One scenario of one system in one round; what `values` may have is in `scenarios`."""

    round: int
    scenario: str
    system: str
    jobs: int
    values: dict[str, float]


@dataclass(slots=True, kw_only=True)
class Session:
    """All that a session leaves, as its JSON has it.

    Attributes:
        made: when it began, in UTC.
        environment: machine, versions and settings, in words.
        options: what was asked for.
        systems: by name, the texts that say what each is.
        skipped: names of systems that did not take part, and why.
        measurements: one for each scenario, system and round.
        counted: by system, what was counted, per job.
    """

    made: str
    environment: dict[str, str]
    options: dict[str, Any]
    systems: dict[str, dict[str, str]]
    skipped: dict[str, str] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    counted: dict[str, dict[str, float]] = field(default_factory=dict)

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> "Session":
        kept = json.loads(file.read_text())
        kept["measurements"] = [Measurement(**one) for one in kept["measurements"]]
        return cls(**kept)

    def scenarios(self) -> list[str]:
        return list(dict.fromkeys(one.scenario for one in self.measurements))

    def systems_in(self, scenario: str) -> list[str]:
        found = (one.system for one in self.measurements if one.scenario == scenario)
        return list(dict.fromkeys(found))

    def figure(self, scenario: str, system: str, value: str) -> "Figure | None":
        found = {
            one.round: one.values[value]
            for one in self.measurements
            if (one.scenario, one.system) == (scenario, system) and value in one.values
        }
        return Figure(found) if found else None


class Figure:
    """One value of one row: its median over the rounds, and how far the rounds are apart."""

    def __init__(self, by_round: dict[int, float]) -> None:
        self.by_round = by_round
        self.median = statistics.median(by_round.values())

    @property
    def spread(self) -> float:
        """The middle half of the rounds, as a part of the median; of two rounds, their distance."""
        values = list(self.by_round.values())
        if len(values) < 2 or not self.median:
            return 0.0
        if len(values) == 2:
            return (max(values) - min(values)) / self.median
        quarters = statistics.quantiles(values, n=4)
        return (quarters[2] - quarters[0]) / self.median

    @property
    def is_steady(self) -> bool:
        return self.spread <= MOST_SPREAD

    def ratio_to(self, other: "Figure") -> float | None:
        """Return the median of the rounds' ratios.

        None if either is too unsteady to have one, or if that cannot be known of a single round.
        """
        rounds = [key for key in self.by_round if other.by_round.get(key)]
        if len(rounds) < 2 or not (self.is_steady and other.is_steady):
            return None
        return statistics.median(self.by_round[key] / other.by_round[key] for key in rounds)
