"""What Cilium's own policy engine makes of the objects: alone, and added up with the Kubernetes baseline as a cluster has them.

One world per question: every service, store and gateway, the platform's parts, a stranger in each tenant's namespace, and for
each service an impostor that wears its labels without its account. Every ordered pair is asked on every port that anything uses.
Pods stand for their policies only: what they would say to each other once connected is the mesh's to judge.
"""

from functools import cache
from typing import Any, NamedTuple

import pytest

from components.cni.objects import NAMESPACES
from components.graph.names import EASTWEST, EGRESS, GATEWAYS, INGRESS, NAMESPACE_LABEL, SERVICE_LABEL
from components.network.addresses import eastwest_address
from sandbox.cilium_verdicts import CILIUM_POLICIES, NETWORK_POLICY, Address, Flow, Lookup, Verdicts, Workload, judge, of_kind
from tests.unit.test_network_policies import everything, shipped

pytestmark = pytest.mark.timeout(1200)  # the first run builds the engine
REGION = "eu-west-1"
LAYERS = {"cilium": CILIUM_POLICIES, "kubernetes": NETWORK_POLICY, "both": (*CILIUM_POLICIES, *NETWORK_POLICY)}
PORTS = (53, 80, 443, 4244, 4245, 5432, 6379, 7800, 8000, 8080, 8081, 8443, 9153, 9443, 10250, 15012, 15017, 15021, 15443, 16379)
PUBLIC, HOST, STRANGE_HOST = "198.51.101.7", "rates.ecb.europa.eu", "exfiltration.example.org"
CONTROLLED = {"pod-template-hash": "5d4f8c7b9", "controller-revision-hash": "6b7c9d"}
"""What controllers put on every pod."""
PLATFORM = {
    "istiod": ("istio-system", {"app": "istiod"}),
    "dns": ("kube-system", {"k8s-app": "kube-dns"}),
    "database-operator": ("cnpg-system", {SERVICE_LABEL: "cloudnative-pg"}),
    "cert-manager": ("cert-manager", {SERVICE_LABEL: "cert-manager"}),
    "cert-manager-webhook": ("cert-manager", {SERVICE_LABEL: "webhook"}),
    "spire-server": ("spire-server", {SERVICE_LABEL: "server"}),
    "spire-agent": ("spire-system", {SERVICE_LABEL: "agent"}),
    "spire-database": ("spire-server", {"cnpg.io/cluster": "spire", SERVICE_LABEL: "spire"}),
    "rate-limit": ("rate-limit", {SERVICE_LABEL: "ratelimit"}),
    "counters": ("rate-limit", {SERVICE_LABEL: "counters", "sidecar.istio.io/inject": "false"}),
    "issuer": ("keycloak", {SERVICE_LABEL: "keycloakx"}),
    "issuer-database": ("keycloak", {"cnpg.io/cluster": "accounts", SERVICE_LABEL: "accounts"}),
    "external-dns": ("external-dns", {SERVICE_LABEL: "external-dns"}),
    "metrics": ("kube-system", {SERVICE_LABEL: "metrics-server"}),
    "load-balancers": ("kube-system", {SERVICE_LABEL: "aws-load-balancer-controller"}),
    "flows": ("kube-system", {"k8s-app": "hubble-relay"}),
    "flows-page": ("kube-system", {"k8s-app": "hubble-ui"}),
    "spire-hook": ("spire-server", {"batch.kubernetes.io/job-name": "spire-server-post-install"}),
    "flows-certificates": ("kube-system", {"k8s-app": "hubble-generate-certs"}),
    "anything": ("default", {"app": "anything"}),
}
ACCOUNTS = {"issuer": "keycloak"}
PLATFORM_FLOWS = {
    ("database-operator", "spire-database", 5432),
    ("database-operator", "spire-database", 8000),
    ("database-operator", "issuer-database", 5432),
    ("database-operator", "issuer-database", 8000),
    ("spire-server", "spire-database", 5432),
    ("spire-agent", "spire-server", 8081),
    ("rate-limit", "counters", 6379),
    ("rate-limit", "istiod", 15012),
    ("issuer", "issuer-database", 5432),
    ("issuer", "istiod", 15012),
    ("flows-page", "flows", 4245),
    (INGRESS.name, "rate-limit", 8081),
    (INGRESS.name, "issuer", 8080),
    *((each, each, port) for each in ("spire-database", "issuer-database") for port in (5432, 8000)),
    *(("counters", "counters", port) for port in (6379, 16379)),
    ("issuer", "issuer", 7800),
    *((gateway.name, "istiod", 15012) for gateway in GATEWAYS),
}
"""Between the platform's parts, DNS aside; written down here a second time, from the traffic model and not from the rules."""
ASK_DNS = {
    *("spire-server", "spire-agent", "spire-database", "issuer", "issuer-database", "rate-limit", "counters"),
    *("external-dns", "load-balancers", "istiod", "flows", "flows-page", *(gateway.name for gateway in GATEWAYS)),
    "database-operator",  # the archiver's service
}


