"""A tenant's call graph as SVG: who calls it and whom it calls, its clients, stores and external hosts, read left to right.

Drawn without a network and without a program beside; readable on a light and on a dark page, since it brings its own ground.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal
from xml.sax.saxutils import escape

from components.graph.model import Call, Client, Data, Egress, Graph, Route, Store, Workload
from components.settings.access import OperationSettings
from docs.enforcement import Edge, edge_id, edges, tenants_of
from docs.layered import Layout, Link, Size, Spot, layout

Kind = Literal["service", "foreign", "client", "database", "cache", "host"]
LETTER: Final = 6.7
"""Width of a letter of the labels, monospaced at 11 pixels."""
NAME_LETTER: Final = 8.2
LINE: Final = 15.0
LABEL_COLUMNS: Final = 22
BOX_HEIGHT: Final = 46.0
LID: Final = 6.0
"""Half the height of a cylinder's lid."""
STORES: Final = frozenset({"database", "cache"})
STYLE: Final = """
text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:11px;fill:#24292f}
.name{font-size:13px;font-weight:600}
.kind{fill:#57606a}
.context{fill:#8250df}
.ground{fill:#ffffff;stroke:#d0d7de}
.box{fill:#f6f8fa;stroke:#57606a;stroke-width:1.3}
.service{fill:#ddf4ff;stroke:#0969da}
.foreign{fill:#f6f8fa;stroke:#57606a;stroke-dasharray:5 3}
.client{fill:#fff8c5;stroke:#9a6700}
.database,.cache{fill:#dafbe1;stroke:#1a7f37}
.host{fill:#ffebe9;stroke:#cf222e}
.line{fill:none;stroke:#6e7781;stroke-width:1.3}
.far{stroke:#8250df;stroke-width:1.8}
.tip{fill:#6e7781}
.tip-far{fill:#8250df}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.kind{fill:#9198a1}
.context{fill:#d2a8ff}
.ground{fill:#0d1117;stroke:#30363d}
.box{fill:#161b22;stroke:#8b949e}
.service{fill:#0c2d6b;stroke:#58a6ff}
.foreign{fill:#161b22;stroke:#8b949e}
.client{fill:#3b2300;stroke:#d29922}
.database,.cache{fill:#04260f;stroke:#3fb950}
.host{fill:#490202;stroke:#ff7b72}
.line{stroke:#8b949e}
.far{stroke:#d2a8ff}
.tip{fill:#8b949e}
.tip-far{fill:#d2a8ff}
}
"""


@dataclass(frozen=True, kw_only=True)
class Box:
    """What stands at an end of an edge."""

    key: str
    kind: Kind
    name: str
    caption: str

    @property
    def size(self) -> Size:
        """Wide enough for both lines."""
        height = BOX_HEIGHT + (2 * LID if self.kind in STORES else 0)
        return Size(width=max(len(self.name) * NAME_LETTER, len(self.caption) * LETTER) + 28, height=height)


def written(found: Iterable[OperationSettings]) -> list[str]:
    """Operations as they are read: `GET /accounts, /accounts/{id}`."""
    return [f"{','.join(each.methods)} {', '.join(each.paths)}" for each in found]


def conditions(edge: Edge) -> list[str]:
    """What an edge asks for besides its caller, as short phrases."""
    found: list[str] = []
    if isinstance(edge, Route):
        return [f"scope {scope}" for scope in sorted(edge.settings.scopes)]
    if isinstance(edge, Call):
        wanted = edge.conditions
        found += [f"scope {scope}" for scope in sorted(wanted.scopes)]
        if wanted.hours is not None:
            found.append(f"{wanted.hours.start}-{wanted.hours.end} UTC")
        if wanted.amount_limit_minor_units is not None:
            found.append(f"up to {wanted.amount_limit_minor_units:,} minor units")
        if wanted.source_regions:
            found.append(f"from {', '.join(sorted(wanted.source_regions))}")
        if wanted.risk_ceiling != "medium":
            found.append(f"risk at most {wanted.risk_ceiling}")
        if edge.settings.reach == "every_region":
            found.append("every region")
    return found


def means(edge: Edge) -> list[str]:
    """What an edge lets its source do."""
    match edge:
        case Call() | Route():
            return written(edge.operations)
        case Data():
            return [edge.settings.privileges.replace("_", " and ")]
        case Egress():
            return [f"TLS {edge.port}"]


