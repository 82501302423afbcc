"""Single edits of compiled objects, each of which opens or closes something, and the layers that must notice.

The first group are the engines' own traps: what an engine takes without a word and reads as more than it says.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.support.equivalence_world import World

Objects = dict[str, Any]
STRANGER_DNS: Final = {"ports": [{"protocol": "UDP", "port": 53}]}


@dataclass(frozen=True)
class Mutation:
    """An edit of one region's objects."""

    change: Callable[[World], None]
    noticed_by: str
    """The layer that must disagree; others may, too."""
    region: str = "eu-west-1"


def _one(world: World, kind: str, name: str, namespace: str | None = None) -> Objects:
    found = [
        each for each in world.of(kind) if each["metadata"]["name"] == name and each["metadata"].get("namespace") == namespace
    ]
    assert len(found) == 1, (kind, name, namespace)  # an edit that finds nothing would prove nothing
    return found[0]


def _policy(world: World, name: str = "call-bank-b-auth-to-trans", namespace: str = "bank-b") -> Objects:
    rule: Objects = _one(world, "AuthorizationPolicy", name, namespace)["spec"]["rules"][0]
    return rule


def _remove(kind: str, name: str, namespace: str | None = None) -> Callable[[World], None]:
    def change(world: World) -> None:
        gone = _one(world, kind, name, namespace)
        for key in [key for key, each in world.objects.items() if each is gone]:
            del world.objects[key]

    return change


def _source(**source: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        _policy(world)["from"] = [{"source": source}]

    return change


def _operation(**fields: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        _policy(world)["to"][0]["operation"].update(fields)

    return change


def _spec(kind: str, name: str, namespace: str | None, **fields: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        _one(world, kind, name, namespace)["spec"].update(fields)

    return change


def _cilium(name: str, namespace: str, direction: str, *rules: Objects) -> Callable[[World], None]:
    def change(world: World) -> None:
        _one(world, "CiliumNetworkPolicy", name, namespace)["spec"].setdefault(direction, []).extend(rules)

    return change


def _opa(service: str, edit: Callable[[Objects], None]) -> Callable[[World], None]:
    def change(world: World) -> None:
        namespace, name = service.split("/")
        data = _one(world, "ConfigMap", f"opa-data-{name}", namespace)["data"]
        document = json.loads(data["data.json"])
        edit(document)
        data["data.json"] = json.dumps(document)

    return change


def _without_condition(name: str) -> Callable[[World], None]:
    return _opa("bank-b/trans-ms", lambda data: data["calls"]["bank-a-api-to-bank-b-trans"]["conditions"].pop(name))


def _misspelt(world: World) -> None:
    operation = _policy(world)["to"][0]["operation"]
    operation["pathz"] = operation.pop("paths")


def _transport_only(world: World) -> None:
    del _policy(world)["to"]


def _aliases(world: World) -> None:
    others = [code for code in world.tree["regions"] if code != world.region]
    world.mesh["trustDomainAliases"] = [world.domain.replace(world.region, code) for code in others]


def _no_token(world: World) -> None:
    rule = _policy(world, "route-bank-a-web", "istio-ingress")
    del rule["when"]


def _anybody_out(world: World) -> None:
    del _policy(world, "egress-bank-a-rates", "istio-egress")["from"]


def _any_name(world: World) -> None:
    for rule in _one(world, "CiliumNetworkPolicy", "mesh-frontend", "bank-a")["spec"]["egress"]:
        for ports in rule["toPorts"]:
            if "rules" in ports:
                ports["rules"]["dns"].append({"matchPattern": "*"})


def _elsewhere(world: World) -> None:
    for each in world.of("WorkloadEntry"):
        each["spec"]["address"] = "10.250.0.9"


def _account(world: World) -> None:
    _one(world, "Deployment", "auth-ms", "bank-a")["spec"]["template"]["spec"]["serviceAccountName"] = "default"


def _label(world: World) -> None:
    labels = _one(world, "Deployment", "auth-ms", "bank-a")["spec"]["template"]["metadata"]["labels"]
    labels["app.kubernetes.io/name"] = "trans-ms"


def _unattested(world: World) -> None:
    _one(world, "ClusterSPIFFEID", "bank-a.auth-ms")["spec"]["workloadSelectorTemplates"] = ["k8s:ns:bank-a"]


def _passed_on(world: World) -> None:
    for each in world.of("Gateway"):
        if each["spec"]["servers"][0]["tls"]["mode"] == "AUTO_PASSTHROUGH":
            each["spec"]["servers"][0]["hosts"] = ["*/*"]


_DOMAINS: Final = {"federatesWith": ["eu-central-1.dev.mycompany.internal"]}
_EVERYWHERE: Final = {"egress": [{"hosts": ["*/*"]}]}
_ALLOW_ANY: Final = {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}
_PUBLIC: Final = [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"protocol": "TCP", "port": 443}]}]
_SERVICES: Final = {
    "toServices": [{"k8sService": {"serviceName": "trans-ms", "namespace": "bank-b"}}],
    "toPorts": [{"ports": [{"port": "8080", "protocol": "TCP"}]}],
}

