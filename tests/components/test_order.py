"""Who waits for whom, through however many others, and that the edges which say so grow with the objects, not with their square.

The record holds direct edges; the engine creates along them and destroys against them, so what must hold is what they reach.
"""

import functools
import re
from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s
import pytest

from bench.synthetic import tree
from components.admission.constraints import webhook_rules
from components.admission.gatekeeper import UNASKED
from components.graph.model import Graph
from components.manifests import Manifest, Manifests, ManifestsArgs, manifest
from components.settings import load
from components.tenant import BEFORE, Tenant, TenantArgs, nearest
from tests.support.monitor import Recording, Registered, record
from tests.support.order import reached
from tests.support.program import STACKS, record_stack, stack_settings

HOME = "eu-west-1"
RELEASE = "kubernetes:helm.sh/v3:Release"


def config(name: str, namespace: str | None = None) -> Manifest:
    return manifest("v1", "ConfigMap", name, namespace=namespace, data={})


def layers() -> Recording:
    """Three objects behind a gate, one that waits for them, and one that waits for a layer without objects."""

    def program() -> None:
        gate = k8s.core.v1.ConfigMap("gate")
        objects = (manifest("v1", "Namespace", "n"), config("a", "n"), config("b", "n"))
        first = Manifests("first", ManifestsArgs(objects=objects, after=[gate]))
        assert [len(first.objects), len(first.ready)] == [3, 1]
        Manifests("second", ManifestsArgs(objects=(config("c"),), after=first.ready))
        assert Manifests("none", ManifestsArgs(objects=(), after=[gate])).ready == ()

    return record(program)


def named(recording: Recording, urns: frozenset[str]) -> set[str]:
    return {each.name for each in recording.resources if each.urn in urns}


def test_the_last_object_waits_for_every_other_and_stands_for_all() -> None:
    recording = layers()
    waits = {each.name: named(recording, each.dependencies) for each in recording.resources if each.custom}
    assert waits["first-namespace-n"] == {"gate"}
    assert waits["first-configmap-n-a"] == {"gate", "first-namespace-n"}
    assert waits["first-configmap-n-b"] == {"gate", "first-namespace-n", "first-configmap-n-a"}
    assert waits["second-configmap-c"] == {"first-configmap-n-b"}


def test_who_waits_for_a_layer_waits_for_every_object_of_it() -> None:
    recording = layers()
    (last,) = [each for each in recording.resources if each.name == "second-configmap-c"]
    assert named(recording, reached(recording)[last.urn]) == {
        "gate",
        "first-namespace-n",
        "first-configmap-n-a",
        "first-configmap-n-b",
    }


def test_an_object_compiled_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="compiled twice: configmap-n-a"):
        record(lambda: Manifests("x", ManifestsArgs(objects=(config("a", "n"), config("a", "n")))) and None)


def tenants(count: int) -> Recording:
    """`count` tenants and `shared` in one cluster."""
    graph = Graph.of(load(tree(count, regions=1)))

    def program() -> None:
        provider = k8s.Provider("cluster", kubeconfig="{}")
        for tenant in graph.tenants:
            args = TenantArgs(graph=graph, region=HOME, tenant=tenant)
            Tenant(tenant, args, opts=pulumi.ResourceOptions(providers=[provider]))

    return record(program)


def test_a_tenants_edges_are_a_few_for_each_object_and_as_many_as_the_next_tenants() -> None:
    recordings = [tenants(count) for count in (1, 2, 3)]
    one, two, three = (sum(len(each.dependencies) for each in recording.resources) for recording in recordings)
    assert three - two == two - one
    objects = len([each for each in recordings[0].resources if each.custom])
    assert one < 3 * objects


@functools.cache
def program_of(stack: str) -> tuple[Recording, Mapping[str, frozenset[str]]]:
    recording = record_stack(stack)
    return recording, reached(recording)


def below(recording: Recording, component: str) -> frozenset[str]:
    """What is registered below a component, however deep, without components."""
    children: dict[str, list[str]] = {}
    for each in recording.resources:
        children.setdefault(each.parent, []).append(each.urn)
    custom = {each.urn for each in recording.resources if each.custom}
    (found,) = [each.urn for each in recording.resources if each.name == component and not each.custom]
    todo, seen = [found], set()
    while todo:
        todo += children.get(urn := todo.pop(), ())
        seen.add(urn)
    return frozenset(seen & custom)


@pytest.mark.parametrize("stack", STACKS)
def test_in_the_program_edges_are_a_few_for_each_resource(stack: str) -> None:
    recording, _ = program_of(stack)
    assert sum(len(each.dependencies) for each in recording.resources) < 4 * len(recording.resources)