API_CLIENTS = {
    *("cert-manager", "cert-manager-webhook", "database-operator", "istiod", "external-dns", "metrics", "load-balancers", "dns"),
    *("spire-server", "spire-agent", "spire-hook", "spire-database", "issuer-database", "flows-page", "flows-certificates"),
}
NODES_REACH = ("dns|53", "spire-server|8081")


class Found(NamedTuple):
    """An allowed connection."""

    source: str
    target: str
    port: int


@cache
def pods() -> tuple[Workload, ...]:
    """Everybody."""
    graph = shipped("dev")
    services = {w.ref: (w.tenant, {SERVICE_LABEL: w.name}, w.name) for w in graph.workloads.values()}
    stores = {
        s.ref: (s.tenant, {SERVICE_LABEL: s.name, **({"cnpg.io/cluster": s.name} if s.kind == "database" else {})}, s.name)
        for s in graph.stores.values()
    }
    known = {
        **services,
        **stores,
        **{gateway.name: (gateway.namespace, gateway.selector, gateway.name) for gateway in GATEWAYS},
        **{f"impostor of {name}": (ns, labels, "default") for name, (ns, labels, _) in {**services, **stores}.items()},
        **{f"stranger in {tenant}": (tenant, {"app": "stranger"}, "default") for tenant in graph.tenants},
        **{name: (ns, labels, ACCOUNTS.get(name, "any")) for name, (ns, labels) in PLATFORM.items()},
    }
    return tuple(
        Workload(id=name, namespace=namespace, labels={**labels, **CONTROLLED}, service_account=account)
        for name, (namespace, labels, account) in known.items()
    )


ADDRESSES = (
    Address(id="internet", ip=PUBLIC),
    Address(id="metadata", ip="169.254.169.254"),
    Address(id="other region", ip=eastwest_address("10.1.0.0/16", "a")),
    Address(id="beside the other region's", ip="10.1.224.12"),
    Address(id="own region's", ip=eastwest_address("10.0.0.0/16", "a")),
    Address(id="api server", ip="10.0.224.20"),
    Address(id="balancer", ip="10.0.1.20"),
)
NAMES = {HOST: "198.51.101.8", STRANGE_HOST: "198.51.101.9"}


def ask(layer: str, flows=(), lookups=(), *, self_check: bool = False) -> Verdicts:
    """The engine's verdicts on the development stack's first region, with one layer's objects or both."""
    graph = shipped("dev")
    namespaces = {name: {NAMESPACE_LABEL: name} for name in (*NAMESPACES, *graph.tenants)}
    return judge(
        of_kind(everything(graph, REGION).values(), LAYERS[layer]),
        namespaces,
        pods(),
        flows,
        lookups,
        cluster_name="dev",
        entities=("host", "remote-node", "kube-apiserver", "world"),
        addresses=ADDRESSES,
        names=NAMES,
        self_check=self_check,
    )