def ends(edge: Edge) -> tuple[tuple[str, ...], str]:
    """Keys of the sources and of the target."""
    match edge:
        case Call():
            return (edge.caller.ref,), edge.callee.ref
        case Data():
            return (edge.service.ref,), edge.store.ref
        case Egress():
            return (edge.service.ref,), f"host:{edge.host}"
        case Route():
            return tuple(f"client:{client.tenant}/{client.name}" for client in edge.clients), edge.service.ref


def _boxes_of(edge: Edge, tenant: str) -> Iterator[Box]:
    def service(workload: Workload) -> Box:
        home = workload.tenant == tenant
        caption = f"{'service' if workload.serves else 'worker'}" + ("" if home else f" of {workload.tenant}")
        return Box(key=workload.ref, kind="service" if home else "foreign", name=workload.name, caption=caption)

    def store(wanted: Store) -> Box:
        product = "PostgreSQL" if wanted.kind == "database" else "Valkey"
        caption = product if wanted.tenant == tenant else f"{product} of {wanted.tenant}"
        return Box(key=wanted.ref, kind=wanted.kind, name=wanted.name, caption=caption)

    def client(wanted: Client) -> Box:
        who = "people" if wanted.settings.grant == "authorization_code" else "machines"
        return Box(key=f"client:{wanted.tenant}/{wanted.name}", kind="client", name=wanted.client_id, caption=f"client, {who}")

    match edge:
        case Call():
            yield from (service(edge.caller), service(edge.callee))
        case Data():
            yield from (service(edge.service), store(edge.store))
        case Egress():
            yield from (service(edge.service), Box(key=f"host:{edge.host}", kind="host", name=edge.host, caption="external host"))
        case Route():
            yield from (*(client(each) for each in edge.clients), service(edge.service))


def wrapped(text: str) -> list[str]:
    """Lines of at most LABEL_COLUMNS, broken behind commas only: a path is never cut."""
    lines = [""]
    for part in text.replace(", ", ", \0").split("\0"):
        if lines[-1] and len(lines[-1] + part) > LABEL_COLUMNS:
            lines[-1] = lines[-1].rstrip()
            lines.append("  ")
        lines[-1] += part
    return lines


def label(edge: Edge) -> list[tuple[str, str]]:
    """Lines of an edge's label, each with its class."""
    return [
        *((line, "") for text in means(edge) for line in wrapped(text)),
        *((line, "context") for line in conditions(edge)),
    ]


def drawn(graph: Graph, tenant: str) -> tuple[dict[str, Box], list[tuple[Link, Edge]], Layout]:
    """Boxes, lines and places of a tenant's picture: its own services with or without an edge, and every edge it is an end of."""
    inside = [edge for edge in edges(graph) if tenant in tenants_of(edge)]
    boxes = {box.key: box for edge in inside for box in _boxes_of(edge, tenant)}
    for workload in graph.workloads.values():
        if workload.tenant == tenant and workload.ref not in boxes:
            kind = "service" if workload.serves else "worker"
            boxes[workload.ref] = Box(key=workload.ref, kind="service", name=workload.name, caption=f"{kind} without an edge")
    links = []
    for edge in inside:
        sources, target = ends(edge)
        lines = label(edge)
        size = Size(width=max(len(line) for line, _ in lines) * LETTER + 8, height=len(lines) * LINE + 6)
        links += [(Link(key=f"{edge_id(edge)}:{source}", source=source, target=target, label=size), edge) for source in sources]
    placed = layout(
        {key: box.size for key, box in boxes.items()},
        [link for link, _ in links],
        last=frozenset(key for key, box in boxes.items() if box.kind in {*STORES, "host"}),
    )
    return boxes, links, placed


