"""A small layered layout: boxes in columns from left to right, every line through a place of its own for its label.

Columns alternate: boxes stand in even ones, labels in odd ones, and a line that passes a column of boxes takes a place there too.
So nothing is drawn over anything else, which a test holds. Sizes and places in pixels, y downwards. Deterministic: equal input,
equal drawing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Final

COLUMN_GAP: Final = 20.0
BOX_GAP: Final = 20.0
LABEL_GAP: Final = 14.0
SWEEPS: Final = 24
PASSING: Final = 2.0
"""Height of a place without a label."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a box or a label needs."""

    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Link:
    """A line between two boxes, with the size of what is written on it."""

    key: str
    source: str
    target: str
    label: Size


@dataclass(kw_only=True)
class Spot:
    """A place: a box, a label, or where a long line passes a column. `x` is its left, `y` its middle."""

    key: str
    column: int
    width: float
    height: float
    box: bool
    x: float = 0.0
    y: float = 0.0

    @property
    def top(self) -> float:
        """Its upper edge."""
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        """Its lower edge, where a line passes under its label."""
        return self.y + self.height / 2


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything is: spots by key (a box's own, `<link>@<column>` of a line), and each line's spots in order."""

    spots: Mapping[str, Spot]
    lines: Mapping[str, tuple[str, ...]]
    width: float
    height: float


def ranks(boxes: Sequence[str], links: Sequence[Link], last: frozenset[str] = frozenset()) -> dict[str, int]:
    """Column of each box, counted in boxes: behind everything that leads to it; a line that closes a circle counts for nothing.

    Args:
        boxes: In the order of a tie.
        links: Lines.
        last: Boxes of the last column.
    """
    ahead: dict[str, list[str]] = {box: [] for box in boxes}
    for link in sorted(links, key=lambda link: (boxes.index(link.source), boxes.index(link.target))):
        if not _leads(ahead, link.target, link.source):
            ahead[link.source].append(link.target)
    found = dict.fromkeys(boxes, 0)
    for _ in boxes:
        for source, targets in ahead.items():
            for target in targets:
                found[target] = max(found[target], found[source] + 1)
    deepest = max((rank for box, rank in found.items()), default=0)
    return {box: deepest if box in last else rank for box, rank in found.items()}


def _leads(ahead: Mapping[str, Sequence[str]], start: str, goal: str) -> bool:
    seen, waiting = set[str](), [start]
    while waiting:
        current = waiting.pop()
        if current == goal:
            return True
        if current not in seen:
            seen.add(current)
            waiting += ahead[current]
    return False


def layout(boxes: Mapping[str, Size], links: Sequence[Link], *, last: frozenset[str] = frozenset(), margin: float = 24) -> Layout:
    """Places for all of it. A line against the direction starts at its source's right all the same and is led around."""
    columns = {box: 2 * rank for box, rank in ranks(list(boxes), links, last).items()}
    spots = {
        key: Spot(key=key, column=columns[key], width=size.width, height=size.height, box=True) for key, size in boxes.items()
    }
    lines: dict[str, tuple[str, ...]] = {}
    for link in links:
        low, high = sorted((columns[link.source], columns[link.target]))
        # Two boxes of one column meet in the labels' column behind them.
        passed = range(low + 1, high) if high > low else range(low + 1, low + 2)
        keys = [f"{link.key}@{column}" for column in passed]
        for key, column in zip(keys, passed, strict=True):
            labelled = column == passed[0]
            size = link.label if labelled else Size(width=0, height=PASSING)
            spots[key] = Spot(key=key, column=column, width=size.width, height=size.height, box=False)
        if columns[link.source] > columns[link.target]:
            keys.reverse()
        lines[link.key] = (link.source, *keys, link.target)
    _place(spots, lines)
    width = _columns(spots, margin)
    top = min((spot.top for spot in spots.values()), default=0.0)
    for spot in spots.values():
        spot.y += margin - top
    height = max((spot.bottom for spot in spots.values()), default=0.0) + margin
    return Layout(spots=spots, lines=lines, width=width, height=height)


def _place(spots: Mapping[str, Spot], lines: Mapping[str, tuple[str, ...]]) -> None:
    """Order and height: each spot is drawn to the middle of its neighbours, and no two of a column touch."""
    before: dict[str, list[Spot]] = {key: [] for key in spots}
    after: dict[str, list[Spot]] = {key: [] for key in spots}
    for chain in lines.values():
        for one, other in pairwise(chain):
            left, right = sorted((spots[one], spots[other]), key=lambda spot: spot.column)
            after[left.key].append(right)
            before[right.key].append(left)
    columns: dict[int, list[Spot]] = {}
    for spot in spots.values():
        columns.setdefault(spot.column, []).append(spot)
    order = [columns[number] for number in sorted(columns)]
    for column in order:
        _stack(column)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        near = before if forward else after
        for column in order if forward else reversed(order):
            _align(column, lambda spot, near=near: near[spot.key])  # type: ignore[misc]
    for column in (*order, *reversed(order)):
        _align(column, lambda spot: before[spot.key] + after[spot.key])
    for column in order:
        _straighten(column, before)


def _align(column: list[Spot], neighbours: Callable[[Spot], Sequence[Spot]]) -> None:
    for spot in column:
        around = neighbours(spot)
        if around:
            spot.y = fmean(each.y for each in around)
    column.sort(key=lambda spot: (spot.y, spot.key))
    wanted = fmean(spot.y for spot in column)
    _stack(column)
    moved = wanted - fmean(spot.y for spot in column)
    for spot in column:
        spot.y += moved


def _straighten(column: Sequence[Spot], before: Mapping[str, Sequence[Spot]]) -> None:
    """Puts where a line only passes at the height it comes from, if that is free."""
    for place, spot in enumerate(column):
        if spot.height > PASSING or not before[spot.key]:
            continue
        source = before[spot.key][0]
        level = source.y if source.box else source.bottom - 1
        above = column[place - 1].bottom + LABEL_GAP if place else level
        below = column[place + 1].top - LABEL_GAP if place + 1 < len(column) else level
        if above <= below:
            spot.y = min(max(level, above), below)


def _stack(column: Sequence[Spot]) -> None:
    """Pushes spots down until each is clear of the one above."""
    for above, spot in pairwise(column):
        gap = BOX_GAP if above.box and spot.box else LABEL_GAP
        spot.y = max(spot.y, above.bottom + gap + spot.height / 2)


def _columns(spots: Mapping[str, Spot], margin: float) -> float:
    """Gives each column its x and every spot the middle of it; returns the whole width."""
    widths: dict[int, float] = {}
    for spot in spots.values():
        widths[spot.column] = max(widths.get(spot.column, 0.0), spot.width)
    left, x = {}, margin
    for column in sorted(widths):
        left[column] = x
        x += widths[column] + COLUMN_GAP
    for spot in spots.values():
        if spot.box:
            spot.x = left[spot.column] + (widths[spot.column] - spot.width) / 2
        else:
            spot.x, spot.width = left[spot.column], widths[spot.column]
    return x - COLUMN_GAP + margin
