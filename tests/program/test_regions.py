"""The whole program, as it registers: regions are symmetric, names are stable, nothing uses a default provider."""

import json
import re
from typing import Any

import pytest

from tests.support.ledger import committed, lines
from tests.support.monitor import Recording, Registered, plain
from tests.support.program import STACKS, changed, record_settings, record_stack

HOME_ONLY = re.compile(
    r"^(certificate-validation-(domain|issuer)$|issuer-front|services-mesh-issuer|services-.*(keycloak|-issuer($|-)))"
)
"""Roles of what only the home region has: records that several regions' certificates share, and the token issuer."""
COPY = re.compile(r"^copies-buckets-[a-z]+-(?!role$|permissions$|replication$)")
"""A copy's bucket and what is set on it; who copies and when is of the original's region."""
KINDS = ("ciliumnetworkpolicy", "networkpolicy")
REGION = re.compile(r"[a-z]{2}-[a-z]+-\d")


def region_of(resource: Registered, code: str) -> bool:
    return resource.name == code or resource.name.startswith(f"{code}-")


def inside(recording: Recording, code: str) -> set[tuple[str, str]]:
    """Type and role of everything in a region; another region's code in a role reads `<peer>`."""
    return {
        (resource.urn.split("::")[2], REGION.sub("<peer>", resource.name.removeprefix(f"{code}-")))
        for resource in recording.resources
        if region_of(resource, code) and resource.name != code and not HOME_ONLY.match(resource.name.removeprefix(f"{code}-"))
    }


@pytest.mark.parametrize("stack", STACKS)
def test_regions_are_symmetric(stack):
    recording = record_stack(stack)
    first, second = (inside(recording, code) for code in changed(stack)["regions"])
    assert first
    assert first == second


@pytest.mark.parametrize("stack", STACKS)
def test_the_ledger_names_every_urn(stack):
    assert lines(stack) == committed(stack), "a URN moved: argue for it in the pull request, then run make ledger"


NORTH = "eu-north-1"


def with_a_third_region(settings: dict[str, Any]) -> dict[str, Any]:
    third = {"vpc_cidr": "10.99.0.0/16", "service_cidr": "172.29.0.0/20"}
    return {**settings, "regions": {**settings["regions"], NORTH: third}}


def roams(settings: dict[str, Any]) -> set[str]:
    """Names of what opens the way for a deployment from inside one region, which reaches all of them."""
    kinds = ("ciliumnetworkpolicy-arc-runners-runners-aws", *(f"{kind}-arc-runners-runners-regions" for kind in KINDS))
    return {f"{code}-services-ground-network-{kind}" for code in settings["regions"] for kind in kinds}


def test_a_third_region_touches_nothing_that_exists():
    """Regions know of each other by an edge alone: without one that spans regions a new one is nobody's business."""
    settings = changed("dev")
    for call in settings["access"]["calls"].values():
        call.pop("reach", None)
    before, after = record_settings(settings, "dev"), record_settings(with_a_third_region(settings), "dev")
    assert moved(before, after, NORTH) == roams(settings)


def told_of_a_region(settings: dict[str, Any]) -> set[str]:
    """Names of what has to know every region: both ends of the edges that span them, and the proxies' list of trust domains."""
    told: set[str] = set()
    for code in settings["regions"]:
        for key, call in settings["access"]["calls"].items():
            if call.get("reach") != "every_region":
                continue
            (caller, service), (callee, called) = (call[end].split("/") for end in ("caller", "callee"))
            told |= {f"{code}-services-mesh-istio-istiod"}
            told |= {f"{code}-services-tenant-{caller}-identity-clusterspiffeid-{caller}.{service}"}
            told |= {f"{code}-services-tenant-{callee}-identity-clusterspiffeid-{callee}.{called}"}
            told |= {f"{code}-services-tenant-{callee}-decision-configmap-{callee}-opa-data-{called}"}
            told |= {f"{code}-services-tenant-{callee}-mesh-authorizationpolicy-{callee}-call-{key}"}
            told |= {f"{code}-services-tenant-{caller}-mesh-destinationrule-{caller}-call-{key}"}
            told |= {f"{code}-services-tenant-{caller}-network-{kind}-{caller}-call-{key}" for kind in KINDS}
    return told


def in_another_order(settings: dict[str, Any]) -> dict[str, Any]:
    """The same settings, with regions, tenants and every kind of edge written the other way round."""
    turned = {key: dict(reversed(settings[key].items())) for key in ("regions", "tenants")}
    access = {key: dict(reversed(each.items())) for key, each in settings["access"].items()}
    return {**settings, **turned, "access": access}


