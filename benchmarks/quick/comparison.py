"""What has grown since the baseline, by more than counting it again would change it."""

from collections.abc import Mapping
from typing import NamedTuple

#: By how much a value may differ from the baseline: absolutely, and as a part of it.
_TOLERANCES = {
    "statements": (0.2, 0),
    "round trips": (0.2, 0),
    "commits": (0.2, 0),
    "WAL bytes": (0, 0.05),
    "updates": (0.05, 0),
    "HOT share": (0.05, 0),
    "messages a day": (0, 0),
}
#: Of this, less is worse.
_MORE_IS_BETTER = {"HOT share"}


class Row(NamedTuple):
    """A value beside its baseline; `verdict` is worse, better, same, new or gone."""

    name: str
    baseline: float | None
    now: float | None
    verdict: str


def compare(baseline: Mapping[str, float], counted: Mapping[str, float]) -> list[Row]:
    """Return a row for each value of either; a name ends in one of the kinds above."""
    names = list(dict.fromkeys((*counted, *baseline)))
    return [
        Row(name, baseline.get(name), counted.get(name), _verdict(name, baseline, counted))
        for name in names
    ]


def _verdict(name: str, baseline: Mapping[str, float], counted: Mapping[str, float]) -> str:
    if name not in baseline:
        return "new"
    if name not in counted:
        return "gone"
    kind = _kind(name)
    absolute, part = _TOLERANCES[kind]
    more = counted[name] - baseline[name]
    if abs(more) <= max(absolute, part * baseline[name]):
        return "same"
    return "better" if (more > 0) is (kind in _MORE_IS_BETTER) else "worse"


def _kind(name: str) -> str:
    return next(kind for kind in _TOLERANCES if name.endswith(kind))


def complaint(row: Row) -> str:
    """Return the sentence about a row that is worse, new or gone."""
    if row.verdict == "new":
        return f"{row.name} ({written(row.now)}) is not in the baseline"
    if row.verdict == "gone":
        return f"{row.name} is in the baseline, but was not counted"
    absolute, part = _TOLERANCES[_kind(row.name)]
    allowed = f"{part:.0%}" if part else written(absolute)
    verb = "fell" if _kind(row.name) in _MORE_IS_BETTER else "grew"
    change = f"{verb} from {written(row.baseline)} to {written(row.now)}"
    return f"{row.name} {change} (allowed: {allowed})"


def written(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")