@cache
def between_pods(layer: str) -> frozenset[Found]:
    """Every connection between two pods that a layer admits, on any of the ports."""
    names = [pod.id for pod in pods()]
    pairs = [Found(a, b, port) for a in names for b in names for port in PORTS]
    answers = ask(
        layer, [Flow(id=f"{p.source}|{p.target}|{p.port}", source=p.source, target=p.target, port=p.port) for p in pairs]
    )
    return frozenset(p for p in pairs if answers.flows[f"{p.source}|{p.target}|{p.port}"].allowed)


def declared() -> set[Found]:
    """What the graph and the traffic model say, and nothing else."""
    graph = shipped("dev")
    wanted = {Found(*each) for each in PLATFORM_FLOWS}
    wanted |= {Found(each.caller.ref, each.callee.ref, each.callee.port) for each in graph.calls}
    wanted |= {
        Found(EASTWEST.name, each.callee.ref, each.callee.port) for each in graph.calls if each.settings.reach != "same_region"
    }
    wanted |= {Found(each.service.ref, each.store.ref, each.store.port) for each in graph.data}
    wanted |= {Found(each.service.ref, EGRESS.name, 15443) for each in graph.egress}
    wanted |= {Found(INGRESS.name, each.service.ref, each.service.port) for each in graph.routes}
    inner = {"database": (5432, 8000), "cache": (6379, 16379)}
    wanted |= {Found(store.ref, store.ref, port) for store in graph.stores.values() for port in inner[store.kind]}
    databases = [store.ref for store in graph.stores.values() if store.kind == "database"]
    wanted |= {Found("database-operator", ref, port) for ref in databases for port in (5432, 8000)}
    wanted |= {Found(ref, "istiod", 15012) for ref in graph.workloads}
    wanted |= {Found(each, "dns", 53) for each in (*ASK_DNS, *graph.workloads, *graph.stores)}
    return wanted


def test_cilium_admits_exactly_what_is_declared_and_nothing_between_any_other_two_pods():
    assert between_pods("cilium") == declared()


def test_the_baseline_added_to_cilium_opens_nothing_and_closes_nothing():
    assert between_pods("both") == between_pods("cilium")


def test_the_baseline_alone_differs_only_by_who_wears_a_label_without_its_account():
    def unmasked(found: Found) -> Found:
        return found._replace(source=found.source.removeprefix("impostor of "), target=found.target.removeprefix("impostor of "))

    alone = between_pods("kubernetes")
    assert {unmasked(each) for each in alone} == declared()
    assert {each for each in alone if "impostor of " not in f"{each.source}{each.target}"} == declared()


def test_the_engines_own_simulators_agree_on_every_service_pair():
    graph = shipped("dev")
    flows = [Flow(id=f"{a}|{b}", source=a, target=b, port=8080) for a in graph.workloads for b in graph.workloads if a != b]
    answers = ask("both", flows, self_check=True)
    assert len(flows) == len(answers.flows)
    assert all(answers.compared.values())


@pytest.mark.parametrize("layer", ["cilium", "both"])
def test_only_the_egress_gateway_reaches_the_declared_host_and_nobody_any_other(layer):
    names = [pod.id for pod in pods()]
    flows = [
        Flow(id=f"{name}|{target}|{port}", source=name, target=target, port=port)
        for name in names
        for target in (HOST, STRANGE_HOST, "internet", "world", "metadata")
        for port in (53, 80, 443)
    ]
    answers = ask(layer, flows).flows
    assert {key for key, verdict in answers.items() if verdict.allowed} == {f"{EGRESS.name}|{HOST}|443"}
    assert {verdict.egress.reason for key, verdict in answers.items() if "|metadata|" in key} == {"explicit-deny"}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_call_to_another_region_leaves_from_its_caller_alone_and_to_the_fixed_address_alone(layer):
    targets = ("other region", "beside the other region's", "own region's", "balancer")
    flows = [
        Flow(id=f"{pod.id}|{target}|{port}", source=pod.id, target=target, port=port)
        for pod in pods()
        for target in targets
        for port in (8080, 8443, 15443)
    ]
    allowed = {key for key, verdict in ask(layer, flows).flows.items() if verdict.allowed}
    masked = {"impostor of bank-a/api-ms|other region|15443"} if layer == "kubernetes" else set()
    assert allowed == {"bank-a/api-ms|other region|15443", "spire-server|other region|8443"} | masked


