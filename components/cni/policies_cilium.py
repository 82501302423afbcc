"""Rules as CiliumNetworkPolicies, and the clusterwide default deny they are exceptions to.

Layers 3 and 4 and DNS only. HTTP rules would need Cilium's own proxy to read what the mesh encrypts: Istio and OPA judge
requests. No `toServices` and no `toGroups`: with ports beside them the engine reads both as everybody until it has resolved them.
Cilium looks at a Service's backend, so every port is the pod's own. A policy allows, it never orders; the only denials are
`default_deny`'s, `impostor`'s, `quarantine`'s and `public_only`'s, and denials win over whatever anybody allows.
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
    Peer,
    Pods,
    Policy,
)
from components.graph.names import QUARANTINE_LABEL, SYSTEM_NAMESPACE
from components.manifests import Manifest, manifest

API_VERSION: Final = "cilium.io/v2"
NAMESPACE_KEY: Final = "k8s:io.kubernetes.pod.namespace"
ACCOUNT_KEY: Final = "k8s:io.cilium.k8s.policy.serviceaccount"
DNS_SERVER: Final = Pods(namespace=SYSTEM_NAMESPACE, labels={"k8s-app": "kube-dns"})
DNS_PORTS: Final = [{"port": "53", "protocol": "UDP"}, {"port": "53", "protocol": "TCP"}]
CREDENTIAL_PORT: Final = 80
INSTANCE_METADATA: Final = "169.254.169.254/32"


def selector(pods: Pods, *, peer: bool) -> dict[str, Any]:
    """A selector of endpoints. A policy's subject never names its namespace (its own is meant), a peer always does."""
    labels = {f"k8s:{key}": value for key, value in pods.labels.items()}
    if peer:
        labels[NAMESPACE_KEY] = pods.namespace
    if pods.service_account is not None:
        labels[ACCOUNT_KEY] = pods.service_account
    expressions = [
        *({"key": f"k8s:{key}", "operator": "Exists"} for key in pods.present),
        *({"key": f"k8s:{key}", "operator": "DoesNotExist"} for key in pods.absent),
    ]
    return {
        **({"matchLabels": dict(sorted(labels.items()))} if labels else {}),
        **({"matchExpressions": expressions} if expressions else {}),
    }


def _peers(peer: Peer) -> Iterator[tuple[str, list[Any]]]:
    """A peer as (field without its direction, entries): one rule each, since a rule's fields may not be mixed."""
    match peer:
        case Pods():
            yield "Endpoints", [selector(peer, peer=True)]
        case Lookups():
            yield "Endpoints", [selector(DNS_SERVER, peer=True)]
        case Networks(cidrs=cidrs):
            yield "CIDR", list(cidrs)
        case Hosts(names=names):
            yield "FQDNs", [{"matchName": name} for name in names]
        case ControlPlane(cidrs=cidrs):
            yield "Entities", ["kube-apiserver"]
            yield "CIDR", list(cidrs)
        case Nodes():
            yield "Entities", ["host", "remote-node"]
        case CredentialAgent():
            yield "Entities", ["host"]
        case EveryPod():
            yield "Entities", ["cluster"]


def _ports(flow: Flow) -> dict[str, Any]:
    match flow.peer:
        case Lookups(names=names, patterns=patterns):
            allowed = [*({"matchName": name} for name in names), *({"matchPattern": pattern} for pattern in patterns)]
            return {"ports": DNS_PORTS, "rules": {"dns": allowed}}
        case CredentialAgent():
            return {"ports": [{"port": str(CREDENTIAL_PORT), "protocol": "TCP"}]}
        case _:
            return {"ports": [{"port": str(port), "protocol": protocol} for port in flow.ports for protocol in flow.protocols]}


def _rules(flows: Sequence[Flow], direction: str) -> list[dict[str, Any]]:
    return [{f"{direction}{what}": entries, "toPorts": [_ports(flow)]} for flow in flows for what, entries in _peers(flow.peer)]


def cilium_policy(policy: Policy) -> Manifest:
    """One CiliumNetworkPolicy."""
    spec: dict[str, Any] = {"endpointSelector": selector(policy.subject, peer=False)}
    if policy.ingress:
        spec["ingress"] = _rules(policy.ingress, "from")
    if policy.egress:
        spec["egress"] = _rules(policy.egress, "to")
    return manifest(API_VERSION, "CiliumNetworkPolicy", policy.name, namespace=policy.subject.namespace, spec=spec)


def impostor(name: str, pods: Pods) -> Manifest:
    """Nothing at all, for a pod that wears the labels of `pods` without their service account.

    The policies above pass such a pod by. A NetworkPolicy cannot tell it from the real one, and Cilium adds up what both kinds
    allow; a denial wins over the sum.

    Raises:
        ValueError: for pods without labels or account: everything in their namespace would be denied.
    """
    if not pods.labels or pods.service_account is None:
        msg = f"{name}: an impostor is known by the labels it wears and the account it lacks; name both"
        raise ValueError(msg)
    worn = Pods(namespace=pods.namespace, labels=pods.labels)
    lacks = {"key": ACCOUNT_KEY, "operator": "NotIn", "values": [pods.service_account]}
    spec = {
        "endpointSelector": {**selector(worn, peer=False), "matchExpressions": [lacks]},
        "ingressDeny": [{"fromEntities": ["all"]}],
        "egressDeny": [{"toEntities": ["all"]}],
    }
    return manifest(API_VERSION, "CiliumNetworkPolicy", f"impostor-{name}", namespace=pods.namespace, spec=spec)


def quarantine(namespace: str) -> Manifest:
    """Nothing in or out for the namespace's pods that carry the quarantine's label, the kubelet's probes included.

    No NetworkPolicy says the same beside it: that kind has no denial.
    """
    quarantined = Pods(namespace=namespace, labels={QUARANTINE_LABEL: "true"})
    spec = {
        "endpointSelector": selector(quarantined, peer=False),
        "ingressDeny": [{"fromEntities": ["all"]}],
        "egressDeny": [{"toEntities": ["all"]}],
    }
    return manifest(API_VERSION, "CiliumNetworkPolicy", "quarantine", namespace=namespace, spec=spec)


def default_deny() -> Manifest:
    """Every pod of every namespace, present or future: nothing in or out that no policy allows.

    The kubelet of a pod's own node may probe it. The instance metadata service is denied outright: a node's credentials are
    no pod's. Selected by the namespace label, not by an empty selector: Cilium's own health endpoints have none and stay free.
    """
    spec = {
        "endpointSelector": {"matchExpressions": [{"key": NAMESPACE_KEY, "operator": "Exists"}]},
        "enableDefaultDeny": {"ingress": True, "egress": True},
        "ingress": [{"fromEntities": ["host"]}],
        "egress": [{"toEntities": ["none"]}],
        "egressDeny": [{"toCIDR": [INSTANCE_METADATA]}],
    }
    return manifest(API_VERSION, "CiliumClusterwideNetworkPolicy", "default-deny", spec=spec)


def public_only(name: str, pods: Pods, private: Sequence[str]) -> Manifest:
    """What these pods reach by a name is never an address of `private`: who owns a name of the internet also says where it leads.

    `toFQDNs` believes every answer, so the owner of one host could point it at the API server's or an AWS endpoint's interface.
    Pods are not known by their addresses and stay what the allowances say.
    """
    spec = {"endpointSelector": selector(pods, peer=True), "egressDeny": [{"toCIDR": list(private)}]}
    return manifest(API_VERSION, "CiliumClusterwideNetworkPolicy", name, spec=spec)
