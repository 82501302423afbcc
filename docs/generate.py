"""`make docs`: writes the reference pages and the README's generated blocks from the program.

A block stands between `<!-- <name>:begin (make docs) -->` and `<!-- <name>:end -->`. The preview block needs the engine, the
others do not; a test holds those current.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from components.settings.tenants import mebibytes
from docs import engines, picture
from docs.capacity import RELEASE, claimed
from docs.markdown import row, table
from docs.reference_pages import pages
from tests.support.monitor import Recording
from tests.support.program import STACKS, record_stack

ROOT: Final = Path(__file__).parents[1]
README: Final = ROOT / "README.md"
PREVIEWED: Final = "dev"
HOURS: Final = 730
"""Hours of a month, as AWS's own calculator counts."""

# USD, near eu-west-1 list prices, entered by hand and checked against nothing: for orders of magnitude, ask AWS for yours.
PRICES: Final = {
    "eks": 0.10 * HOURS,
    "nat": 0.048 * HOURS,
    "endpoint": 0.011 * HOURS,
    "balancer": 0.0252 * HOURS,
    "address": 0.005 * HOURS,
    "m7g.large": 0.0911 * HOURS,
    "m7g.xlarge": 0.1822 * HOURS,
    "m7g.2xlarge": 0.3644 * HOURS,
    "gp3_gib": 0.088,
    "web_acl": 5.0,
    "web_acl_rule": 1.0,
    "kms": 1.0,
    "alarm": 0.10,
    "zone": 0.50,
    "shield": 3000.0,
}
"""USD per month of one piece."""

OPTIONAL: Final = frozenset({"m7g.large", "m7g.xlarge", "m7g.2xlarge"})
"""Prices whose row is left out where no stack has any."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A row of the cost table: how many a recording has, at which price."""

    name: str
    price: str
    count: Callable[[Recording], int]


def _nodes(instance_type: str) -> Callable[[Recording], int]:
    def count(recording: Recording) -> int:
        groups = [
            group for group in recording.of("aws:eks/nodeGroup:NodeGroup") if group.inputs["instanceTypes"][0] == instance_type
        ]
        return sum(int(group.inputs["scalingConfig"]["minSize"]) for group in groups)

    return count


def _disks(recording: Recording) -> int:
    templates = {template.parent: template for template in recording.of("aws:ec2/launchTemplate:LaunchTemplate")}
    total = 0
    for group in recording.of("aws:eks/nodeGroup:NodeGroup"):
        disks = templates[group.parent].inputs["blockDeviceMappings"]
        total += sum(int(disk["ebs"].get("volumeSize", 0)) for disk in disks) * int(group.inputs["scalingConfig"]["minSize"])
    return total


def _endpoints(recording: Recording) -> int:
    interfaces = [
        each for each in recording.of("aws:ec2/vpcEndpoint:VpcEndpoint") if each.inputs.get("vpcEndpointType") == "Interface"
    ]
    return sum(len(each.inputs["subnetIds"]) for each in interfaces)


def _addresses(recording: Recording) -> int:
    public = [each for each in recording.of("aws:lb/loadBalancer:LoadBalancer") if not each.inputs["internal"]]
    return len(recording.of("aws:ec2/eip:Eip")) + sum(len(each.inputs["subnets"]) for each in public)


def _rules(recording: Recording) -> int:
    return sum(len(acl.inputs["rules"]) for acl in recording.of("aws:wafv2/webAcl:WebAcl"))


def _balancers(kind: str) -> Callable[[Recording], int]:
    return lambda recording: sum(
        each.inputs["loadBalancerType"] == kind for each in recording.of("aws:lb/loadBalancer:LoadBalancer")
    )


def _database_disks(recording: Recording) -> int:
    clusters = recording.of("kubernetes:postgresql.cnpg.io/v1:Cluster")
    return (
        sum(int(each.inputs["spec"]["instances"]) * mebibytes(each.inputs["spec"]["storage"]["size"]) for each in clusters)
        // 1024
    )


def _claims(recording: Recording) -> int:
    return sum(claimed(release.inputs["values"]) for release in recording.of(RELEASE)) // 1024


def _all(type_: str) -> Callable[[Recording], int]:
    return lambda recording: len(recording.of(type_))


