"""Which flows and DNS lookups a set of policies allows, by Cilium's own policy engine and without a cluster.

Judged are CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy and NetworkPolicy, as the agent of the release pinned in
`tools/cilium-verdicts/go.mod` would enforce them: default enforcement, IPv4, the node may reach its pods, default label
filter, no host firewall. A policy is evaluated at the pod: ports are those of the pod, not of the Service. What the HTTP
proxy makes of a request is not judged; its rules are reported. Peers that need a running cluster (`toServices`,
`toGroups`, `toNodes`, CIDR groups) are refused by the object's name.
"""

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sandbox.toolchain import build

NETWORK_POLICY: Final = ("NetworkPolicy",)
CILIUM_POLICIES: Final = ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")

Decision = Literal["allow", "deny", "redirect"]
Reason = Literal["not-policed", "no-policy", "allow-localhost", "policy", "explicit-deny", "default-deny"]
Protocol = Literal["TCP", "UDP", "SCTP"]
Fault = Literal["entities-uninitialised", "subjects-unknown"]
Policy = Mapping[str, Any]


class VerdictError(Exception):
    """The engine could not judge, or disagreed with itself; the message names the object or the flow."""


@dataclass(frozen=True, kw_only=True)
class NamedPort:
    """A container port that policies may name."""

    name: str
    port: int
    protocol: Protocol = "TCP"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A pod; replicas are one workload. Without a service account none of its selectors matches."""

    id: str
    namespace: str
    labels: Mapping[str, str]
    service_account: str = ""
    named_ports: tuple[NamedPort, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Address:
    """An IP outside the cluster; `kube_apiserver` marks that of a managed control plane."""

    id: str
    ip: str
    kube_apiserver: bool = False


@dataclass(frozen=True, kw_only=True)
class Flow:
    """The first packet of a connection. `source` and `target` are ids of workloads, entities, addresses or names."""

    id: str
    source: str
    target: str
    port: int
    protocol: Protocol = "TCP"


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """A DNS query by a workload to a workload, and the port at which it wants what it asks for."""

    id: str
    source: str
    dns_server: str
    name: str
    dns_port: int = 53
    port: int = 443
    protocol: Protocol = "TCP"


@dataclass(frozen=True, kw_only=True)
class Side:
    """The verdict at one end: the policies (`kind/namespace/name`) that made it, and what the proxy is told.

    An `l7` entry has `parser` (`http`, `dns`, `tls`; empty for a peer allowed without rules) and its rules.
    """

    verdict: Decision
    reason: Reason
    policies: tuple[str, ...]
    l7: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A flow is denied when one end denies it; `redirect` means a proxy judges what is said on the connection."""

    egress: Side
    ingress: Side
    verdict: Decision

    @property
    def allowed(self) -> bool:
        """Whether the connection is admitted, be it to a proxy."""
        return self.verdict != "deny"


@dataclass(frozen=True, kw_only=True)
class LookupVerdict:
    """Whether a name can be looked up, and used.

    `query` is the packet to the server; `resolve` whether a query for this name is answered; `learned` whether the answer
    passes the DNS proxy, without which no `toFQDNs` selects the address; `reach` the connection to the name as if it had
    been learned, None for a name that was given no address.
    """

    query: Verdict
    resolve: Literal["allow", "deny"]
    learned: bool
    reach: Verdict | None

    @property
    def usable(self) -> bool:
        """Whether the workload gets an address and may then connect to it by a `toFQDNs` rule."""
        return self.resolve == "allow" and self.learned and self.reach is not None and self.reach.allowed


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """One verdict for each flow and lookup, by its id.

    `unenforced` are policies that bind nodes, which only the host firewall enforces. `compared` counts the sides on which
    LookupFlow and IteratePolicy, both Cilium's own, were asked too and agreed.
    """

    flows: Mapping[str, Verdict]
    lookups: Mapping[str, LookupVerdict]
    unenforced: tuple[str, ...] = ()
    compared: Mapping[str, int] = field(default_factory=dict)


