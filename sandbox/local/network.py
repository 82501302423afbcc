"""The networks of a sandbox: a namespace per region that routes, one per node behind it, links between the regions.

Every address is a single host's, and every way a route of its own: no bridge, so all that a pod sends passes its node and
is seen by the node's rules, and what one region sends to another passes both routers. Nothing leads out of this machine.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from sandbox.local.plan import NodePlan, Plan, RegionPlan

_OPEN: Final = ("net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")


class NetworkError(Exception):
    """`ip` refused; the message is its own, with the command."""

    user_facing = True


def build(plan: Plan) -> None:
    """Makes every namespace, link and route; the caller has taken down what was there.

    Raises:
        NetworkError: with what `ip` says.
    """
    for region in plan.regions:
        _region(region)
    for (first, one), (second, other) in combinations(enumerate(plan.regions), 2):
        _pair(one, f"r{second}", other, f"r{first}")


def destroy(plan: Plan) -> None:
    """Removes every namespace of the plan that exists, and the links of this machine into them."""
    links = {link["ifname"] for link in json.loads(_ip("-json", "link"))}
    for region in plan.regions:
        # by itself it goes with the namespace, which ends some time after its last process
        if region.link in links:
            _ip("link", "delete", region.link)
    known = {line.split()[0] for line in _ip("netns", "list").splitlines() if line.strip()}
    for name in _namespaces(plan):
        if name in known:
            _ip("netns", "delete", name)


def entering(namespace: str) -> list[str]:
    """The beginning of a command that runs in a network namespace, with this machine's files."""
    return ["nsenter", f"--net=/run/netns/{namespace}"]


def _namespaces(plan: Plan) -> Iterator[str]:
    for region in plan.regions:
        yield region.namespace
        yield from (node.name for node in region.nodes)


def _region(region: RegionPlan) -> None:
    inside, host = region.namespace, region.link
    _namespace(inside)
    _ip("-n", inside, "address", "add", f"{region.router}/32", "dev", "lo")
    _ip("link", "add", host, "type", "veth", "peer", "name", "host", "netns", inside)
    _ip("address", "add", f"{region.host}/32", "dev", host)
    _up(None, host)
    _up(inside, "host")
    _route(inside, f"{region.host}/32", "host")
    _ip("route", "add", str(region.network), "via", str(region.router), "dev", host, "onlink")
    for node in region.nodes:
        _node(region, node)
    first = region.nodes[0]
    for served in (region.balancers, region.services):
        _via(inside, str(served), first, _port(first))


def _node(region: RegionPlan, node: NodePlan) -> None:
    port = _port(node)
    _namespace(node.name)
    _ip("-n", region.namespace, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", node.name)
    _ip("-n", node.name, "address", "add", f"{node.address}/32", "dev", "eth0")
    _up(node.name, "eth0")
    _up(region.namespace, port)
    _route(node.name, f"{region.router}/32", "eth0")
    _ip("-n", node.name, "route", "add", "default", "via", str(region.router), "dev", "eth0", "onlink")
    _route(region.namespace, f"{node.address}/32", port)
    _via(region.namespace, str(node.pods), node, port)


def _pair(one: RegionPlan, port: str, other: RegionPlan, back: str) -> None:
    _ip("-n", one.namespace, "link", "add", port, "type", "veth", "peer", "name", back, "netns", other.namespace)
    for here, there, device in ((one, other, port), (other, one, back)):
        _up(here.namespace, device)
        _route(here.namespace, f"{there.router}/32", device)
        target = ("via", str(there.router), "dev", device, "onlink", "src", str(here.router))
        _ip("-n", here.namespace, "route", "add", str(there.network), *target)


def _port(node: NodePlan) -> str:
    return f"n-{node.zone[-1]}"


def _namespace(name: str) -> None:
    _ip("netns", "add", name)
    _up(name, "lo")
    for setting in _OPEN:
        _run([*entering(name), "sysctl", "-qw", setting])


def _up(namespace: str | None, device: str) -> None:
    _ip(*(("-n", namespace) if namespace else ()), "link", "set", device, "up")


def _route(namespace: str, target: str, device: str) -> None:
    _ip("-n", namespace, "route", "add", target, "dev", device)


def _via(namespace: str, target: str, node: NodePlan, device: str) -> None:
    _ip("-n", namespace, "route", "add", target, "via", str(node.address), "dev", device, "onlink")


def _ip(*arguments: str) -> str:
    return _run(["ip", *arguments])


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"{' '.join(command)}: {done.stderr.strip()}"
        raise NetworkError(msg)
    return done.stdout