@pytest.mark.parametrize("stack", STACKS)
def test_of_a_third_region_learn_the_ends_of_edges_that_span_regions_and_nothing_else_in_whatever_order_it_is_written(stack):
    """The larger program's settings are in another order, which therefore changes nothing either."""
    settings = changed(stack)
    told = told_of_a_region(settings)
    assert told
    larger = in_another_order(with_a_third_region(settings))
    assert json.dumps(larger) != json.dumps(with_a_third_region(settings))
    assert moved(record_stack(stack), record_settings(larger, stack), NORTH) == told | roams(settings)


def test_one_region_alone_has_no_way_in_for_others():
    settings = changed("dev")
    del settings["regions"]["eu-central-1"]
    del settings["backup"]
    alone = record_settings(settings, "dev")
    kinds = {resource.urn.split("::")[2].rsplit("$")[-1] for resource in alone.resources}
    between = {"zerotrust:identity:Federation", "zerotrust:network:Peering", "zerotrust:backup:RegionCopy"}
    assert between <= {resource.urn.split("::")[2].rsplit("$")[-1] for resource in record_stack("dev").resources}
    assert not between & kinds
    assert not [resource.name for resource in alone.resources if "eu-central-1" in str(plain(resource.inputs))]


def moved(fewer: Recording, more: Recording, code: str) -> set[str]:
    """Names of what the larger program changes in place. Nothing may be gone, and what is new names `code`."""
    larger = {resource.urn: resource for resource in more.resources}
    gone = sorted(fewer.urns() - set(larger))
    assert not gone
    strangers = sorted(urn for urn in set(larger) - fewer.urns() if code not in urn.rsplit("::", 1)[1])
    assert not strangers
    return {resource.name for resource in fewer.resources if plain(resource.inputs) != plain(larger[resource.urn].inputs)}


@pytest.mark.parametrize("stack", STACKS)
def test_no_resource_uses_a_default_provider(stack):
    bare = [
        resource.urn
        for resource in record_stack(stack).resources
        if resource.custom and not resource.type.startswith("pulumi:providers:") and not resource.provider
    ]
    assert not bare


@pytest.mark.parametrize("stack", STACKS)
def test_a_region_is_built_by_its_own_provider(stack):
    for code in changed(stack)["regions"]:
        strays = [
            resource.urn
            for resource in record_stack(stack).resources
            if resource.custom
            and region_of(resource, code)
            and resource.type.startswith("aws:")
            and not resource.provider.endswith(f"::{holder(resource, code, stack)}-aws")
        ]
        assert not strays


def holder(resource: Registered, code: str, stack: str) -> str:
    """The region that a resource lies in: copies of a region's buckets, with what is theirs, lie where the settings say."""
    settings = changed(stack)
    if not COPY.match(resource.name.removeprefix(f"{code}-")):
        return code
    return str(settings["backup"]["copy_region"] if code == settings["home_region"] else settings["home_region"])


@pytest.mark.parametrize("stack", STACKS)
def test_every_child_is_named_for_its_component(stack):
    recording = record_stack(stack)
    names = {resource.urn: resource.name for resource in recording.resources}
    strays = [
        resource.urn
        for resource in recording.resources
        if resource.parent in names and not resource.name.startswith(f"{names[resource.parent]}-")
        and not re.match(r"^[a-z]{2}-[a-z]+-\d", resource.name)
    ]  # fmt: skip
    assert not strays


def test_production_protects_what_cannot_be_made_again():
    recording = record_stack("prod")
    for type_ in ("aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:ec2/vpc:Vpc"):
        found = recording.of(type_)
        assert found, type_
        assert all(resource.protect for resource in found), type_


def with_a_third_tenant(settings: dict[str, Any]) -> dict[str, Any]:
    settings["tenants"]["bank-c"] = {
        "display_name": "Bank C",
        "services": {"api-ms": settings["tenants"]["bank-a"]["services"]["api-ms"]},
        "databases": {"ledger": {"storage": "10Gi"}},
        "caches": {"sessions": {"memory": "64Mi"}},
        "clients": {
            "web": {"grant": "authorization_code", "scopes": ["accounts.read"], "redirect_uris": ["https://c.example/back"]}
        },
        "usage": {"requests_per_second": 10, "burst": 20, "requests_per_day": 1000},
    }
    settings["access"]["data"]["bank-c-ledger"] = {"service": "bank-c/api-ms", "store": "bank-c/ledger"}
    settings["access"]["routes"]["bank-c-web"] = {
        "clients": ["bank-c/web"],
        "service": "bank-c/api-ms",
        "operations": [{"methods": ["GET"], "paths": ["/accounts"]}],
        "scopes": ["accounts.read"],
    }
    return settings


