"""The objects that a tree of settings compiles to, all layers of every region, as the engines of the equivalence take them.

What runs is read from the compiled objects themselves: a pod's labels and account from its Deployment, a bundle from its
ClusterSPIFFEID, an OPA's data from its ConfigMap. Put beside them is only what charts and operators make: the gateways, istiod,
the DNS server, a database's pods and Services.
"""

import copy
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from components.cni.objects import NAMESPACES
from components.cni.objects import region_objects as network_region
from components.decision.objects import DATA_FILE, data_config_map
from components.decision.objects import region_objects as decision_region
from components.graph.model import Graph
from components.graph.names import EASTWEST, EGRESS, GATEWAYS, INGRESS, NAMESPACE_LABEL, RISK_CONFIG_MAP, RISK_FILE
from components.identity.registration import region_objects as identity_region
from components.manifests import Manifest, object_key
from components.mesh.authentication import audience, jwks_url
from components.mesh.mesh_config import mesh_config
from components.mesh.objects import region_objects as mesh_region
from components.network.addresses import eastwest_address
from components.settings import load
from components.tenant import tenant_layers
from sandbox.cilium_verdicts import Workload
from sandbox.istio_verdicts import Proxy

PORTS: Final = {INGRESS.name: 8443, EGRESS.name: 15443, EASTWEST.name: 15443}
ISTIO_GROUPS: Final = ("security.istio.io/", "networking.istio.io/", "telemetry.istio.io/")
CONTROLLED: Final = {"pod-template-hash": "5d4f8c7b9"}
"""What a controller puts on its pods; no identity of Cilium's has it."""
STRANGER: Final = "stranger in "
IMPOSTOR: Final = "impostor of "


@dataclass(frozen=True)
class World:
    """One region. `objects` are by key; a mutation changes those of a copy before anything is read from them."""

    tree: dict[str, Any]
    region: str
    objects: dict[str, Manifest]
    mesh: dict[str, Any]
    jwks: str
    audience: str

    def of(self, *kinds: str) -> list[Manifest]:
        """The objects of some kinds."""
        return [each for each in self.objects.values() if each["kind"] in kinds]

    def copied(self) -> "World":
        """A world of its own, to be changed."""
        return replace(self, objects=copy.deepcopy(self.objects), mesh=copy.deepcopy(self.mesh))

    @property
    def domain(self) -> str:
        """The region's trust domain, as the mesh was told."""
        return str(self.mesh["trustDomain"])

    def namespaces(self) -> dict[str, dict[str, str]]:
        """Every namespace with what the API server adds."""
        made = {each["metadata"]["name"]: each["metadata"].get("labels", {}) for each in self.of("Namespace")}
        return {name: {**made.get(name, {}), NAMESPACE_LABEL: name} for name in sorted({*NAMESPACES, *made})}

    @cached_property
    def pods(self) -> dict[str, Workload]:
        """Services, stores, gateways, istiod and DNS; of each service an impostor, in each tenant's namespace a stranger."""
        found: dict[str, Workload] = {}
        for each in self.of("Deployment", "StatefulSet"):
            template = each["spec"]["template"]
            named = f"{each['metadata']['namespace']}/{each['metadata']['name']}"
            found[named] = _pod(named, template["metadata"]["labels"], template["spec"]["serviceAccountName"])
        services = [each for each in found.values() if _name(each.id) in self.deployments(each.namespace)]
        for each in self.of("Cluster"):
            name, namespace = each["metadata"]["name"], each["metadata"]["namespace"]
            labels = {**each["spec"].get("inheritedMetadata", {}).get("labels", {}), "cnpg.io/cluster": name}
            found[f"{namespace}/{name}"] = _pod(f"{namespace}/{name}", labels, name)
        for gateway in GATEWAYS:
            found[gateway.name] = _pod(gateway.name, gateway.selector, gateway.name, gateway.namespace)
        found["istiod"] = _pod("istiod", {"app": "istiod"}, "istiod", "istio-system")
        found["dns"] = _pod("dns", {"k8s-app": "kube-dns"}, "coredns", "kube-system")
        for each in services:
            name = f"{IMPOSTOR}{each.id}"
            found[name] = replace(each, id=name, service_account="default")
        for tenant in self.tree["tenants"]:
            found[f"{STRANGER}{tenant}"] = _pod(f"{STRANGER}{tenant}", {"app": "stranger"}, "default", tenant)
        return found

    def deployments(self, namespace: str) -> set[str]:
        """The services of a namespace that run here."""
        return {each["metadata"]["name"] for each in self.of("Deployment") if each["metadata"]["namespace"] == namespace}

    def registrations(self, pod: Workload) -> list[Manifest]:
        """What SPIRE's controller and its agent's attestation would both take for this pod."""
        attested = {f"k8s:ns:{pod.namespace}", f"k8s:sa:{pod.service_account}"}
        labels = {NAMESPACE_LABEL: pod.namespace}
        return [
            each
            for each in self.of("ClusterSPIFFEID")
            if _matched(each["spec"]["namespaceSelector"], labels)
            and _matched(each["spec"]["podSelector"], pod.labels)
            and attested >= set(each["spec"]["workloadSelectorTemplates"])
        ]

    @cached_property
    def identities(self) -> dict[str, str]:
        """By pod, the SPIFFE ids that SPIRE gives, without their scheme."""
        return {name: identity for name, pod in self.pods.items() if (identity := self._identity(pod))}

    def _identity(self, pod: Workload) -> str | None:
        for each in self.registrations(pod):
            text = each["spec"]["spiffeIDTemplate"].removeprefix("spiffe://")
            values = {"TrustDomain": self.domain, "PodMeta.Namespace": pod.namespace}
            for name, value in {**values, "PodSpec.ServiceAccountName": pod.service_account}.items():
                text = text.replace(f"{{{{ .{name} }}}}", value)
            return str(text)
        return None

    def bundles(self, pod: Workload) -> tuple[str, ...]:
        """The other trust domains whose bundles its agent hands the pod."""
        return tuple(domain for each in self.registrations(pod) for domain in each["spec"].get("federatesWith", ()))

    def proxies(self) -> list[Proxy]:
        """A sidecar for each service's pod, and the gateways."""
        pods = self.pods
        found = [
            Proxy(
                name=each.id,
                namespace=each.namespace,
                service_account=each.service_account,
                labels=each.labels,
                port=self.tree["tenants"][each.namespace]["services"][_name(each.id)].get("port", 8080),
                bundles=self.bundles(each),
            )
            for each in pods.values()
            if each.id == f"{each.namespace}/{_name(each.id)}" and _name(each.id) in self.deployments(each.namespace)
        ]
        for gateway in GATEWAYS:
            pod = pods[gateway.name]
            found.append(
                Proxy(
                    name=gateway.name,
                    namespace=gateway.namespace,
                    service_account=gateway.name,
                    labels=pod.labels,
                    port=PORTS[gateway.name],
                    kind="gateway",
                    bundles=self.bundles(pod),
                )
            )
        return found

    def istio(self) -> list[Manifest]:
        """What istiod reads: its own kinds, and the Services, with those that the gateways' charts and the operator make."""
        found = [each for each in self.objects.values() if each["apiVersion"].startswith(ISTIO_GROUPS)]
        services = [
            _service(gateway.name, gateway.namespace, PORTS[gateway.name], gateway.selector, "tls") for gateway in GATEWAYS
        ]
        for each in self.of("Cluster"):
            name, namespace = each["metadata"]["name"], each["metadata"]["namespace"]
            selector = {"cnpg.io/cluster": name}
            services += [_service(f"{name}-{role}", namespace, 5432, selector, "postgres") for role in ("r", "ro", "rw")]
        services += [copy.deepcopy(each) for each in self.of("Service")]
        for number, each in enumerate(services):
            each["spec"].setdefault("clusterIP", f"10.96.{number // 250}.{number % 250 + 1}")
        return found + services

    def opa(self, service: str) -> dict[str, Any] | None:
        """What the OPA of a service reads; None where it has no data."""
        namespace, name = service.split("/")
        maps = {
            each["metadata"]["name"]: each["data"] for each in self.of("ConfigMap") if each["metadata"]["namespace"] == namespace
        }
        if data_config_map(name) not in maps:
            return None
        risk = json.loads(maps[RISK_CONFIG_MAP][RISK_FILE])
        return {"workload": json.loads(maps[data_config_map(name)][DATA_FILE]), "risk": risk}

    def eastwest(self, region: str) -> str:
        """The fixed address of a region's balancer for the others."""
        return eastwest_address(self.tree["regions"][region]["vpc_cidr"], "a")


