"""The small cluster that Cilium's engine is asked about in tests, and builders of the policies it is asked with."""

from typing import Any

from sandbox.cilium_verdicts import Address, Flow, Lookup, LookupVerdict, NamedPort, Verdict, Verdicts, Workload, judge

NAMESPACES = {name: {"kubernetes.io/metadata.name": name} for name in ("bank-a", "bank-b", "kube-system")}


def pod(name: str, namespace: str, **more: Any) -> Workload:
    return Workload(id=f"{namespace}/{name}", namespace=namespace, labels={"app.kubernetes.io/name": name}, **more)


WORKLOADS = (
    pod("api", "bank-a", service_account="api"),
    pod("db", "bank-a", service_account="db", named_ports=(NamedPort(name="pg", port=5432),)),
    pod("api", "bank-b", service_account="api"),
    Workload(id="dns", namespace="kube-system", labels={"k8s-app": "kube-dns"}),
)
OUTSIDE = (
    Address(id="inside the block", ip="203.0.113.7"),
    Address(id="in the exception", ip="203.0.113.200"),
    Address(id="api server", ip="198.51.100.1", kube_apiserver=True),
)
NAMES = {"pay.example.com": "192.0.2.10", "other.example.com": "192.0.2.11", "deep.a.example.com": "192.0.2.12"}
SERVICES = "bank-a/api", "bank-a/db"


def asked(policies: list[dict[str, Any]], *flows: tuple[Any, ...], lookups: tuple[Lookup, ...] = (), **more: Any) -> Verdicts:
    asks = [
        Flow(id=str(i), source=flow[0], target=flow[1], port=flow[2], protocol=(*flow, "TCP")[3]) for i, flow in enumerate(flows)
    ]
    given_more = {"cluster_name": "eu-west-1", "entities": ("world", "host"), "addresses": OUTSIDE, "names": NAMES} | more
    return judge(policies, NAMESPACES, WORKLOADS, asks, lookups, **given_more)


def one(policies: list[dict[str, Any]], source: str, target: str, port: int, protocol: str = "TCP") -> Verdict:
    return asked(policies, (source, target, port, protocol), self_check=True).flows["0"]


def looked_up(policies: list[dict[str, Any]], name: str) -> LookupVerdict:
    return asked(policies, lookups=(Lookup(id="0", source="bank-a/api", dns_server="dns", name=name),)).lookups["0"]


def cnp(name: str, app: str | None, namespace: str = "bank-a", **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app.kubernetes.io/name": app}} if app else {}
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": metadata,
        "spec": {"endpointSelector": selector, **spec},
    }


def ccnp(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumClusterwideNetworkPolicy", "metadata": {"name": name}, "spec": spec}


def netpol(name: str, app: str | None, namespace: str = "bank-a", **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app.kubernetes.io/name": app}} if app else {}
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {"podSelector": selector, **spec},
    }


def endpoints(app: str, namespace: str = "bank-a") -> list[dict[str, Any]]:
    return [{"matchLabels": {"app.kubernetes.io/name": app, "k8s:io.kubernetes.pod.namespace": namespace}}]


def ports(port: int | str, protocol: str = "TCP", **rules: Any) -> list[dict[str, Any]]:
    return [{"ports": [{"port": str(port), "protocol": protocol}], **({"rules": rules} if rules else {})}]


DENY_ALL = ccnp(
    "default-deny",
    endpointSelector={
        "matchExpressions": [{"key": "io.kubernetes.pod.namespace", "operator": "NotIn", "values": ["kube-system"]}]
    },
    ingress=[{}],
    egress=[{}],
)
CALLER = cnp("api", "api", egress=[{"toEndpoints": endpoints("db"), "toPorts": ports(5432)}])
CALLEE = cnp("db", "db", ingress=[{"fromEndpoints": endpoints("api"), "toPorts": ports(5432)}])
DNS_SERVER = [{"matchLabels": {"k8s-app": "kube-dns", "k8s:io.kubernetes.pod.namespace": "kube-system"}}]
PAY = {"toFQDNs": [{"matchName": "pay.example.com"}], "toPorts": ports(443)}


def resolving(**rule: str) -> dict[str, Any]:
    return {"toEndpoints": DNS_SERVER, "toPorts": ports(53, "UDP", dns=[rule])}