TRAPS: Final[Mapping[str, Mutation]] = {
    "a principal with a wildcard for its trust domain": Mutation(_source(principals=["*/ns/bank-b/sa/auth-ms"]), "istio-inbound"),
    "callers by namespace": Mutation(_source(namespaces=["bank-b"]), "istio-inbound"),
    "callers by service account": Mutation(_source(serviceAccounts=["bank-b/auth-ms"]), "istio-inbound"),
    "trust domains made aliases": Mutation(_aliases, "istio-inbound"),
    "a misspelt field": Mutation(_misspelt, "istio"),
    "a policy of the transport in place of one of requests": Mutation(_transport_only, "istio-inbound"),
    "a path with a star for everything": Mutation(_operation(paths=["/*"]), "istio-inbound"),
    "a peer by Service": Mutation(_cilium("mesh-frontend", "bank-a", "egress", _SERVICES), "cilium"),
    "a peer with an empty selector": Mutation(_cilium("mesh-frontend", "bank-a", "ingress", {"fromEndpoints": [{}]}), "cilium"),
    "the whole cluster as a peer": Mutation(
        _cilium("mesh-frontend", "bank-a", "ingress", {"fromEntities": ["cluster"]}), "cilium"
    ),
    "names opened by their port": Mutation(
        lambda world: _one(world, "NetworkPolicy", "mesh-frontend", "bank-a")["spec"]["egress"].append(STRANGER_DNS), "both"
    ),
    "a limit lost from the data": Mutation(_without_condition("amount_limit_minor_units"), "opa"),
}

SLIPS: Final[Mapping[str, Mutation]] = {
    "hours lost from the data": Mutation(_without_condition("hours"), "opa"),
    "scopes lost from the data": Mutation(_without_condition("scopes"), "opa"),
    "a ceiling raised in the data": Mutation(
        _opa(
            "bank-b/trans-ms",
            lambda data: data["calls"]["bank-a-api-to-bank-b-trans"]["conditions"].update(risk_ceiling="medium"),
        ),
        "opa",
    ),
    "a method added to the data": Mutation(
        _opa("bank-b/auth-ms", lambda data: data["calls"]["bank-b-api-to-auth"]["operations"][0]["methods"].append("DELETE")),
        "opa",
    ),
    "an edge lost from the data": Mutation(_opa("bank-b/auth-ms", lambda data: data["calls"].clear()), "opa"),
    "no default deny in the mesh": Mutation(_remove("AuthorizationPolicy", "default-deny", "bank-b"), "istio-inbound"),
    "no default deny in Cilium": Mutation(_remove("CiliumClusterwideNetworkPolicy", "default-deny"), "cilium"),
    "no default deny in the namespace": Mutation(_remove("NetworkPolicy", "default-deny", "bank-b"), "networkpolicy"),
    "no denial of impostors": Mutation(_remove("CiliumNetworkPolicy", "impostor-api-ms", "bank-b"), "both"),
    "an edge missing at the callee's network": Mutation(
        _remove("CiliumNetworkPolicy", "called-bank-b-api-to-auth", "bank-b"), "cilium"
    ),
    "an edge missing at the callee's mesh": Mutation(
        _remove("AuthorizationPolicy", "call-bank-b-api-to-auth", "bank-b"), "istio-inbound"
    ),
    "a scope of everything": Mutation(_spec("Sidecar", "service-frontend", "bank-a", **_EVERYWHERE), "istio-outbound"),
    "unknown hosts let out": Mutation(_spec("Sidecar", "service-frontend", "bank-a", **_ALLOW_ANY), "istio-outbound"),
    "every name answered": Mutation(_any_name, "cilium"),
    "the internet by address": Mutation(
        lambda world: _one(world, "NetworkPolicy", "mesh-frontend", "bank-a")["spec"]["egress"].extend(_PUBLIC), "networkpolicy"
    ),
    "a bundle too few": Mutation(lambda w: _one(w, "ClusterSPIFFEID", "bank-b.trans-ms")["spec"].pop("federatesWith"), "spire"),
    "a bundle too many": Mutation(_spec("ClusterSPIFFEID", "shared.notifications", None, **_DOMAINS), "spire"),
    "an identity for whoever wears the label": Mutation(_unattested, "spire"),
    "a workload under another account": Mutation(_account, "spire"),
    "a workload under another's label": Mutation(_label, "networkpolicy"),
    "a route without its token": Mutation(_no_token, "ingress-gateway"),
    "no policy for an external host": Mutation(
        _remove("AuthorizationPolicy", "egress-bank-a-rates", "istio-egress"), "egress-gateway"
    ),
    "an external host for everybody": Mutation(_anybody_out, "egress-gateway"),
    "another region at another address": Mutation(_elsewhere, "istio-outbound", "eu-central-1"),
    "every host passed on between regions": Mutation(_passed_on, "eastwest-gateway"),
}
MUTATIONS: Final = {**TRAPS, **SLIPS}
