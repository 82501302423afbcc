"""What a node needs whose network is Cilium's, as a node of EKS has it: no other plug-in, no kube-proxy, a bpf file system.

Everything here is a decision without effects; who starts a node acts on it. Without another plug-in a node becomes Ready
when the agent has written its own plug-in's configuration: whoever waits for nodes waits after the chart is installed.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.local.plan import NodePlan

PACKAGES: Final = ("clang-19", "ipset", "iptables", "iproute2")
"""Debian's names of what the agent runs besides itself; they are parts of its image, not of a node."""
PROGRAMS: Final = ("cilium-agent", "cilium-cni", "cilium-dbg", "cilium-health-responder", "cilium-operator")
"""Rows of the toolchain that its images are made of."""
MOUNTS: Final = (("bpf", "bpf", "/sys/fs/bpf"),)
"""Type, source and target of what a node mounts for itself: an instance of its own, whose maps end with the node."""
REPLACED: Final = frozenset({"kube-proxy"})
"""Services of a node that the agent does itself."""
_VALUES: Final = Path(__file__).parent / "charts" / "cilium.local.yaml"


def services(given: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A node's services without those that the agent replaces; each has a `name`."""
    return [service for service in given if service["name"] not in REPLACED]


def address_range(node: NodePlan) -> dict[str, Any]:
    """The patch of a Node that tells the agent which addresses its pods have; the field can be set once."""
    return {"spec": {"podCIDR": str(node.pods), "podCIDRs": [str(node.pods)]}}


def values(given: Mapping[str, Any]) -> dict[str, Any]:
    """The chart's values for the sandbox: those that the program sets, with the differences of cilium.local.yaml over them."""
    return _over(given, yaml.safe_load(_VALUES.read_text(encoding="utf-8")))


def _over(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in other.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