def of_kind(policies: Iterable[Policy], kinds: Iterable[str]) -> tuple[Policy, ...]:
    """The policies of these kinds: to judge one layer alone."""
    wanted = frozenset(kinds)
    return tuple(policy for policy in policies if policy["kind"] in wanted)


def judge(
    policies: Iterable[Policy],
    namespaces: Mapping[str, Mapping[str, str]],
    workloads: Iterable[Workload],
    flows: Iterable[Flow] = (),
    lookups: Iterable[Lookup] = (),
    *,
    cluster_name: str,
    entities: Iterable[str] = (),
    addresses: Iterable[Address] = (),
    names: Mapping[str, str] | None = None,
    self_check: bool = False,
    plant: Iterable[Fault] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Verdicts:
    """Judges every flow and lookup; builds the engine first if the cache has none (minutes, reported to `progress`).

    Args:
        policies: manifests; those of another kind or API version are refused.
        namespaces: name to labels, with the labels the cluster itself adds (`kubernetes.io/metadata.name`).
        workloads: every pod that a flow or lookup names.
        flows: connections to judge.
        lookups: DNS queries to judge.
        cluster_name: Cilium's `cluster.name`; selectors mean this cluster unless they say otherwise.
        entities: the reserved identities that flows name, such as `world`, `host`, `kube-apiserver`.
        addresses: the addresses outside the cluster that flows name.
        names: DNS name to the IP it resolved to, for the names that flows and lookups use.
        self_check: ask two simulators of Cilium's own as well, and raise where they differ.
        plant: leave a step of the set-up out, to see that the known denials notice.
        progress: gets a line for each second of a build.

    Raises:
        VerdictError: naming the object that cannot be judged, or the flow on which the engine and its simulators differ.
        ToolError: when the engine cannot be built.
    """
    job = {
        "cluster_name": cluster_name,
        "policies": [dict(policy) for policy in policies],
        "namespaces": {name: dict(labels) for name, labels in namespaces.items()},
        "workloads": [
            {
                "id": workload.id,
                "namespace": workload.namespace,
                "labels": dict(workload.labels),
                "service_account": workload.service_account,
                "named_ports": [vars(port) for port in workload.named_ports],
            }
            for workload in workloads
        ],
        "entities": list(entities),
        "addresses": [vars(address) for address in addresses],
        "names": [{"id": name, "ip": ip} for name, ip in (names or {}).items()],
        "flows": [_renamed(vars(flow), {"source": "from", "target": "to"}) for flow in flows],
        "lookups": [_renamed(vars(lookup), {"source": "from"}) for lookup in lookups],
        "self_check": self_check,
        "plant": list(plant),
    }
    binary = build("cilium-verdicts", progress)
    done = subprocess.run([str(binary)], input=json.dumps(job), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise VerdictError(done.stderr.strip())
    said = json.loads(done.stdout)
    check = said["self_check"] or {"differences": []}
    if check["differences"]:
        raise VerdictError("\n".join(check["differences"]))
    return Verdicts(
        flows={key: _verdict(value) for key, value in said["flows"].items()},
        lookups={key: _lookup(value) for key, value in said["lookups"].items()},
        unenforced=tuple(said["unenforced"]),
        compared={key: value for key, value in check.items() if key != "differences"},
    )


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in values.items()}


def _side(said: Mapping[str, Any]) -> Side:
    return Side(verdict=said["verdict"], reason=said["reason"], policies=tuple(said["policies"]), l7=tuple(said["l7"]))


def _verdict(said: Mapping[str, Any]) -> Verdict:
    return Verdict(egress=_side(said["egress"]), ingress=_side(said["ingress"]), verdict=said["verdict"])


def _lookup(said: Mapping[str, Any]) -> LookupVerdict:
    reach = said["reach"]
    return LookupVerdict(
        query=_verdict(said["query"]),
        resolve=said["resolve"],
        learned=said["learned"],
        reach=None if reach is None else _verdict(reach),
    )
