"""What can contradict Cilium's policy map: Cilium's own simulators, and an analyzer that shares no code with it.

The analyzer knows NetworkPolicy alone: service accounts, names, entities and deny rules have no opinion but Cilium's.
"""

import itertools
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sandbox import nca
from tests.manifests.cilium_cases import (
    CALLEE,
    DENY_ALL,
    NAMESPACES,
    OUTSIDE,
    SERVICES,
    WORKLOADS,
    asked,
    cnp,
    endpoints,
    netpol,
    ports,
)

IDS = tuple(workload.id for workload in WORKLOADS)
PORTS = (53, 443, 5432)
ALL_PAIRS = tuple(
    (*pair, port, protocol) for pair in itertools.permutations(IDS, 2) for port in PORTS for protocol in ("TCP", "UDP")
)
peers = st.sampled_from([("api", "bank-a"), ("db", "bank-a"), ("api", "bank-b")])
# an example starts processes: a failing one is not made smaller
BY_PROCESS = settings(suppress_health_check=[HealthCheck.too_slow], phases=(Phase.explicit, Phase.reuse, Phase.generate))
port_numbers = st.sampled_from([*PORTS, "pg"])
protocols = st.sampled_from(["TCP", "UDP"])


@st.composite
def network_policies(draw: st.DrawFn, name: str = "random") -> dict[str, Any]:
    def rule(direction: str) -> dict[str, Any]:
        app, namespace = draw(peers)
        selector = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": app}}}
        selector["namespaceSelector"] = draw(st.sampled_from([{}, {"matchLabels": {"kubernetes.io/metadata.name": namespace}}]))
        peer = draw(st.sampled_from([selector, {"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}}]))
        limited = draw(st.booleans())
        numbers = [{"port": draw(st.sampled_from(PORTS)), "protocol": draw(protocols)}] if limited else []
        return {direction: [peer], **({"ports": numbers} if limited else {})}

    types = draw(st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]))
    spec: dict[str, Any] = {"policyTypes": types}
    for kind, direction in (("Ingress", "from"), ("Egress", "to")):
        if kind in types:
            spec[kind.lower()] = [rule(direction) for _ in range(draw(st.integers(0, 2)))]
    app, namespace = draw(peers)
    return netpol(name, draw(st.sampled_from([app, None])), namespace, **spec)


@st.composite
def cilium_policies(draw: st.DrawFn, name: str) -> dict[str, Any]:
    def rule(side: str) -> dict[str, Any]:
        to = "to" if side.startswith("egress") else "from"
        entity = {f"{to}Entities": [draw(st.sampled_from(["cluster", "world", "all", "host"]))]}
        rules = [
            {},
            entity,
            {f"{to}Endpoints": endpoints(*draw(peers))},
            {f"{to}Endpoints": [{}]},
            {f"{to}CIDR": ["203.0.113.0/25"]},
        ]
        limited = {"toPorts": ports(draw(port_numbers), draw(protocols))} if draw(st.booleans()) else {}
        return {**draw(st.sampled_from(rules)), **limited}

    sides = draw(
        st.lists(st.sampled_from(["ingress", "egress", "ingressDeny", "egressDeny"]), min_size=1, max_size=3, unique=True)
    )
    app, namespace = draw(peers)
    return cnp(name, app, namespace, **{side: [rule(side) for _ in range(draw(st.integers(1, 2)))] for side in sides})


def several(*kinds: Any) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.tuples(*(kind(name=f"random-{i}") for i, kind in enumerate(kinds))).map(list)


@settings(BY_PROCESS, max_examples=30)
@given(policies=several(cilium_policies, cilium_policies, cilium_policies, network_policies))
def test_the_policy_map_agrees_with_both_of_ciliums_simulators(policies: list[dict[str, Any]]) -> None:
    outward = [(source, address.id, 443, "TCP") for source in IDS for address in OUTSIDE]
    inward = [(entity, target, 5432, "TCP") for entity in ("world", "host") for target in IDS]
    verdicts = asked(policies, *ALL_PAIRS, *outward, *inward, self_check=True)  # raises where they differ
    assert verdicts.compared["lookup_flow"] == 2 * len(ALL_PAIRS) + len(outward) + len(inward)
    assert verdicts.compared["iterate_policy"] > 0


@settings(BY_PROCESS, max_examples=10)
@given(policies=several(network_policies, network_policies, network_policies))
def test_network_policies_mean_the_same_to_an_independent_analyzer(policies: list[dict[str, Any]]) -> None:
    asks = [*ALL_PAIRS, *((source, address.id, port, "TCP") for source in IDS for address in OUTSIDE for port in PORTS)]
    verdicts = asked(policies, *asks)
    ips = {address.id: address.ip for address in OUTSIDE}
    analyzed = nca.connectivity(policies, WORKLOADS, NAMESPACES)
    said = {ask: analyzed.allows(ask[0], ips.get(ask[1], ask[1]), *ask[2:]) for ask in asks}
    assert said == {ask: verdicts.flows[str(i)].allowed for i, ask in enumerate(asks)}


def test_the_analyzer_judges_network_policies_and_nothing_else() -> None:
    closed = netpol("closed", "db", policyTypes=["Ingress"])
    metadata = {"name": "nobody", "namespace": "bank-a"}
    calico = {"selector": "all()", "types": ["Ingress"]}
    others = [
        {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": metadata, "spec": {}},
        {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "metadata": metadata, "spec": calico},
        CALLEE,
        DENY_ALL,
    ]
    alone, beside = (nca.connectivity(policies, WORKLOADS, NAMESPACES) for policies in ([closed], [*others, closed]))
    assert alone == beside
    assert not alone.allows(*SERVICES, 5432)
    assert alone.allows("bank-b/api", "bank-a/api", 5432)
    assert nca.connectivity(others, WORKLOADS, NAMESPACES).allows("bank-b/api", "bank-a/db", 1)
