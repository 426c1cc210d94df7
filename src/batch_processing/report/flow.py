"""The row ledger as a picture: the geometry of a flow from source to warehouse.

    read --> landed --> valid ~~> staged --> published --> loaded
       \\--> rejected  \\--> quarantined

Band widths are proportional to rows on one scale, with a least width so that one row in a billion is
still seen. `read` is drawn as wide as its two parts together, and so is `landed`: what leaves a
node fills it. The transform may change the number of rows, so `valid` and `staged` keep their own widths.
"""

from __future__ import annotations

from dataclasses import dataclass

from batch_processing.results import RowCounts

_LEAST = 3.0
_GHOST = 22.0
_NODE = 9.0
MAIN = ("read", "landed", "valid", "staged", "published", "loaded")


@dataclass(frozen=True)
class Layout:
    """Where the picture puts things, in SVG units.

    `along` is the direction of the flow, `across` that of the widths; `wide` says that along is x.
    """

    wide: bool
    along: float
    step: float
    across: float
    width: float
    leaf_gap: float

    def point(self, along: float, across: float) -> str:
        x, y = (along, across) if self.wide else (across, along)
        return f"{x:.1f},{y:.1f}"


WIDE = Layout(wide=True, along=4, step=170, across=58, width=132, leaf_gap=30)
TALL = Layout(wide=False, along=22, step=88, across=112, width=96, leaf_gap=26)


@dataclass(frozen=True)
class Node:
    """A bar with its label. `rows` is None where the run did not come that far.

    `x`, `y`, `width`, `height` are the bar; `label_x`, `label_y` the label's first line.
    """

    name: str
    rows: int | None
    share: float | None
    x: float
    y: float
    width: float
    height: float
    label_x: float
    label_y: float
    anchor: str

    @property
    def leaf(self) -> bool:
        return self.name in ("rejected", "quarantined")


@dataclass(frozen=True)
class Band:
    """A filled path from one node to the next; `name` is the node it leads to."""

    name: str
    path: str


@dataclass(frozen=True)
class Flow:
    """The picture: `width` and `height` are its view box."""

    width: float
    height: float
    nodes: tuple[Node, ...]
    bands: tuple[Band, ...]


def flow(rows: RowCounts, *, layout: Layout) -> Flow:
    """Lays out the ledger of a run, finished or not."""
    widths = _widths(rows, full=layout.width)
    places = {name: layout.along + index * layout.step for index, name in enumerate(MAIN)}
    leaf_across = layout.across + max(layout.width / 3, *(widths[name] for name in MAIN[:3])) + layout.leaf_gap
    nodes: list[Node] = []
    bands: list[Band] = []
    for index, name in enumerate(MAIN):
        nodes.append(_main_node(name, rows, along=places[name], width=widths[name], layout=layout))
        if index and _count(rows, name) and _count(rows, MAIN[index - 1]):
            before = MAIN[index - 1]
            start = (places[before] + _NODE, layout.across, _through(before, widths))
            bands.append(_band(name, start, (places[name], layout.across, widths[name]), layout))
    for name, source in (("rejected", "read"), ("quarantined", "landed")):
        count = _count(rows, name)
        if count is None:
            continue
        along = places[source] + layout.step * 0.56
        nodes.append(_leaf_node(name, rows, along=along, across=leaf_across, width=widths[name], layout=layout))
        if count:
            start_across = max(layout.across, layout.across + widths[source] - widths[name])
            start = (places[source] + _NODE, start_across, widths[name])
            bands.append(_band(name, start, (along, leaf_across, widths[name]), layout))
    deepest = leaf_across + max(widths["rejected"], widths["quarantined"])
    if layout.wide:
        lowest = max(deepest, leaf_across + 38, layout.across + max(widths[name] for name in MAIN))
        return Flow(1000, lowest + 12, tuple(nodes), tuple(bands))
    widest = max(deepest, layout.across + max(widths[name] for name in MAIN))
    return Flow(max(360, widest + 12), places["loaded"] + 44, tuple(nodes), tuple(bands))


def _count(rows: RowCounts, name: str) -> int | None:
    value: int | None = getattr(rows, name)
    return value


def _widths(rows: RowCounts, *, full: float) -> dict[str, float]:
    """The width of every node: proportional, at least `_LEAST` where there is a row, 1 at zero, a ghost's at None."""
    counts = {name: _count(rows, name) for name in (*MAIN, "rejected", "quarantined")}
    largest = max((count for count in counts.values() if count), default=0)

    def own(name: str) -> float:
        count = counts[name]
        if count is None:
            return _GHOST
        return max(_LEAST, full * count / largest) if count > 0 else 1.0

    widths = {name: own(name) for name in counts}
    for whole, part, branch in (("landed", "valid", "quarantined"), ("read", "landed", "rejected")):
        if counts[whole] and counts[branch]:
            rest = widths[part] if counts[part] else 0.0 if counts[part] == 0 else own(whole)
            widths[whole] = max(rest + widths[branch], _LEAST)
    return widths


def _through(name: str, widths: dict[str, float]) -> float:
    """The width of the band that goes straight on from a node."""
    following = {"read": "landed", "landed": "valid"}.get(name)
    return min(widths[name], widths[following]) if following else widths[name]


def _band(name: str, start: tuple[float, float, float], end: tuple[float, float, float], layout: Layout) -> Band:
    """A band of two cubic curves; start and end are (along, across, width)."""
    (a0, c0, w0), (a1, c1, w1) = start, end
    middle, at = (a0 + a1) / 2, layout.point
    path = (
        f"M{at(a0, c0)} C{at(middle, c0)} {at(middle, c1)} {at(a1, c1)} "
        f"L{at(a1, c1 + w1)} C{at(middle, c1 + w1)} {at(middle, c0 + w0)} {at(a0, c0 + w0)} Z"
    )
    return Band(name, path)


def _bar(along: float, across: float, width: float, layout: Layout) -> tuple[float, float, float, float]:
    return (along, across, _NODE, width) if layout.wide else (across, along, width, _NODE)


def _main_node(name: str, rows: RowCounts, *, along: float, width: float, layout: Layout) -> Node:
    x, y, bar_width, bar_height = _bar(along, layout.across, width, layout)
    label_x, label_y = (along, 20.0) if layout.wide else (layout.across - 14, along + 1)
    anchor = "start" if layout.wide else "end"
    return Node(name, _count(rows, name), None, x, y, bar_width, bar_height, label_x, label_y, anchor)


def _leaf_node(name: str, rows: RowCounts, *, along: float, across: float, width: float, layout: Layout) -> Node:
    x, y, bar_width, bar_height = _bar(along, across, width, layout)
    label_x, label_y = (along + _NODE + 8, across + 12) if layout.wide else (across, along + _NODE + 16)
    count, whole = _count(rows, name), _count(rows, "read" if name == "rejected" else "landed")
    share = count / whole if count is not None and whole else None
    return Node(name, count, share, x, y, bar_width, bar_height, label_x, label_y, "start")