@pytest.mark.parametrize("stack", STACKS)
def test_in_the_program_every_object_of_a_tenant_waits_for_every_object_before_it(stack: str) -> None:
    recording, behind = program_of(stack)
    graph = Graph.of(load(stack_settings(stack)))
    for region in graph.regions:
        for tenant in graph.tenants:
            layer_of = {layer: below(recording, f"{region}-services-tenant-{tenant}-{layer}") for layer in BEFORE}
            for layer, earlier in BEFORE.items():
                awaited = frozenset[str]().union(*(layer_of[each] for each in earlier))
                assert all(awaited <= behind[urn] for urn in layer_of[layer]), (region, tenant, layer)


@pytest.mark.parametrize("stack", STACKS)
def test_in_the_program_a_pod_waits_for_the_regions_rules_its_identity_and_its_mesh(stack: str) -> None:
    recording, behind = program_of(stack)
    graph = Graph.of(load(stack_settings(stack)))
    parts = (
        "ground-namespaces",
        "ground-network",
        "ground-certificates",
        "ground-databases",
        "ground-storage",
        "trust-kinds",
        "trust-domain",
        "trust-registrations",
        "mesh-istio",
        "mesh-rules",
        "mesh-rate-limiter",
        "mesh-ingress-gateway",
        "mesh-egress-gateway",
        "mesh-eastwest-gateway",
    )
    for region in graph.regions:
        # The disruption budget of SPIRE's servers is nobody's condition.
        unneeded = below(recording, f"{region}-services-trust-domain-budget")
        before = frozenset[str]().union(*(below(recording, f"{region}-services-{part}") for part in parts)) - unneeded
        assert len(before) > 150
        for tenant in graph.tenants:
            for urn in below(recording, f"{region}-services-tenant-{tenant}-workloads"):
                assert before <= behind[urn], (urn, named(recording, before - behind[urn]))


@pytest.mark.parametrize("stack", STACKS)
def test_in_the_program_no_gateway_comes_up_before_its_rules(stack: str) -> None:
    recording, behind = program_of(stack)
    for region in Graph.of(load(stack_settings(stack))).regions:
        rules = below(recording, f"{region}-services-mesh-rules")
        for gateway in ("ingress", "egress", "eastwest"):
            (release,) = below(recording, f"{region}-services-mesh-{gateway}-gateway")
            assert rules <= behind[release]


def test_a_layer_without_objects_hides_nothing_that_it_would_have_waited_for() -> None:
    class Standing:
        def __init__(self, ready: tuple[str, ...]) -> None:
            self.ready = ready

    all_of = {layer: Standing((layer,)) for layer in BEFORE}
    assert nearest("workloads", all_of) == ("identity", "decision", "risk", "mesh", "stores")  # type: ignore[arg-type]
    without_stores = {**all_of, "stores": Standing(())}
    assert nearest("workloads", without_stores) == ("identity", "decision", "risk", "network", "mesh")  # type: ignore[arg-type]
    only = {layer: Standing((layer,) if layer == "namespace" else ()) for layer in BEFORE}
    assert nearest("workloads", only) == ("namespace",)  # type: ignore[arg-type]


def asked(each: Registered) -> bool:
    """Whether Gatekeeper's webhook is asked about the object, or about something that a release brings."""
    about = each.inputs.get("metadata", each.inputs)
    if about.get("namespace", "") in UNASKED:
        return False
    if each.type == RELEASE:
        return True
    group, _, kind = each.type.removeprefix("kubernetes:").partition("/")
    plural = re.sub(r"ys$", "ies", f"{kind.partition(':')[2].lower()}s")
    return any(plural in one["resources"] and group.removeprefix("core") in one["apiGroups"] for one in webhook_rules())


@pytest.mark.parametrize("stack", STACKS)
def test_in_the_program_nothing_is_made_while_the_webhook_that_is_asked_about_it_starts(stack: str) -> None:
    """The API server refuses what no pod answers for, and no installer asks twice."""
    recording, behind = program_of(stack)
    for region in stack_settings(stack)["regions"]:
        (webhook,) = [each.urn for each in recording.resources if each.name == f"{region}-services-guardrails-gatekeeper-release"]
        ours = below(recording, f"{region}-services")
        judged = [each for each in recording.resources if each.urn in ours and asked(each)]
        early = [each.name for each in judged if webhook not in behind[each.urn] and each.urn not in behind[webhook]]
        assert early == []
        assert len([each for each in judged if webhook in behind[each.urn]]) > 100