@pytest.mark.parametrize("layer", LAYERS)
def test_who_comes_from_outside_the_cluster_reaches_the_gateways_webhooks_and_spire_and_no_tenant(layer):
    sources = ("internet", "balancer", "own region's", "other region", "api server", "kube-apiserver", "remote-node", "world")
    flows = [
        Flow(id=f"{source}|{pod.id}|{port}", source=source, target=pod.id, port=port)
        for source in sources
        for pod in pods()
        for port in PORTS
    ]
    allowed = {key for key, verdict in ask(layer, flows).flows.items() if verdict.allowed}
    webhooks = {
        *("cert-manager-webhook|10250", "database-operator|9443", "istiod|15017", "spire-server|9443"),
        *("load-balancers|9443", "metrics|10250"),
    }
    wanted = {f"api server|{each}" for each in webhooks} | {
        f"balancer|{INGRESS.name}|8443",
        f"balancer|{INGRESS.name}|15021",
        f"own region's|{EASTWEST.name}|15443",
        f"own region's|{EASTWEST.name}|15021",
        "own region's|spire-server|8443",
    }
    # The balancer's address lies where API servers' do, which a network cannot tell apart.
    wanted |= {f"own region's|{each}" for each in webhooks}
    if layer != "kubernetes":
        wanted |= {f"kube-apiserver|{each}" for each in webhooks}
        # An API server that is a node's own process, which EKS has none of, is a node as well.
        wanted |= {f"{source}|{each}" for source in ("kube-apiserver", "remote-node") for each in NODES_REACH}
    if layer != "cilium":
        wanted |= {f"balancer|{each}" for each in NODES_REACH}  # the nodes' network is the balancer's, too
    assert allowed == wanted


@pytest.mark.parametrize("layer", LAYERS)
def test_the_api_server_is_reached_by_its_clients_and_by_no_service_or_gateway(layer):
    flows = [
        Flow(id=f"{pod.id}|{server}|{port}", source=pod.id, target=server, port=port)
        for pod in pods()
        for server in ("api server", "kube-apiserver")
        for port in (80, 443, 10250)
    ]
    allowed = {key for key, verdict in ask(layer, flows).flows.items() if verdict.allowed}
    databases = {store.ref for store in shipped("dev").stores.values() if store.kind == "database"}
    clients = API_CLIENTS | databases
    if layer == "kubernetes":
        assert {each.removeprefix("impostor of ") for each in allowed} == {f"{each}|api server|443" for each in clients}
        return
    # By address (EKS), and by identity, which as a node's own process is a node, too: agents and metrics go to kubelets.
    both = {f"{each}|{server}|443" for each in clients for server in ("api server", "kube-apiserver")}
    assert allowed == both | {f"{each}|kube-apiserver|10250" for each in ("metrics", "spire-agent")}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_nodes_own_kubelet_reaches_every_pod_for_its_probes(layer):
    answers = ask(layer, [Flow(id=pod.id, source="host", target=pod.id, port=15021) for pod in pods()])
    assert {key for key, verdict in answers.flows.items() if not verdict.allowed} <= {
        pod.id for pod in pods() if pod.id.startswith("impostor of ")
    }


