"""The operators' releases as the program registers them, and the rights their roles get.

Does not prove that AWS grants what the policies ask for, nor that a controller needs no more.
"""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from components.cni.cilium import CLUSTER_TAG, Cilium, CiliumArgs, operator_policy
from components.cni.cilium import cluster_name as cilium_name
from components.context import RegionContext
from components.graph.names import INGRESS
from components.helm import pins
from components.manifests import Manifests, ManifestsArgs
from components.operators.aws_load_balancer import (
    LoadBalancerController,
    LoadBalancerControllerArgs,
    target_group_binding,
    targets_policy,
)
from components.operators.cert_manager import CertManager, CertManagerArgs
from components.operators.database_operator import DatabaseOperator, DatabaseOperatorArgs
from components.operators.external_dns import ExternalDns, ExternalDnsArgs, dns_record, zone_policy
from components.operators.metrics_server import MetricsServer, MetricsServerArgs
from components.operators.monitoring_kinds import MonitoringKinds, MonitoringKindsArgs
from tests.support.monitor import Recording, Registered, record

RELEASE = "kubernetes:helm.sh/v3:Release"
BINDING = "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding"
CONTEXT = RegionContext(organization="clearing", environment="dev", region="eu-west-1", account="111122223333", tags={})
ARN = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/mesh/0123456789abcdef"


def first() -> list[pulumi.Resource]:
    """Something of another layer to wait for."""
    return [k8s.core.v1.Namespace("first")]


def region() -> None:
    """The operators in the order a region has them."""
    kinds = MonitoringKinds("kinds", MonitoringKindsArgs(after=first()))
    network = Cilium(
        "network", CiliumArgs(context=CONTEXT, endpoint=pulumi.Output.from_input("https://abc.eks"), after=kinds.ready)
    )
    certificates = CertManager("certificates", CertManagerArgs(after=[*network.ready, *kinds.ready]))
    controller = LoadBalancerController(
        "balancers",
        LoadBalancerControllerArgs(cluster_name="c", region="eu-west-1", vpc_id="vpc-1", after=certificates.ready),
    )
    binding = target_group_binding(
        "ingress", namespace=INGRESS.namespace, service=INGRESS.name, port=8443, target_group_arn=ARN, vpc_id="vpc-1"
    )
    Manifests("bindings", ManifestsArgs(objects=[binding], after=controller.ready))
    DatabaseOperator("databases", DatabaseOperatorArgs(after=certificates.ready))
    MetricsServer("metrics", MetricsServerArgs(after=certificates.ready))
    ExternalDns(
        "names",
        ExternalDnsArgs(region="eu-west-1", owner="c", domain="x.internal", zone_id="Z1", after=network.ready),
    )


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record(region)


def before(recording: Recording, resource: Registered) -> set[str]:
    """Names of everything the resource waits for, however far."""
    by_urn = {one.urn: one for one in recording.resources}
    waiting, seen = [resource], set()
    while waiting:
        for urn in waiting.pop().dependencies:
            if urn in by_urn and urn not in seen:
                seen.add(urn)
                waiting.append(by_urn[urn])
    return {by_urn[urn].name for urn in seen}


EXPECTED = {
    "kinds-release": ("prometheus-operator-crds", "kube-system"),
    "network-release": ("cilium", "kube-system"),
    "certificates-release": ("cert-manager", "cert-manager"),
    "balancers-release": ("aws-load-balancer-controller", "kube-system"),
    "databases-release": ("cloudnative-pg", "cnpg-system"),
    "metrics-release": ("metrics-server", "kube-system"),
    "names-release": ("external-dns", "external-dns"),
}


