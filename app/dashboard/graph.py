"""A workflow drawn as SVG: a column for each step's distance from the beginning, and its arrows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from .states import kind_of

#: In user units, which are pixels unless the picture is larger than its place.
WIDTH, HEIGHT, GAP_X, GAP_Y = 180, 44, 60, 16
BOX_WIDTH, BOX_HEIGHT = WIDTH - 8, HEIGHT - 4
LONGEST_LABEL = 22
#: More could be told neither by arrows nor by eye.
MOST_DRAWN = 200


@dataclass(frozen=True, slots=True)
class Node:
    """A step: what it is called and how it is, and which it is after."""

    name: str
    state: str
    after: Sequence[str]
    href: str | None


def draw(nodes: Sequence[Node]) -> Markup | None:
    """Return the picture; None where there is nothing to draw, or too much."""
    if not 0 < len(nodes) <= MOST_DRAWN:
        return None
    places = _places(nodes)
    columns = max(column for column, _ in places.values()) + 1
    rows = max(row for _, row in places.values()) + 1
    width, height = columns * (WIDTH + GAP_X), rows * (HEIGHT + GAP_Y)
    arrows = Markup("").join(
        _arrow(places[before], places[node.name]) for node in nodes for before in node.after
    )
    boxes = Markup("").join(_box(node, *places[node.name]) for node in nodes)
    return Markup(
        '<svg class="graph" role="figure" aria-label="The steps and what they wait for" '
        'viewBox="0 0 {} {}" width="{}" font-size="13">{}{}</svg>'
    ).format(width, height, width, arrows, boxes)


def _places(nodes: Sequence[Node]) -> Mapping[str, tuple[int, int]]:
    """Return each step's column and row; a step stands right of all that it waits for."""
    after = {node.name: node.after for node in nodes}
    columns: dict[str, int] = {}
    waiting = list(after)
    while waiting:
        # Steps may be after such as were added later, so some have to be looked at again.
        ready = [name for name in waiting if all(one in columns for one in after[name])]
        for name in ready:
            columns[name] = 1 + max((columns[one] for one in after[name]), default=-1)
        waiting = [name for name in waiting if name not in columns] if ready else []
    used: dict[int, int] = {}
    places = {}
    for name in after:
        column = columns.get(name, 0)
        places[name] = (column, used.setdefault(column, 0))
        used[column] += 1
    return places


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return place[0] * (WIDTH + GAP_X) + 4, place[1] * (HEIGHT + GAP_Y) + 4


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> Markup:
    (from_x, from_y), (to_x, to_y) = _corner(start), _corner(end)
    middle = BOX_HEIGHT // 2
    return Markup(
        '<path d="M{} {} C{} {} {} {} {} {}" fill="none" stroke="currentColor" opacity="0.5"/>'
    ).format(
        *(from_x + BOX_WIDTH, from_y + middle, from_x + BOX_WIDTH + GAP_X // 2, from_y + middle),
        *(to_x - GAP_X // 2, to_y + middle, to_x, to_y + middle),
    )


def _box(node: Node, column: int, row: int) -> Markup:
    x, y = _corner((column, row))
    name = node.name if len(node.name) <= LONGEST_LABEL else f"{node.name[: LONGEST_LABEL - 1]}…"
    kind = kind_of(node.state)
    box = Markup(
        '<g class="{}"><title>{}: {}</title><rect x="{}" y="{}" width="{}" height="{}" rx="6" '
        'fill="none" stroke="currentColor"/><text x="{}" y="{}" class="name">{}</text>'
        '<use href="#i-{}" x="{}" y="{}" width="12" height="12"/>'
        '<text x="{}" y="{}" fill="currentColor">{}</text></g>'
    ).format(
        *(kind, node.name, node.state, x, y, BOX_WIDTH, BOX_HEIGHT),
        *(x + 8, y + 17, name, kind, x + 8, y + 23, x + 24, y + 33, node.state),
    )
    return box if node.href is None else Markup('<a href="{}">{}</a>').format(node.href, box)
