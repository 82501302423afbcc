"""Who may post an event to the responder, asked of Istio's own builder and Envoy with the objects as they are registered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from components.graph.model import Graph
from components.graph.names import RESPONDER, RESPONDER_PATH, RESPONDER_PORT, SECURITY_NAMESPACE, SERVICE_LABEL, SIDEKICK
from components.mesh.authentication import jwks_url
from components.mesh.mesh_config import mesh_config
from components.mesh.objects import region_objects
from components.runtime.responder import responder_objects
from components.runtime.sidekick import mesh_objects
from sandbox.istio_pki import Leaf, Pki
from sandbox.istio_verdicts import IstioVerdicts, Proxy, Request
from tests.unit.test_network_policies import shipped

pytestmark = pytest.mark.timeout(1800)  # the first case builds the engine where it is not in the cache
REGION, OTHER = "eu-west-1", "eu-central-1"
SIDE_KICK = f"ns/{SECURITY_NAMESPACE}/sa/{SIDEKICK}"
KINDS = ("security.istio.io/", "networking.istio.io/")


@dataclass(frozen=True)
class Mesh:
    """The responder's proxy, and certificates by their principals."""

    graph: Graph
    running: IstioVerdicts
    callers: Mapping[str, Leaf]

    def verdict(self, name: str, method: str = "POST", path: str = RESPONDER_PATH, region: str = REGION, **more: Any) -> str:
        caller = self.callers[f"{self.graph.trust_domain(region)}/{name}"] if name else None
        request = Request(proxy=RESPONDER, caller=caller, method=method, path=path, host=RESPONDER, port=RESPONDER_PORT, **more)
        return self.running.ask([request])[0].verdict


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    graph, pki = shipped("dev"), Pki(tmp_path_factory.mktemp("pki"))
    domains = [graph.trust_domain(code) for code in graph.regions]
    pki.authorities(*domains)
    callers: dict[str, Leaf] = {}
    for domain in domains:
        names = {f"{domain}/{name}" for name in (SIDE_KICK, "ns/bank-a/sa/api-ms", f"ns/bank-a/sa/{SIDEKICK}")}
        callers |= pki.leaves({name: f"spiffe://{name}" for name in names}, signed_by=domain)
    own = [*mesh_objects(), *responder_objects(graph, REGION)]
    objects = [one for one in own if one["apiVersion"].startswith(KINDS)]
    objects += [{**one, "spec": {**one["spec"], "clusterIP": "10.96.0.9"}} for one in own if one["kind"] == "Service"]
    proxy = Proxy(
        name=RESPONDER,
        namespace=SECURITY_NAMESPACE,
        service_account=RESPONDER,
        labels={SERVICE_LABEL: RESPONDER},
        port=RESPONDER_PORT,
    )
    running = IstioVerdicts(
        [*region_objects(graph, REGION), *objects],
        yaml.safe_dump(mesh_config(graph, REGION)),
        [proxy],
        tmp_path_factory.mktemp("mesh"),
        pki,
        bundles=domains,
        jwks={jwks_url(graph): pki.key_set("issuer")},
    )
    with running:
        yield Mesh(graph, running, callers)


def test_the_side_kick_posts_events(mesh: Mesh) -> None:
    assert mesh.verdict(SIDE_KICK) == "200"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("ns/bank-a/sa/api-ms", {}),
        (f"ns/bank-a/sa/{SIDEKICK}", {}),
        (SIDE_KICK, {"region": OTHER}),
        (SIDE_KICK, {"method": "GET"}),
        (SIDE_KICK, {"path": "/metrics", "method": "GET"}),
        (SIDE_KICK, {"path": f"{RESPONDER_PATH}/x"}),
    ],
)
def test_nobody_else_does_and_it_does_nothing_else(mesh: Mesh, name: str, asked: dict[str, str]) -> None:
    assert mesh.verdict(name, **asked) == "403"


def test_nobody_posts_without_a_certificate(mesh: Mesh) -> None:
    assert mesh.verdict("") == "tls"
    assert mesh.verdict("", plaintext=True) == "reset"