def worlds(tree: dict[str, Any]) -> dict[str, World]:
    """Everything that exists in each region because of a tree of settings.

    Raises:
        components.settings.SettingsError: the tree does not load.
        ValueError: two objects have one key.
    """
    graph = Graph.of(load(copy.deepcopy(tree)))
    return {region: _world(tree, graph, region) for region in graph.regions}


def _world(tree: dict[str, Any], graph: Graph, region: str) -> World:
    found = [
        *network_region(graph, region),
        *mesh_region(graph, region),
        *identity_region(graph, region),
        *decision_region(graph, region),
        *(each for tenant in graph.tenants for layer in tenant_layers(graph, region, tenant).values() for each in layer),
    ]
    objects = {object_key(each): each for each in found}
    if len(objects) != len(found):
        msg = "two objects have one key"
        raise ValueError(msg)
    return World(
        tree=tree,
        region=region,
        objects=copy.deepcopy(objects),
        mesh=mesh_config(graph, region),
        jwks=jwks_url(graph),
        audience=audience(graph),
    )


def _name(ref: str) -> str:
    return ref.rsplit("/", 1)[-1]


def _pod(name: str, labels: dict[str, str], account: str, namespace: str | None = None) -> Workload:
    return Workload(
        id=name, namespace=namespace or name.split("/", maxsplit=1)[0], labels={**labels, **CONTROLLED}, service_account=account
    )


def _matched(selector: dict[str, Any], labels: Any) -> bool:
    return all(labels.get(key) == value for key, value in selector["matchLabels"].items())


def _service(name: str, namespace: str, port: int, selector: dict[str, str], port_name: str) -> Manifest:
    ports = [{"name": port_name, "port": port, "targetPort": port}]
    spec = {"selector": dict(selector), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