COUNTS_EVERY_TENANT = {
    f"{code}-services-{name}"
    for code in ("eu-west-1", "eu-central-1")
    for name in (
        "mesh-rate-limiter-objects-configmap-rate-limit-ratelimit",
        "mesh-rate-limiter-objects-deployment-rate-limit-ratelimit",
        "monitoring-loki-release",
        "monitoring-stack",
        "runtime-falco-release",
        "runtime-responder-objects-configmap-security-risk-responder",
        "runtime-responder-objects-deployment-security-risk-responder",
        "telemetry-gateway",
        "telemetry-objects-authorizationpolicy-observability-telemetry-gateway",
    )
} | {"eu-west-1-services-mesh-issuer-realm-configmap-keycloak-keycloak-realm"}
"""The platform's own lists of tenants: limits (the limiter restarts when its file changes), whose logs and spans are whose, who
looks at which, Falco's model of who runs what, whom the responder knows (it restarts when its file changes), and OIDC clients."""


def test_a_tenant_added_changes_nothing_of_the_others():
    before = record_stack("dev")
    after = record_settings(with_a_third_tenant(changed("dev")), "dev")
    assert moved(before, after, "bank-c") == COUNTS_EVERY_TENANT


def test_a_tenant_that_calls_a_shared_service_changes_that_services_decision_data_alone():
    settings = with_a_third_tenant(changed("dev"))
    settings["access"]["calls"]["bank-c-notes"] = {
        "caller": "bank-c/api-ms",
        "callee": "shared/notifications",
        "operations": [{"methods": ["POST"], "paths": ["/events"]}],
    }
    changes = moved(record_stack("dev"), record_settings(settings, "dev"), "bank-c") - COUNTS_EVERY_TENANT
    assert changes == {
        f"{code}-services-tenant-shared-decision-configmap-shared-opa-data-notifications" for code in settings["regions"]
    }


LAYERS = ("decision", "mesh", "network")
"""What enforces a call edge; identities outlive it, since they say who a workload is and not what it may do."""


def tenants_of(edge: str) -> frozenset[str]:
    call = changed("dev")["access"]["calls"][edge]
    return frozenset(call[end].split("/")[0] for end in ("caller", "callee"))


def rounds() -> list[list[str]]:
    """Every call edge once, together with others between other tenants, so that what each one changes is told apart."""
    made: list[list[str]] = []
    for edge in sorted(changed("dev")["access"]["calls"], key=lambda one: (-len(tenants_of(one)), one)):
        apart = [each for each in made if not any(tenants_of(edge) & tenants_of(other) for other in each)]
        if apart:
            apart[0].append(edge)
        else:
            made.append([edge])
    return made


def test_every_call_edge_is_deleted_once():
    assert sorted(edge for each in rounds() for edge in each) == sorted(changed("dev")["access"]["calls"])
    for each in rounds():
        assert sum(len(tenants_of(edge)) for edge in each) == len(frozenset().union(*map(tenants_of, each)))


@pytest.mark.parametrize("edges", rounds(), ids=" ".join)
def test_deleting_an_edge_removes_it_from_every_layer(edges):
    settings = changed("dev")
    for edge in edges:
        del settings["access"]["calls"][edge]
    before, after = record_stack("dev"), record_settings(settings, "dev")
    larger = {resource.urn: resource for resource in before.resources}
    left = {resource.urn: resource for resource in after.resources}
    assert not set(left) - set(larger)
    gone = {larger[urn].name for urn in set(larger) - set(left)}
    touched = gone | {one.name for urn, one in left.items() if plain(one.inputs) != plain(larger[urn].inputs)}
    strangers = {name for name in touched if not name.endswith("-services-mesh-istio-istiod")}
    for edge in edges:
        own = re.compile(rf"-services-tenant-({'|'.join(tenants_of(edge))})-")
        mine = {name for name in touched if own.search(name)}
        assert all(any(f"-{layer}-" in name for name in mine) for layer in LAYERS), edge
        assert not [one.name for one in after.resources if edge in str(plain(one.inputs))]
        strangers -= mine
    assert sorted(strangers) == []