@pytest.mark.parametrize("layer", ["cilium", "both"])
def test_a_pod_may_ask_for_the_names_of_its_own_edges_and_for_no_other(layer):
    suffix = "svc.cluster.local"
    names = (
        f"api-ms.bank-a.{suffix}",
        f"auth-ms.bank-a.{suffix}",
        f"trans-ms.bank-a.{suffix}",
        f"trans-ms.bank-b.{suffix}",
        "trans-ms.bank-b.mesh.internal",
        f"notifications.shared.{suffix}",
        f"ledger-rw.bank-a.{suffix}",
        f"sessions-0.sessions.bank-a.{suffix}",
        f"ledger-rw.bank-b.{suffix}",
        f"istiod.istio-system.{suffix}",
        f"egress-gateway.istio-egress.{suffix}",
        HOST,
        STRANGE_HOST,
        # What the search list makes of the first: asked before it, and answered by the proxy with NXDOMAIN.
        f"api-ms.bank-a.{suffix}.bank-a.{suffix}",
        f"api-ms.bank-a.{suffix}.eu-west-1.compute.internal",
        f"aGVsbG8.{STRANGE_HOST}",
    )
    wanted = {
        "bank-a/frontend": {names[0], names[9]},
        "bank-a/api-ms": {names[1], names[3], names[4], names[9]},
        "bank-a/trans-ms": {names[5], names[6], names[7], names[9], names[10], HOST},
        "impostor of bank-a/trans-ms": set(),
        "stranger in bank-a": set(),
        EGRESS.name: {names[9], HOST},
        "cert-manager": set(),
    }
    lookups = [Lookup(id=f"{pod}|{name}", source=pod, dns_server="dns", name=name) for pod in wanted for name in names]
    answers = ask(layer, (), lookups).lookups
    assert {pod: {name for name in names if answers[f"{pod}|{name}"].resolve == "allow"} for pod in wanted} == wanted
    assert answers[f"{EGRESS.name}|{HOST}"].usable
    assert not answers[f"bank-a/trans-ms|{HOST}"].usable


def test_the_baselines_wildcard_opens_public_addresses_on_the_hosts_port_only_to_who_sees_the_controllers_label():
    """Planted: the wildcard without that label, as a plug-in that reads every label sees it. Under Cilium it opens nothing."""
    graph = shipped("dev")
    objects = [
        {**each, "spec": {**each["spec"], "podSelector": _without_expressions(each["spec"]["podSelector"])}}
        if each["metadata"]["name"].endswith(".outside")
        else each
        for each in everything(graph, REGION).values()
    ]
    namespaces = {name: {NAMESPACE_LABEL: name} for name in (*NAMESPACES, *graph.tenants)}
    flows = [Flow(id=f"{t}|{p}", source=EGRESS.name, target=t, port=p) for t in ("internet", "other region") for p in (80, 443)]
    planted = judge(objects, namespaces, pods(), flows, cluster_name="dev", addresses=ADDRESSES, names=NAMES)
    assert {key for key, verdict in planted.flows.items() if verdict.allowed} == {"internet|443"}
    assert not [key for layer in LAYERS for key, verdict in ask(layer, flows).flows.items() if verdict.allowed]


def _without_expressions(selector: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in selector.items() if key == "matchLabels"}


def test_without_the_denial_of_impostors_the_baseline_would_let_them_in():
    """Planted: what a label alone would be worth, with both kinds enforced."""
    graph = shipped("dev")
    objects = [each for each in everything(graph, REGION).values() if not each["metadata"]["name"].startswith("impostor-")]
    namespaces = {name: {NAMESPACE_LABEL: name} for name in (*NAMESPACES, *graph.tenants)}
    flow = Flow(id="in", source="impostor of bank-a/frontend", target="bank-a/api-ms", port=8080)
    assert judge(objects, namespaces, pods(), [flow], cluster_name="dev").flows["in"].allowed
    assert ask("both", [flow]).flows["in"].egress.reason == "explicit-deny"