def test_every_release_has_an_explicit_name_and_the_pinned_chart(recording):
    releases = {one.name: one.inputs for one in recording.of(RELEASE)}
    assert set(releases) == set(EXPECTED)
    for name, (pinned, namespace) in EXPECTED.items():
        pin, inputs = pins()[pinned], releases[name]
        assert (inputs["name"], inputs["namespace"], inputs["createNamespace"]) == (pinned, namespace, False)
        assert (inputs["chart"], inputs["version"]) == (pin.chart, pin.version)
        assert inputs.get("repositoryOpts", {}).get("repo") == pin.repository


def test_only_the_network_is_not_waited_for(recording):
    assert [one.name for one in recording.of(RELEASE) if one.inputs["skipAwait"]] == ["network-release"]


def test_cilium_asks_the_api_server_by_name(recording):
    values = recording.one(RELEASE, "network-release").inputs["values"]
    assert (values["k8sServiceHost"], values["k8sServicePort"]) == ("abc.eks", "443")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_release_waits_for_what_it_is_given_itself(recording, name):
    release = recording.one(RELEASE, name)
    assert release.dependencies, "depends_on of a component would not reach its children"
    assert "first" in before(recording, release)


def test_kinds_stand_before_the_objects_of_those_kinds(recording):
    monitored = {one.name for one in recording.of(RELEASE)} - {"kinds-release"}
    assert {name for name in monitored if "kinds-release" in before(recording, recording.one(RELEASE, name))} == monitored
    assert {"balancers-release", "certificates-release"} <= before(recording, recording.one(BINDING))


def test_a_binding_names_the_pods_port_and_leaves_networking_to_our_groups(recording):
    assert recording.one(BINDING).inputs["spec"] == {
        "serviceRef": {"name": INGRESS.name, "port": 8443},
        "targetGroupARN": ARN,
        "targetType": "ip",
        "vpcID": "vpc-1",
    }


POLICIES: dict[str, Callable[[], dict[str, Any]]] = {
    "cilium": lambda: operator_policy(CONTEXT, cluster="c", vpc_arn="arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-1"),
    "targets": lambda: targets_policy([ARN]),
    "zone": lambda: zone_policy("Z1"),
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_role_changes_only_what_it_names(name):
    """Every statement on every resource only reads; what changes anything in EC2 has a resource kind and a condition."""
    for statement in POLICIES[name]()["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        resources = [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]
        assert all("*" not in action for action in actions)
        reads = all(action.split(":")[1].startswith(("Describe", "Get", "List")) for action in actions)
        assert reads or all(one.startswith("arn:aws:") for one in resources), statement["Sid"]
        assert reads or "Condition" in statement or not any(action.startswith("ec2:") for action in actions), statement["Sid"]
    assert len(json.dumps(POLICIES[name]())) < 10_240  # the inline policies of a role together


def test_cilium_deletes_no_interface_but_those_it_tagged():
    deleting = [one for one in POLICIES["cilium"]()["Statement"] if "ec2:DeleteNetworkInterface" in one["Action"]]
    wanted = {"StringEquals": {f"aws:ResourceTag/{CLUSTER_TAG}": cilium_name(CONTEXT)}}
    assert [one["Condition"] for one in deleting] == [wanted]


def test_a_target_policy_without_groups_is_refused():
    with pytest.raises(ValueError, match="name the target groups"):
        targets_policy([])


def test_a_record_lies_where_external_dns_reads_and_has_a_type_it_may_write():
    one = dns_record("bundle", host="bundle.x.internal", targets=["10.0.0.1"])
    assert one["metadata"]["namespace"] == "external-dns"
    (endpoint,) = one["spec"]["endpoints"]
    assert endpoint == {"dnsName": "bundle.x.internal", "recordType": "A", "recordTTL": 60, "targets": ["10.0.0.1"]}
    allowed = POLICIES["zone"]()["Statement"][0]["Condition"]["ForAllValues:StringEquals"]
    assert endpoint["recordType"] in allowed["route53:ChangeResourceRecordSetsRecordTypes"]
    with pytest.raises(ValueError, match="type MX"):
        dns_record("mail", host="x.internal", targets=["a"], kind="MX")
