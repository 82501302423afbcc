"""The call matrix as a picture: one square for each caller and callee of a region, coloured and in words."""

from collections.abc import Mapping, Sequence

from sandbox.proof.report.figures import plural
from sandbox.proof.report.markup import Markup, breakable, element, joined
from sandbox.proof.report.tables import Names, request
from sandbox.proof.results import Cell, Proof

SIGNS: Mapping[str, tuple[str, str]] = {
    "some": ("✓", "declared requests answered, all others refused"),
    "none": ("⊘", "nothing is declared: every request refused"),
    "wrong": ("✗", "not as declared"),
    "self": ("·", "not asked"),
}
"""Class of a square → its sign, so that no colour is needed, and what it means."""


def grids(proof: Proof, names: Names) -> Markup:
    """A picture for each region of callers and of callees, their key, and every request behind them."""
    regions = sorted({one.region for one in proof.cells})
    pictures = [_region(region, [one for one in proof.cells if one.region == region], names) for region in regions]
    return joined(_legend(), *pictures) if pictures else Markup("")


def _legend() -> Markup:
    shown = (joined(element("span", sign, class_=f"square {kind}"), f" {meaning}") for kind, (sign, meaning) in SIGNS.items())
    return element("ul", *(element("li", one) for one in shown), class_="legend")


def _region(region: str, cells: Sequence[Cell], names: Names) -> Markup:
    asked: dict[str, list[Cell]] = {}
    for one in sorted(cells, key=lambda one: one.callee_region not in {"", region}):
        asked.setdefault(one.callee_region or region, []).append(one)
    return joined(*(_picture(region, to, found) for to, found in asked.items()), _all(region, cells, names))


def _picture(region: str, to: str, cells: Sequence[Cell]) -> Markup:
    callers, callees = sorted({one.caller for one in cells}), sorted({one.callee for one in cells})
    pairs: dict[tuple[str, str], list[Cell]] = {}
    for one in cells:
        pairs.setdefault((one.caller, one.callee), []).append(one)
    head = element(
        "tr",
        element("th", "caller ↓ calls →", scope="col"),
        *(element("th", breakable(callee), scope="col") for callee in callees),
    )
    rows = [
        element(
            "tr",
            element("th", breakable(caller), scope="row"),
            *(_square(pairs.get((caller, callee), [])) for callee in callees),
        )
        for caller in callers
    ]
    title = f"Callers in {region}" + (f", callees in {to}" if to != region else "")
    caption = element("caption", f"{title}: answered and refused requests")
    picture = element("table", caption, element("thead", head), element("tbody", *rows), class_="grid")
    return element("div", picture, class_="scroll", tabindex="0", role="region", aria_label=title)


def _square(cells: Sequence[Cell]) -> Markup:
    answered = sum(one.allowed for one in cells)
    refused = len(cells) - answered
    if not cells:
        kind, words = "self", "not asked"
    elif not all(one.holds for one in cells):
        kind, words = "wrong", plural(sum(not one.holds for one in cells), "difference")
    elif answered:
        kind, words = "some", f"{answered} answered, {refused} refused"
    else:
        kind, words = "none", f"{refused} refused"
    return element("td", element("span", SIGNS[kind][0], class_="sign", aria_hidden="true"), " ", words, class_=kind)


def _all(region: str, cells: Sequence[Cell], names: Names) -> Markup:
    head = ("Caller", "Callee", "Request", "Declared by", "Seen")
    rows = [
        element("tr", *(element("td", part) for part in request(one, names)), class_="" if one.holds else "wrong")
        for one in cells
    ]
    listed = element(
        "table",
        element("caption", f"Every request from {region}"),
        element("thead", element("tr", *(element("th", name, scope="col") for name in head))),
        element("tbody", *rows),
    )
    summary = element("summary", f"All {plural(len(cells), 'request')} from {region}")
    scroll = element("div", listed, class_="scroll", tabindex="0", role="region", aria_label=f"Requests from {region}")
    return element("details", summary, scroll, class_="requests")
