"""The chart of docs/benchmarks.md: CPU per job by process, as an SVG for light and dark pages."""

from html import escape

from benchmarks.peers.results import Session

_PARTS = {
    "cpu_workers": ("workers", "#4c78a8"),
    "cpu_server": ("queue server", "#f2a541"),
    "cpu_postgres": ("PostgreSQL", "#54a24b"),
}
_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 760, 130, 70, 34, 78
#: A panel of its own, so that it can be read whatever the page's background.
_STYLE = """\
  .panel { fill: #ffffff; stroke: #d0d7de } .text { fill: #1f2328 } .quiet { fill: #59636e }
  @media (prefers-color-scheme: dark) {
    .panel { fill: #0d1117; stroke: #3d444d } .text { fill: #f0f6fc } .quiet { fill: #9198a1 }
  }
  text { font: 13px system-ui, sans-serif } .title { font-weight: 600; font-size: 15px }"""

_TOLD = 'role="img" aria-label="CPU milliseconds per job of each system, by process"'


def chart(session: Session, scenario: str = "noop") -> str:
    """Return the SVG of one scenario, the least CPU first."""
    rows = sorted(_rows(session, scenario), key=lambda row: sum(row[1].values()))
    most = max(sum(parts.values()) for _, parts in rows)
    height = _TOP + _ROW * len(rows) + 16
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_TOLD}>',
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="panel" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="6"/>',
        '<text class="text title" x="16" y="28">CPU per no-op job, executed and recorded</text>',
        *_legend(),
    ]
    for number, (label, parts) in enumerate(rows):
        drawn += _bar(_TOP + _ROW * number, label, parts, most)
    return "\n".join([*drawn, "</svg>", ""])


def _rows(session: Session, scenario: str) -> list[tuple[str, dict[str, float]]]:
    rows = []
    for name in session.systems_in(scenario):
        figures = {part: session.figure(scenario, name, part) for part in _PARTS}
        parts = {part: figure.median for part, figure in figures.items() if figure}
        rows.append((session.systems[name]["label"], parts))
    return rows


def _legend() -> list[str]:
    drawn = []
    x = 16
    for label, colour in _PARTS.values():
        drawn.append(f'<rect x="{x}" y="44" width="12" height="12" rx="2" fill="{colour}"/>')
        drawn.append(f'<text class="quiet" x="{x + 18}" y="55">{label}</text>')
        x += 40 + 8 * len(label)
    drawn.append(f'<text class="quiet" x="{_WIDTH - 16}" y="55" text-anchor="end">ms</text>')
    return drawn


def _bar(y: int, label: str, parts: dict[str, float], most: float) -> list[str]:
    middle, scale = y + 17, (_WIDTH - _LEFT - _RIGHT) / most
    drawn = [
        f'<text class="text" x="{_LEFT - 12}" y="{middle}" text-anchor="end">{escape(label)}</text>'
    ]
    x = float(_LEFT)
    for part, (_, colour) in _PARTS.items():
        width = parts.get(part, 0) * scale
        drawn.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="24" fill="{colour}"/>')
        x += width
    total = sum(parts.values())
    drawn.append(f'<text class="text" x="{x + 8:.1f}" y="{middle}">{total:.2f}</text>')
    return drawn