PIECES: Final = (
    Piece(name="EKS control planes", price="eks", count=_all("eks:index:Cluster")),
    Piece(name="nodes m7g.large, at the smallest size", price="m7g.large", count=_nodes("m7g.large")),
    Piece(name="nodes m7g.xlarge, at the smallest size", price="m7g.xlarge", count=_nodes("m7g.xlarge")),
    Piece(name="nodes m7g.2xlarge, at the smallest size", price="m7g.2xlarge", count=_nodes("m7g.2xlarge")),
    Piece(name="node volumes, GiB of gp3", price="gp3_gib", count=_disks),
    Piece(name="NAT gateways", price="nat", count=_all("aws:ec2/natGateway:NatGateway")),
    Piece(name="interface endpoints, each per zone", price="endpoint", count=_endpoints),
    Piece(name="load balancers of the edge, before capacity units", price="balancer", count=_balancers("application")),
    Piece(
        name="load balancers between the regions and to Vault, before capacity units",
        price="balancer",
        count=_balancers("network"),
    ),
    Piece(name="volumes of databases, GiB of gp3", price="gp3_gib", count=_database_disks),
    Piece(name="volumes of Vault, metrics, logs and SPIRE, GiB of gp3", price="gp3_gib", count=_claims),
    Piece(name="private hosted zones", price="zone", count=_all("aws:route53/zone:Zone")),
    Piece(name="public IPv4 addresses of NAT gateways and load balancers", price="address", count=_addresses),
    Piece(name="web ACLs", price="web_acl", count=_all("aws:wafv2/webAcl:WebAcl")),
    Piece(name="web ACL rules", price="web_acl_rule", count=_rules),
    Piece(name="KMS keys, before rotations", price="kms", count=_all("aws:kms/key:Key")),
    Piece(name="CloudWatch alarms", price="alarm", count=_all("aws:cloudwatch/metricAlarm:MetricAlarm")),
    Piece(name="Shield Advanced, with a year's commitment", price="shield", count=_all("aws:shield/subscription:Subscription")),
)


def unpriced(recording: Recording) -> set[str]:
    """Instance types of node groups that have no price here."""
    return {group.inputs["instanceTypes"][0] for group in recording.of("aws:eks/nodeGroup:NodeGroup")} - set(PRICES)


def cost_block() -> str:
    """Counts of each shipped stack times the list price."""
    recordings = {stack: record_stack(stack) for stack in STACKS}
    totals = dict.fromkeys(STACKS, 0.0)
    rows = []
    for piece in PIECES:
        cells: list[str] = []
        for stack, recording in recordings.items():
            count = piece.count(recording)
            usd = count * PRICES[piece.price]
            totals[stack] += usd
            cells += [f"{count:,}" if count else "", f"{usd:,.0f}" if count else ""]
        if not any(cells) and piece.price in OPTIONAL:
            continue
        rows.append(row(piece.name, f"{PRICES[piece.price]:,.2f}", *cells))
    rows.append(row("**sum**", "", *(each for stack in STACKS for each in ("", f"**{totals[stack]:,.0f}**"))))
    heads = [head for stack in STACKS for head in (f"{stack}:", "USD:")]
    return table(("piece", "each:", *heads), rows)


def preview_text() -> str:
    """What `make preview` prints for the previewed stack, without the findings' own lines, the engine's source and the time.

    Raises:
        RuntimeError: the preview failed.
    """
    call = [sys.executable, "-m", "sandbox.preview", "--stack", PREVIEWED]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"the preview of {PREVIEWED} failed; its block stays as it was\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise RuntimeError(msg)
    return kept(done.stdout)


def kept(output: str) -> str:
    """The lines of a preview's output that the README shows: the table, the policies' line and the providers' line."""
    lines = [line.rstrip() for line in output.splitlines()]
    start = next(index for index, line in enumerate(lines) if re.fullmatch(r"\d+ resources", line.strip()))
    wanted = [line for line in lines[start:] if re.match(r"[┏┃┡│├└╇]|\d+ resources|policies:|providers:", line.strip())]
    return "\n".join(wanted)


def preview_block() -> str:
    """The block, fenced."""
    return f"```text\n$ make preview STACK={PREVIEWED}\n{preview_text()}\n```"


def blocks() -> dict[str, str]:
    """The README's blocks that need no engine."""
    return {
        "picture": picture.block(record_stack("prod")),
        "cost": cost_block(),
        "engines": engines.block(),
        "unrun": engines.unrun_block(),
    }


def block_of(text: str, name: str) -> str:
    """What stands between a block's markers."""
    return _between(name).search(text)["body"].strip("\n")  # type: ignore[index]


def _between(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<begin><!-- {name}:begin \(make docs\) -->\n)(?P<body>.*?)(?P<end><!-- {name}:end -->)", re.DOTALL)


def placed(text: str, name: str, body: str) -> str:
    """The text with another block.

    Raises:
        ValueError: the markers are not there exactly once.
    """
    filled, count = _between(name).subn(lambda found: f"{found['begin']}{body}\n{found['end']}", text)
    if count != 1:
        msg = f"{name}: {count} pairs of markers"
        raise ValueError(msg)
    return filled


def stale() -> list[Path]:
    """Files below docs/reference that nothing generates any more: the picture of a tenant that is gone."""
    current = {ROOT / path for path in pages()}
    return sorted(path for path in (ROOT / "docs/reference").iterdir() if path not in current)


def main(arguments: Sequence[str] = ()) -> int:
    """Write everything; `--no-engine` leaves the preview block as it is."""
    for path in stale():
        path.unlink()
    for name, text in pages().items():
        (ROOT / name).write_text(text, encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    for name, body in blocks().items():
        readme = placed(readme, name, body)
    README.write_text(readme, encoding="utf-8")
    if "--no-engine" not in arguments:
        try:
            block = preview_block()
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        README.write_text(placed(readme, "preview", block), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
