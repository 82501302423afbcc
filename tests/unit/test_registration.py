"""One pod, one identity: registrations against the pods that the other layers make, and nothing beyond them.

The template is rendered by plain replacement of the three fields it uses; the controller manager's own rendering and SPIRE's
attestation are the sandbox's to prove.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from components.graph.model import Graph
from components.graph.names import GATEWAYS, RATE_LIMIT_NAMESPACE, RESPONDER, RUNNER, SERVICE_LABEL, SPIRE_CLASS
from components.identity.issuer import POD_LABELS
from components.identity.registration import ID_TEMPLATE, MONITORING, region_objects, tenant_objects
from components.settings import load
from components.tenancy.stores import store_objects
from components.tenancy.workloads import workload_objects
from tests.support.program import STACKS, changed

HOME, OTHER = "eu-west-1", "eu-central-1"
Pod = tuple[str, str, dict[str, str]]
"""Namespace, service account, labels."""


def graph_of(data: dict[str, Any]) -> Graph:
    return Graph.of(load(data))


def registrations(graph: Graph, region: str) -> list[dict[str, Any]]:
    tenants = [each for tenant in graph.tenants for each in tenant_objects(graph, region, tenant)]
    return [*tenants, *region_objects(graph, region)]


def selected(registration: dict[str, Any], pod: Pod) -> bool:
    """Whether the controller manager makes an entry for the pod."""
    namespace, _, labels = pod
    spec = registration["spec"]
    return (
        spec["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": namespace}
        and spec["podSelector"]["matchLabels"].items() <= labels.items()
    )


def issued(registration: dict[str, Any], pod: Pod, domain: str) -> str | None:
    """The id that attestation gives the pod by this registration: its entry's selectors must be the pod's own."""
    namespace, account, _ = pod
    own = {f"k8s:ns:{namespace}", f"k8s:sa:{account}"}
    if not selected(registration, pod) or not set(registration["spec"]["workloadSelectorTemplates"]) <= own:
        return None
    fields = {".TrustDomain": domain, ".PodMeta.Namespace": namespace, ".PodSpec.ServiceAccountName": account}
    rendered: str = registration["spec"]["spiffeIDTemplate"]
    for field, value in fields.items():
        rendered = rendered.replace(f"{{{{ {field} }}}}", value)
    return rendered


def service_pods(graph: Graph, region: str) -> Iterator[tuple[str, Pod]]:
    for workload in graph.workloads.values():
        if region in workload.regions:
            template = workload_objects(graph, region, workload)[0]["spec"]["template"]
            pod = workload.tenant, template["spec"]["serviceAccountName"], template["metadata"]["labels"]
            yield f"spiffe://{graph.principal(workload, region)}", pod


@pytest.mark.parametrize("region", [HOME, OTHER])
@pytest.mark.parametrize("stack", STACKS)
def test_every_pod_is_registered_once_under_the_id_that_policies_name(stack, region):
    graph = graph_of(changed(stack))
    domain, all_of_them = graph.trust_domain(region), registrations(graph, region)
    pods = [
        *service_pods(graph, region),
        *(
            (f"spiffe://{graph.gateway_principal(gateway, region)}", (gateway.namespace, gateway.name, gateway.selector))
            for gateway in GATEWAYS
        ),
    ]
    for expected, pod in pods:
        assert [issued(each, pod, domain) for each in all_of_them if selected(each, pod)] == [expected]
    further = {"ratelimit", "telemetry-gateway", "audit-reader", "falcosidekick", RESPONDER, "tempo", RUNNER, *MONITORING}
    further |= {"keycloak"} if region == HOME else set()
    assert len(all_of_them) == len(pods) + len(further)


def test_a_pod_that_carries_anothers_label_is_given_nothing():
    graph = graph_of(changed("dev"))
    forged = ("bank-a", "frontend", {SERVICE_LABEL: "trans-ms"})
    all_of_them = registrations(graph, HOME)
    assert any(selected(each, forged) for each in all_of_them)
    assert {issued(each, forged, graph.trust_domain(HOME)) for each in all_of_them} == {None}


def test_no_store_has_an_identity():
    graph = graph_of(changed("dev"))
    all_of_them = registrations(graph, HOME)
    for tenant in graph.tenants:
        for each in store_objects(graph, HOME, tenant):
            spec = each.get("spec", {})
            labels = spec.get("template", {}).get("metadata", spec.get("inheritedMetadata", {})).get("labels")
            if labels:
                pod = tenant, each["metadata"]["name"], labels
                assert not [one for one in all_of_them if selected(one, pod)]


@pytest.mark.parametrize("stack", STACKS)
def test_a_registration_is_seen_by_the_controller_and_grants_nothing_more_than_its_id(stack):
    graph = graph_of(changed(stack))
    identity = graph.settings.identity
    for each in registrations(graph, HOME):
        spec = each["spec"]
        assert (spec["className"], spec["spiffeIDTemplate"]) == (SPIRE_CLASS, ID_TEMPLATE)
        assert {spec[key] for key in ("admin", "downstream", "fallback", "autoPopulateDNSNames")} == {False}
        assert "dnsNameTemplates" not in spec
        assert (spec["ttl"], spec["jwtTtl"]) == (f"{identity.x509_svid_ttl_minutes}m", f"{identity.jwt_svid_ttl_minutes}m")


def test_only_the_two_ends_of_a_cross_region_edge_federate_and_only_with_each_others_regions():
    graph = graph_of(changed("dev"))
    for region, peer in ((HOME, OTHER), (OTHER, HOME)):
        federated = {
            each["metadata"]["name"]: each["spec"]["federatesWith"]
            for each in registrations(graph, region)
            if "federatesWith" in each["spec"]
        }
        expected = [graph.trust_domain(peer)]
        assert federated == {"bank-a.api-ms": expected, "bank-b.trans-ms": expected}


def test_names_of_tenants_and_services_never_run_into_each_other():
    data = changed("dev")
    service = {"image": f"registry.internal/x@sha256:{'a' * 64}", "processes": ["x"]}
    data["tenants"]["a"] = {"display_name": "A", "services": {"b-c": service}}
    data["tenants"]["a-b"] = {"display_name": "AB", "services": {"c": service}}
    names = [each["metadata"]["name"] for each in registrations(graph_of(data), HOME)]
    assert {"a.b-c", "a-b.c"} <= set(names)
    assert len(names) == len(set(names))


def test_the_issuer_is_registered_where_the_platform_runs_it_and_nowhere_else():
    data = changed("dev")
    assert [each["spec"]["podSelector"]["matchLabels"] for each in region_objects(graph_of(data), HOME)][-1] == dict(POD_LABELS)
    names = {region: {each["metadata"]["name"] for each in region_objects(graph_of(data), region)} for region in (HOME, OTHER)}
    assert names[HOME] - names[OTHER] == {"keycloak.keycloak"}
    assert f"{RATE_LIMIT_NAMESPACE}.ratelimit" in names[OTHER]
    data["identity"] |= {"issuer_kind": "external", "jwks_url": "https://id.elsewhere.example/keys"}
    assert {each["metadata"]["name"] for each in region_objects(graph_of(data), HOME)} == names[OTHER]


def test_a_service_is_registered_only_where_it_runs():
    data = changed("dev")
    data["tenants"]["bank-a"]["services"]["frontend"]["regions"] = [HOME]
    graph = graph_of(data)
    here, there = ({each["metadata"]["name"] for each in tenant_objects(graph, region, "bank-a")} for region in (HOME, OTHER))
    assert here - there == {"bank-a.frontend"}
