"""The local stack is the shipped environments' platform and tenants, at the least that runs, and only a cluster that may be down
may be that small.

Not proven: that it runs; that is the sandbox's own to show.
"""

import copy
import ipaddress
from typing import Any

import pytest

from components.settings import SettingsError, load
from docs.capacity import Asked, asked
from tests.support.program import changed, record_settings, record_stack, stack_settings

LOCAL = stack_settings("local")
REGIONS = sorted(LOCAL["regions"])
PROCESSORS = {"system": 1 * 2000, "workload": 2 * 2000}
"""Millicores of one system node and two workload nodes, each of a machine with two processors."""
MEMORY = 24 * 1024
"""MiB of that machine, which each node says it has."""
NOT_INSTALLED = (
    *("kube-system: aws-load-balancer-controller", "kube-system: cilium", "kube-system: metrics-server", "aws-ebs-csi-driver"),
    *("observability: ", "node-telemetry: ", "velero: ", "falco: ", "security: falcosidekick", "kyverno: ", "external-dns: "),
    *("eks-pod-identity-agent", "cnpg-system: plugin-barman-cloud"),
)
"""Charts that no program here comes from, or that speak to AWS alone."""
OF_EKS = "coredns"
"""Counted as EKS has it; the sandbox has one pod of it (sandbox/local/addons.py)."""


def here(region: str, recording: Any = None) -> tuple[Asked, ...]:
    """What is asked for by what runs in a sandbox's region."""
    found = asked(recording or record_stack("local"), region)
    return tuple(one for one in found if not one.who.startswith(NOT_INSTALLED) and one.who != OF_EKS)


def names(stack: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    kinds = ("services", "databases", "caches", "clients")
    return {tenant: {kind: sorted(one.get(kind, {})) for kind in kinds} for tenant, one in stack["tenants"].items()}


def at_any_hour(access: dict[str, Any]) -> dict[str, Any]:
    """The same edges without their hours: the sandbox's proof holds whenever it is made."""
    made = copy.deepcopy(access)
    hours = [call["conditions"].pop("hours") for call in made["calls"].values() if "hours" in call.get("conditions", {})]
    assert hours
    return made


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_tenants_and_who_may_call_what_are_those_of_the_other_stacks(stack):
    other = stack_settings(stack)
    assert names(LOCAL) == names(other)
    assert LOCAL["access"] == at_any_hour(other["access"])


def test_it_has_the_keys_of_dev():
    dev = stack_settings("dev")
    assert LOCAL.keys() == dev.keys()
    for key in ("account", "audit", "tags", "edge", "identity", "images", "guardrails", "network"):
        assert LOCAL[key].keys() == dev[key].keys(), key
    assert LOCAL["guardrails"] == dev["guardrails"]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_its_networks_and_names_meet_no_other_environments(stack):
    other = stack_settings(stack)
    networks = [_networks(one) for one in (LOCAL, other)]
    assert not [(one, two) for one in networks[0] for two in networks[1] if one.overlaps(two)]
    assert LOCAL["identity"]["trust_domain_base"] != other["identity"]["trust_domain_base"]
    assert LOCAL["edge"]["domain"] != other["edge"]["domain"]


def _networks(stack: dict[str, Any]) -> list[ipaddress.IPv4Network]:
    return [ipaddress.IPv4Network(one[key]) for one in stack["regions"].values() for key in ("vpc_cidr", "service_cidr")]


@pytest.mark.parametrize("region", REGIONS)
def test_every_program_that_runs_has_one_pod(region):
    found = here(region)
    assert [one.who for one in found if one.pods > 1] == []
    assert len([one for one in found if one.pods]) > 25


def test_with_redundancy_the_same_programs_have_more():
    settings = changed("local")
    settings["cluster"]["redundancy"] = "zones"
    more = {one.who for one in here(REGIONS[0], record_settings(settings, "local")) if one.pods > 1}
    kinds = ("cert-manager: cert-manager", "cnpg-system: cloudnative-pg", "istio-system: istiod", "istio-ingress: gateway")
    kinds += ("rate-limit: ratelimit", "rate-limit: counters", "spire-server: spire")
    assert more >= {*kinds, "gatekeeper-system: gatekeeper controllerManager"}


@pytest.mark.parametrize("region", REGIONS)
def test_what_runs_fits_three_nodes_of_a_small_machine(region):
    found = here(region)
    everywhere = [one for one in found if one.where == "every node"]
    for role, nodes in (("system", 1), ("workload", 2)):
        placed = [one for one in found if one.where == role]
        assert placed
        assert sum(one.millicores for one in placed) + nodes * sum(one.millicores for one in everywhere) <= PROCESSORS[role]
        assert sum(one.mebibytes for one in placed) + nodes * sum(one.mebibytes for one in everywhere) <= nodes * MEMORY


@pytest.mark.parametrize(
    ("path", "value", "remedy"),
    [
        (("cluster", "redundancy"), "none", "cluster.redundancy"),
        (("vault", "replicas"), 1, "vault.replicas"),
        (("tenants", "bank-a", "services", "api-ms", "replicas"), 1, "tenants.bank-a.services.api-ms.replicas"),
    ],
)
def test_production_is_not_that_small(path, value, remedy):
    settings = changed("prod")
    load(settings)
    branch = settings
    for key in path[:-1]:
        branch = branch[key]
    branch[path[-1]] = value
    with pytest.raises(SettingsError, match=remedy):
        load(settings)
    settings["assurance"] = "standard"
    load(settings)


def test_nothing_is_sent_to_a_service_of_the_internet():
    settings = load(LOCAL)
    assert settings.observability.alert_hosts == ()
    assert settings.runtime.output_hosts == ()
    assert settings.siem.hosts == ()
    assert settings.delivery.runners is None
    assert not settings.delivery.gitops.enabled
    assert not settings.edge.shield.advanced
