"""The same rules as Kubernetes NetworkPolicies: isolation that outlives the CNI. Any plug-in that knows the kind enforces it.

Where both kinds are enforced at once, as by Cilium, what they allow adds up, and the coarser kind would undo the finer one.
Three places where a NetworkPolicy is coarser, and the form chosen so that the sum stays what Cilium's kind says:

- Names. DNS by port (UDP 53) beside a rule for names opens every name. Allowed is the DNS server's pod without a port: the more
  specific rule, Cilium's on port 53, goes on judging names. The server's own policy closes its other ports.
- Service accounts. A NetworkPolicy knows labels only; `policies_cilium.impostor` denies a pod that wears another's.
- Hosts of the internet. A NetworkPolicy knows no names, so it must allow every public address, on the host's port: see `outside`.

Nodes and the API server are networks here. Beside Cilium's rules the nodes' network adds only what has an address in it and is
neither pod nor node, such as a load balancer's interface: Cilium never knows pods and nodes by their addresses. Kubelets reach
their own pods by the kind's own definition.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from components.cni.policies import (
    ControlPlane,
    CredentialAgent,
    EveryPod,
    Flow,
    Hosts,
    Lookups,
    Networks,
    Nodes,
    Pods,
    Policy,
)
from components.cni.policies_cilium import CREDENTIAL_PORT, DNS_SERVER
from components.graph.names import NAMESPACE_LABEL
from components.manifests import Manifest, manifest

API_VERSION: Final = "networking.k8s.io/v1"
CREDENTIAL_ADDRESS: Final = "169.254.170.23/32"
"""EKS Pod Identity's agent."""
NOT_PUBLIC: Final = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4"),
)
"""IPv4 networks that are not globally reachable (IANA's special-purpose registry) and multicast: no host of the internet."""


def pod_selector(pods: Pods) -> dict[str, Any]:
    """Labels of pods in their namespace; empty where all of them are meant."""
    expressions = [
        *({"key": key, "operator": "Exists"} for key in pods.present),
        *({"key": key, "operator": "DoesNotExist"} for key in pods.absent),
    ]
    return {
        **({"matchLabels": dict(sorted(pods.labels.items()))} if pods.labels else {}),
        **({"matchExpressions": expressions} if expressions else {}),
    }


def _pods(pods: Pods) -> dict[str, Any]:
    chosen = pod_selector(pods)
    return {
        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: pods.namespace}},
        **({"podSelector": chosen} if chosen else {}),
    }


def _peers(flow: Flow) -> list[dict[str, Any]]:
    match flow.peer:
        case Pods() as pods:
            return [_pods(pods)]
        case Lookups():
            return [_pods(DNS_SERVER)]
        case Networks(cidrs=cidrs) | ControlPlane(cidrs=cidrs) | Nodes(cidrs=cidrs) | Hosts(inside=cidrs):
            return [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]
        case CredentialAgent():
            return [{"ipBlock": {"cidr": CREDENTIAL_ADDRESS}}]
        case EveryPod():
            return [{"namespaceSelector": {"matchExpressions": [{"key": NAMESPACE_LABEL, "operator": "Exists"}]}}]


def _rules(flows: Sequence[Flow], direction: str) -> list[dict[str, Any]]:
    """One rule per flow. A flow without a peer of this kind is left out: an empty list of peers would mean everybody."""
    rules = []
    for flow in flows:
        peers = _peers(flow)
        ports = (CREDENTIAL_PORT,) if isinstance(flow.peer, CredentialAgent) else flow.ports
        numbers = [{"port": port, "protocol": protocol} for port in ports for protocol in flow.protocols]
        if peers:
            rules.append({direction: peers, **({"ports": numbers} if numbers else {})})
    return rules


def network_policies(policy: Policy) -> Iterator[Manifest]:
    """The policy's objects: one, and a second where a host of the internet is among its peers."""
    spec: dict[str, Any] = {"podSelector": pod_selector(policy.subject)}
    ingress, egress = _rules(policy.ingress, "from"), _rules(policy.egress, "to")
    if ingress:
        spec["ingress"] = ingress
    if egress:
        spec["egress"] = egress
    types = [kind for kind, rules in (("Ingress", ingress), ("Egress", egress)) if rules]
    yield _object(policy.name, policy.subject.namespace, {**spec, "policyTypes": types})
    if any(isinstance(flow.peer, Hosts) and not flow.peer.inside for flow in policy.egress):
        yield outside(policy)


def outside(policy: Policy) -> Manifest:
    """Every public address on the hosts' ports, for a CNI that knows no names; Cilium must not add it to its own rules.

    The wildcard is what the kind can say of a host whose address is not ours to know; private networks are excepted, so that it
    opens no way inside. It is confined to the few pods that carry other people's calls out, and their proxy goes on telling
    hosts apart. Under Cilium it selects nothing: the label below is set by the controller that makes the pods and is left
    out of identities by Cilium's default filter (pkg/labelsfilter), so `toFQDNs` stays the whole truth there. Under any other
    plug-in every such pod has it.
    """
    made_by = "controller-revision-hash" if policy.subject.stateful else "pod-template-hash"
    chosen = pod_selector(policy.subject)
    chosen["matchExpressions"] = [*chosen.get("matchExpressions", []), {"key": made_by, "operator": "Exists"}]
    ports = sorted(
        {port for flow in policy.egress if isinstance(flow.peer, Hosts) and not flow.peer.inside for port in flow.ports}
    )
    rule = {
        "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": list(NOT_PUBLIC)}}],
        "ports": [{"port": port, "protocol": "TCP"} for port in ports],
    }
    spec = {"podSelector": chosen, "egress": [rule], "policyTypes": ["Egress"]}
    return _object(f"{policy.name}.outside", policy.subject.namespace, spec)


def namespace_deny(namespace: str) -> Manifest:
    """Default deny of one namespace in both directions; a NetworkPolicy reaches no further than its namespace."""
    return _object("default-deny", namespace, {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})


def _object(name: str, namespace: str, spec: dict[str, Any]) -> Manifest:
    return manifest(API_VERSION, "NetworkPolicy", name, namespace=namespace, spec=spec)
