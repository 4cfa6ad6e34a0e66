"""A chart as SVG, the same for the PDF and the page, which colours it by its classes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from math import ceil, floor, log10
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.accounts import currencies
from app.families.reports.renderers import formatting
from app.families.reports.report import Chart, ChartKind, Series, Unit

WIDTH, HEIGHT = 400, 184
LEFT, RIGHT, TOP, BOTTOM = 46, 392, 12, 158
LEGEND = 20
#: Horizontal bars: where they start, next to their names, and how long a name may be.
BAR_LEFT, BAR_RIGHT, LONGEST_NAME = 128, 336, 19
TICKS, DAYS = 5, 6
BARS = (ChartKind.BAR, ChartKind.STACK)

_files = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    series: int


@dataclass(frozen=True, slots=True)
class Label:
    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """The shapes of a chart, in the units of a canvas of `WIDTH` by `HEIGHT`.

    Attributes:
        grid: Heights of the lines across.
        lines: Paths (SVG's `d`), by the number of their series.
        areas: The same paths, closed down to the axis.
    """

    legend: list[Label]
    grid: list[float]
    axis: list[Label]
    days: list[Label]
    lines: list[tuple[int, str]]
    areas: list[tuple[int, str]]
    bars: list[Bar]


def svg(chart: Chart) -> str:
    """Draw a chart that is not empty."""
    if chart.kind is ChartKind.RANKING:
        return _files.get_template("ranking.svg").render(
            alt=describe(chart), rows=_ranking(chart), width=WIDTH
        )
    return _files.get_template("chart.svg").render(
        alt=describe(chart),
        drawing=_draw(chart),
        left=LEFT,
        right=RIGHT,
        width=WIDTH,
        height=HEIGHT,
    )


def describe(chart: Chart) -> str:
    """Describe a chart in a sentence, for those who cannot see it."""
    if chart.is_empty:
        return f"{chart.title}: none in this period."
    if chart.kind is ChartKind.RANKING:
        named = zip(chart.points, chart.series[0].values, strict=True)
        return f"{chart.title}: " + ", ".join(f"{name} {_say(chart, v)}" for name, v in named) + "."
    return f"{chart.title}. " + " ".join(_described(chart, series) for series in chart.series)


def _described(chart: Chart, series: Series) -> str:
    known = [value for value in series.values if value is not None]
    if not known:
        return f"{series.label}: no data."
    low, high = _say(chart, min(known)), _say(chart, max(known))
    return f"{series.label}: lowest {low}, highest {high}, last {_say(chart, known[-1])}."


def _say(chart: Chart, value: float | None) -> str:
    return formatting.text(chart.valued(value), chart.unit)


def _draw(chart: Chart) -> Drawing:
    ticks = _ticks(_highest(chart), chart)
    top = TOP + (LEGEND if len(chart.series) > 1 else 0)

    def height(value: float) -> float:
        return round(BOTTOM - (BOTTOM - top) * value / ticks[-1], 1)

    step = (RIGHT - LEFT) / len(chart.points)
    middles = [round(LEFT + step * (index + 0.5), 1) for index in range(len(chart.points))]
    runs = [
        (number, run)
        for number, series in enumerate(chart.series)
        for run in _runs(list(zip(middles, series.values, strict=True)), height)
    ]
    drawn = chart.kind not in BARS
    return Drawing(
        legend=_legend(chart),
        grid=[height(tick) for tick in ticks],
        axis=[
            Label(LEFT - 6, height(tick) + 3.5, formatting.short(tick, chart.unit, chart.currency))
            for tick in ticks
        ],
        days=_days(chart, middles),
        lines=[(number, _path(run)) for number, run in runs] if drawn else [],
        areas=[(number, _closed(run)) for number, run in runs]
        if chart.kind is ChartKind.AREA
        else [],
        bars=[] if drawn else _bars(chart, step, ticks[-1], BOTTOM - top),
    )


def _highest(chart: Chart) -> float:
    if chart.kind is not ChartKind.STACK:
        return max(value or 0 for series in chart.series for value in series.values)
    stacks = zip(*(series.values for series in chart.series), strict=True)
    return max(sum(value or 0 for value in stack) for stack in stacks)


def _ticks(highest: float, chart: Chart) -> list[float]:
    """Return round values from 0 to at least the highest, whole ones for counts."""
    scale = 10 ** currencies.decimals(chart.currency) if chart.currency else 1
    rough = highest / scale / TICKS
    power = 10 ** floor(log10(rough))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= rough * 0.999)
    if chart.unit is Unit.COUNT:
        step = max(1, ceil(step))
    return [round(step * n * scale, 9) for n in range(ceil(highest / scale / step - 1e-9) + 1)]


def _runs(
    points: list[tuple[float, float | None]], height: Callable[[float], float]
) -> list[list[tuple[float, float]]]:
    """Split a series at its gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((x, height(value)))
    return [run for run in runs if run]


def _path(run: list[tuple[float, float]]) -> str:
    if len(run) == 1:
        # A dot: a line's round ends. typst draws none of a line that has no length.
        [(x, y)] = run
        run = [(x - 1, y), (x + 1, y)]
    first, *rest = [f"{x:g} {y:g}" for x, y in run]
    return f"M{first}L{' '.join(rest)}"


def _closed(run: list[tuple[float, float]]) -> str:
    return f"{_path(run)}L{run[-1][0]:g} {BOTTOM} {run[0][0]:g} {BOTTOM}Z"


def _bars(chart: Chart, step: float, highest: float, room: float) -> list[Bar]:
    stacked = chart.kind is ChartKind.STACK
    beside = 1 if stacked else len(chart.series)
    width = max(step * 0.76 / beside, 0.8)
    bars = []
    for index in range(len(chart.points)):
        x, foot = LEFT + step * (index + 0.12), float(BOTTOM)
        for number, series in enumerate(chart.series):
            tall = (series.values[index] or 0) / highest * room
            place = (round(x, 2), round(foot - tall, 2), round(width, 2), round(tall, 2))
            bars.append(Bar(*place, series=number))
            x, foot = (x, foot - tall) if stacked else (x + width, foot)
    return [bar for bar in bars if bar.height]


def _legend(chart: Chart) -> list[Label]:
    if len(chart.series) == 1:
        return []
    x, labels = float(LEFT), []
    for series in chart.series:
        labels.append(Label(x, TOP, series.label))
        x += 30 + 6.4 * len(series.label)
    return labels


def _days(chart: Chart, middles: list[float]) -> list[Label]:
    every = ceil(len(middles) / DAYS)
    return [
        # The last one is moved in by half its width.
        Label(min(x, WIDTH - 19), BOTTOM + 16, formatting.day(point, year=False))
        for index, (x, point) in enumerate(zip(middles, chart.points, strict=True))
        if index % every == 0 and isinstance(point, date)
    ]


def _ranking(chart: Chart) -> list[tuple[str, float, str]]:
    """Return each bar's name, length and value."""
    values = [value or 0 for value in chart.series[0].values]
    room = (BAR_RIGHT - BAR_LEFT) / max(values)
    return [
        (
            formatting.clipped(formatting.printable(str(name)), LONGEST_NAME),
            round(max(value * room, 1), 1),
            _say(chart, value),
        )
        for name, value in zip(chart.points, values, strict=True)
    ]