def _path(spots: Sequence[Spot], starts: float, ends_at: float) -> str:
    """A smooth line: level through every place between, in at the target's left, or around where it runs back."""
    first, last = spots[0], spots[-1]
    points = [(first.x + first.width, starts)]
    for spot in spots[1:-1]:
        level = spot.bottom - 2
        passing = [(spot.x, level), (spot.x + spot.width, level)]
        points += passing if first.column <= spot.column and first.column < last.column else passing[::-1]
    back = last.column <= first.column
    points.append((last.x + last.width + 7 if back else last.x - 7, ends_at))
    text = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        if number % 2:
            text += f"L{to_x:.0f} {to_y:.0f}"
        else:
            bend = max(abs(to_x - x) / 2, 12)
            side = -1 if back and number else 1
            text += f"C{x + side * bend:.0f} {y:.0f} {to_x - (bend if to_x >= x else -bend):.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
    return text


def _ports(keys: Sequence[tuple[str, float]], spot: Spot) -> dict[str, float]:
    """Where lines touch a box: spread over its side in the order of where they come from."""
    order = [key for key, _ in sorted(keys, key=lambda pair: (pair[1], pair[0]))]
    step = min(12.0, (spot.height - 14) / max(len(order), 1))
    return {key: spot.y + (number - (len(order) - 1) / 2) * step for number, key in enumerate(order)}


def _shape(box: Box, spot: Spot) -> str:
    x, top, width, height = spot.x, spot.top, spot.width, spot.height
    if box.kind in STORES:
        bend = LID
        side = f"{height - 2 * bend:.0f}"
        body = (
            f"M{x:.0f} {top + bend:.0f}v{side}a{width / 2:.1f} {bend} 0 0 0 {width:.1f} 0v-{side}"
            f"a{width / 2:.1f} {bend} 0 0 0 -{width:.1f} 0a{width / 2:.1f} {bend} 0 0 0 {width:.1f} 0"
        )
        return f'<path class="box {box.kind}" d="{body}"/>'
    radius = {"client": height / 2, "host": 0}.get(box.kind, 8)
    return f'<rect class="box {box.kind}" x="{x:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="{radius:.0f}"/>'


def svg(graph: Graph, tenant: str) -> str:
    """The picture."""
    boxes, links, placed = drawn(graph, tenant)
    spots, lines = placed.spots, placed.lines

    def touching(box: str, *, source: bool) -> dict[str, float]:
        mine = [link.key for link, _ in links if (link.source if source else link.target) == box]
        return _ports([(key, spots[lines[key][1 if source else -2]].bottom) for key in mine], spots[box])

    leaving = {key: touching(key, source=True) for key in boxes}
    coming = {key: touching(key, source=False) for key in boxes}
    width, height = f"{placed.width:.0f}", f"{placed.height:.0f}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>Who may call what: {escape(tenant)}</title>",
        f"<desc>{len(boxes)} ends and {len(links)} lines, from callers on the left to stores and hosts on the right.</desc>",
        f"<style>{STYLE}</style>",
        "<defs>",
        *(
            f'<marker id="{name}" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="8" markerHeight="8" '
            f'markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0 0L8 4L0 8z"/></marker>'
            for name in ("tip", "tip-far")
        ),
        "</defs>",
        f'<rect class="ground" x="0.5" y="0.5" width="{placed.width - 1:.0f}" height="{placed.height - 1:.0f}" rx="8"/>',
    ]
    for link, edge in links:
        chain = [spots[key] for key in lines[link.key]]
        far = isinstance(edge, Call) and edge.settings.reach == "every_region"
        path = _path(chain, leaving[link.source][link.key], coming[link.target][link.key])
        parts.append(f'<path class="line{" far" if far else ""}" marker-end="url(#tip{"-far" if far else ""})" d="{path}"/>')
        written_at = next(spot for spot in chain if not spot.box and spot.height > LINE)
        for number, (text, look) in enumerate(label(edge)):
            y = written_at.top + (number + 1) * LINE - 4
            kind = f' class="{look}"' if look else ""
            parts.append(f'<text{kind} x="{written_at.x + 4:.0f}" y="{y:.0f}" xml:space="preserve">{escape(text)}</text>')
    for key, box in boxes.items():
        spot = spots[key]
        # A cylinder's lid takes the upper part.
        base = spot.y + (LID if box.kind in STORES else 0)
        middle = f'text-anchor="middle" x="{spot.x + spot.width / 2:.0f}"'
        parts += [
            _shape(box, spot),
            *(
                f'<text class="{look}" {middle} y="{base + down:.0f}">{escape(text)}</text>'
                for look, down, text in (("name", -1, box.name), ("kind", 14, box.caption))
            ),
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
