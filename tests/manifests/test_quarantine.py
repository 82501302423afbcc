"""A pod with the quarantine's label neither calls nor is called, and no other pod notices: asked of Cilium's and Istio's engines.

Each service has a twin that differs by the label alone. Not proven: how soon agents and istiod see a label that was just set.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import yaml

from components.cni.objects import NAMESPACES
from components.graph.model import Call
from components.graph.names import NAMESPACE_LABEL, QUARANTINE_LABEL
from components.mesh.authentication import jwks_url
from components.mesh.mesh_config import mesh_config
from sandbox.cilium_verdicts import Flow, Verdicts, Workload, judge
from sandbox.istio_pki import Leaf, Pki
from sandbox.istio_verdicts import IstioVerdicts, Request
from tests.manifests.test_mesh_verdicts import objects, proxies
from tests.manifests.test_network_engine import ADDRESSES, NAMES, PORTS, pods
from tests.unit.test_network_policies import everything, shipped

pytestmark = pytest.mark.timeout(1800)  # the first case builds the engines where they are not in the cache
REGION = "eu-west-1"
TWIN = "in quarantine "
KUBELET, PUBLIC = "host", "internet"


@cache
def twins() -> tuple[Workload, ...]:
    graph = shipped("dev")
    found = (each for each in pods() if each.id in {*graph.workloads, *graph.stores})
    return tuple(replace(each, id=f"{TWIN}{each.id}", labels={**each.labels, QUARANTINE_LABEL: "true"}) for each in found)


def judged(flows: list[Flow], *, label: str = "true", without: str = "") -> Verdicts:
    graph = shipped("dev")
    policies = [one for key, one in everything(graph, REGION).items() if not without or without not in key]
    marked = [replace(each, labels={**each.labels, QUARANTINE_LABEL: label}) for each in twins()]
    return judge(
        policies,
        {name: {NAMESPACE_LABEL: name} for name in (*NAMESPACES, *graph.tenants)},
        (*pods(), *marked),
        flows,
        (),
        cluster_name="dev",
        entities=("host", "remote-node", "kube-apiserver", "world"),
        addresses=ADDRESSES,
        names=NAMES,
    )


def allowed(verdicts: Verdicts) -> set[str]:
    return {key for key, verdict in verdicts.flows.items() if verdict.allowed}


def ways() -> list[Flow]:
    """Every pair of a twin with a pod, both ways, and with what is outside, on every port that anything uses."""
    names = [each.id for each in pods()]
    found = []
    for twin in twins():
        inner = [(twin.id, other) for other in names] + [(other, twin.id) for other in names]
        outer = [(twin.id, PUBLIC), (KUBELET, twin.id), (twin.id, twin.id)]
        found += [
            Flow(id=f"{source}|{target}|{port}", source=source, target=target, port=port)
            for source, target in inner + outer
            for port in PORTS
        ]
    return found


def test_a_labelled_pod_has_no_way_in_or_out_and_the_kubelets_probe_is_none():
    assert allowed(judged(ways())) == set()


@pytest.mark.parametrize(("label", "without"), [("false", ""), ("true", "-quarantine")])
def test_without_the_label_or_the_rule_the_same_pods_have_every_way_that_their_twins_have(label: str, without: str):
    """The case above could see a way, if there were one."""
    found = {tuple(key.split("|")) for key in allowed(judged(ways(), label=label, without=without))}
    own = {name.id.removeprefix(TWIN) for name in twins()}
    for call in shipped("dev").calls:
        assert (f"{TWIN}{call.caller.ref}", call.callee.ref, str(call.callee.port)) in found
        assert (call.caller.ref, f"{TWIN}{call.callee.ref}", str(call.callee.port)) in found
    assert {(KUBELET, f"{TWIN}{name}", "8080") for name in own} <= found


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IstioVerdicts, Mapping[str, Leaf]]]:
    """The shipped objects in Envoy, each service beside its twin; OPA left out."""
    graph, pki = shipped("dev"), Pki(tmp_path_factory.mktemp("pki"))
    domains = [graph.trust_domain(code) for code in graph.regions]
    pki.authorities(*domains)
    names = {graph.principal(call.caller, REGION) for call in served()}
    callers = pki.leaves({name: f"spiffe://{name}" for name in names}, signed_by=graph.trust_domain(REGION))
    services = [each for each in proxies(graph, REGION) if each.name in graph.workloads]
    marked = [replace(each, name=f"{TWIN}{each.name}", labels={**each.labels, QUARANTINE_LABEL: "true"}) for each in services]
    running = IstioVerdicts(
        objects(graph, REGION),
        yaml.safe_dump(mesh_config(graph, REGION)),
        [*services, *marked],
        tmp_path_factory.mktemp("mesh"),
        pki,
        bundles=domains,
        jwks={jwks_url(graph): pki.key_set("issuer")},
    )
    with running:
        yield running, callers


def served() -> list[Call]:
    return [call for call in shipped("dev").calls if REGION in call.origins(REGION)]


def test_the_mesh_refuses_every_declared_call_to_a_labelled_pod_and_admits_it_to_another(mesh: Any):
    running, callers = mesh
    graph = shipped("dev")

    def asked(prefix: str) -> list[str]:
        requests = [
            Request(
                proxy=f"{prefix}{call.callee.ref}",
                caller=callers[graph.principal(call.caller, REGION)],
                method=call.operations[0].methods[0],
                path=call.operations[0].paths[0].replace("{**}", "a").replace("{*}", "a"),
                host=call.callee.name,
                port=call.callee.port,
            )
            for call in served()
        ]
        return [answer.verdict for answer in running.ask(requests)]

    assert set(asked("")) == {"200"}
    assert asked(TWIN) == ["403"] * len(served())
