"""proof.html: one page that needs nothing else, no script and no network, in light, in dark and on paper."""

from pathlib import Path
from string import Template
from typing import Final

from sandbox.proof.report import figures
from sandbox.proof.report.grid import grids
from sandbox.proof.report.markup import Markup, element, joined, lines
from sandbox.proof.report.tables import Names, Row, Table, left_out, tables
from sandbox.proof.results import PARTS, Evidence, Proof

HERE: Final = Path(__file__).parent
UNITS: Final = {
    "memory_gib": ("Most memory in use on the machine while it ran", "GiB"),
    "sandbox_memory_gib": ("Most memory in use while the sandbox started", "GiB"),
    "sandbox_seconds": ("Start of the sandbox", "s"),
    **{f"{part}_seconds": (f"{title}: made in", "s") for part, title in figures.TITLES.items()},
}
"""A figure's name and its unit; one that is not here is shown by its key."""


def page(proof: Proof, names: Names) -> str:
    """The whole page."""
    template = Template((HERE / "page.html").read_text(encoding="utf-8"))
    found = tables(proof, names)
    parts = [one for one in figures.sums(proof) if one.part in found]
    sections = [_section(one, found[one.part], proof, names) for one in parts]
    rest = _table(left_out(proof), level="h2")
    links = [(one.part, one.title) for one in parts] + [("left-out", "What did not run"), ("figures", "Figures")]
    return template.substitute(
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        title=_words(proof),
        verdict=_verdict(proof),
        links=joined(*(element("li", element("a", title, href=f"#{key}")) for key, title in links)),
        sections=joined(*sections, element("section", rest, id="left-out"), _figures(proof)),
    )


def _verdict(proof: Proof) -> Markup:
    sign = "✓ " if proof.holds else "✗ "
    told = f"Begun {proof.began}, {proof.seconds:.0f} s long, of revision {proof.revision}."
    heading = element("h1", element("span", sign, aria_hidden="true"), _words(proof), class_=_class(proof.holds))
    cards = [
        element(
            "li",
            element("a", element("strong", one.title), href=f"#{one.part}"),
            element("span", _mark(one.holds), class_=f"mark {_class(one.holds)}"),
            element("p", one.words),
            class_=_class(one.holds),
        )
        for one in figures.sums(proof)
    ]
    return joined(heading, element("p", told), element("ul", *cards, class_="cards"))


def _words(proof: Proof) -> str:
    if not proof.holds:
        return "The proof does not hold"
    return "The proof holds" if proof.asked == PARTS else "What was asked of the proof holds"


def _section(part: figures.Sum, found: tuple[Table, ...], proof: Proof, names: Names) -> Markup:
    heading = element("h2", part.title, " ", element("span", _mark(part.holds), class_=f"mark {_class(part.holds)}"))
    picture = grids(proof, names) if part.part == "cells" else Markup("")
    return element("section", heading, *(_table(one) for one in found), picture, id=part.part)


def _table(table: Table, *, level: str = "h3") -> Markup:
    judged = ("Holds",) if table.judges else ()
    head = element("tr", *(element("th", name, scope="col") for name in (*table.head, *judged)))
    body = [_row(row, judged=table.judges, unfolded=table.unfolded) for row in table.rows]
    caption = element("caption", table.explained)
    shown = element("table", caption, element("thead", head), element("tbody", *body))
    scroll = element("div", shown, class_="scroll", tabindex="0", role="region", aria_label=table.title)
    return joined(element(level, table.title), scroll)


def _row(row: Row, *, judged: bool, unfolded: bool) -> Markup:
    first, *others = row.cells
    cells = [
        element("th", lines(first), _evidence(row.evidence, unfolded=unfolded), scope="row"),
        *(element("td", lines(one)) for one in others),
    ]
    if judged:
        known = row.holds is not None
        cells.append(element("td", _mark(bool(row.holds)) if known else "", class_=_class(bool(row.holds)) if known else ""))
    return element("tr", *cells, class_="wrong" if row.holds is False else "")


def _evidence(evidence: tuple[Evidence, ...], *, unfolded: bool) -> Markup:
    if not evidence:
        return Markup("")
    said = [joined(element("dt", one.source), element("dd", element("code", lines(one.words)))) for one in evidence]
    return element(
        "details", element("summary", "evidence"), element("dl", *said), class_="evidence", open="open" if unfolded else ""
    )


def _figures(proof: Proof) -> Markup:
    rows = []
    for key, value in proof.figures.items():
        title, unit = UNITS.get(key, (key, ""))
        rows.append(Row(cells=(title, f"{value:,.1f} {unit}".strip())))
    explained = "Measured beside; memory is that of every program of this machine, so an upper bound."
    table = Table(key="figures", title="Figures", explained=explained, head=("What", "How much"), rows=tuple(rows))
    return element("section", _table(table, level="h2"), id="figures")


def _mark(holds: bool) -> str:  # noqa: FBT001
    return "✓ holds" if holds else "✗ does not hold"


def _class(holds: bool) -> str:  # noqa: FBT001
    return "good" if holds else "bad"
