"""The `eks` components register the children of the real ones, through the engine: so transforms reach them.

The list of children was read from pulumi-eks 4's source; whether the next version keeps it is not proven here.
"""

import json

import pytest
from pulumi.automation import errors

from tests.engine import programs
from tests.engine.conftest import Open

pytestmark = pytest.mark.engine
CHILDREN = {
    ("eks:index:ServiceRole", "bank-eksRole"),
    ("aws:iam/role:Role", "bank-eksRole-role"),
    # the first eight digits of the SHA-1 of arn:aws:iam::aws:policy/AmazonEKSClusterPolicy
    ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "bank-eksRole-4b490823"),
    ("aws:ec2/securityGroup:SecurityGroup", "bank-eksClusterSecurityGroup"),
    ("aws:ec2/securityGroupRule:SecurityGroupRule", "bank-eksClusterInternetEgressRule"),
    ("aws:eks/cluster:Cluster", "bank-eksCluster"),
    ("pulumi:providers:kubernetes", "bank-eks-k8s"),
    ("aws:eks/accessEntry:AccessEntry", "bank-operators"),
    ("aws:eks/accessPolicyAssociation:AccessPolicyAssociation", "bank-operators-admin"),
    ("aws:iam/openIdConnectProvider:OpenIdConnectProvider", "bank-oidcProvider"),
    ("aws:ec2/securityGroup:SecurityGroup", "bank-nodeSecurityGroup"),
    ("aws:ec2/securityGroupRule:SecurityGroupRule", "bank-eksNodeIngressRule"),
    ("aws:ec2/securityGroupRule:SecurityGroupRule", "bank-eksNodeClusterIngressRule"),
    ("aws:ec2/securityGroupRule:SecurityGroupRule", "bank-eksExtApiServerClusterIngressRule"),
    ("aws:ec2/securityGroupRule:SecurityGroupRule", "bank-eksNodeInternetEgressRule"),
    ("aws:ec2/securityGroupRule:SecurityGroupRule", "bank-eksClusterIngressRule"),
}
EKS_CLUSTER = "urn:pulumi:dev::fixture::eks:index:Cluster$aws:eks/cluster:Cluster::bank-eksCluster"


def test_the_cluster_component_has_the_children_of_the_real_one(rehearse: Open) -> None:
    urns = [urn for _, urn in rehearse(programs.cluster()).preview().changed]
    below = {(urn.split("::")[2].rsplit("$", 1)[-1], urn.split("::")[3]) for urn in urns if "::eks:index:Cluster$" in urn}
    assert below == CHILDREN
    assert "urn:pulumi:dev::fixture::eks:index:ManagedNodeGroup$aws:eks/nodeGroup:NodeGroup::workers" in urns


@pytest.mark.parametrize("transformed", [True, False])
def test_a_transform_reaches_the_cluster_below_the_component(rehearse: Open, *, transformed: bool) -> None:
    record = rehearse(programs.cluster(transformed=transformed)).preview()
    access = record.inputs[EKS_CLUSTER]["accessConfig"]
    assert access == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": not transformed}


def test_options_add_their_children(rehearse: Open) -> None:
    stack = rehearse(
        programs.cluster(
            use_default_vpc_cni=False,
            kube_proxy_addon_options={"enabled": True},
            storage_classes={"gp3": {"type": "gp3", "encrypted": True}},
            skip_default_security_groups=True,
            create_oidc_provider=False,
        )
    )
    names = {urn.split("::")[-1] for _, urn in stack.preview().changed}
    assert {"bank-vpc-cni", "bank-kube-proxy", "bank-gp3"} <= names
    assert not {"bank-nodeSecurityGroup", "bank-eksClusterSecurityGroup", "bank-oidcProvider"} & names


def test_a_cluster_goes_up_comes_back_unchanged_and_goes_away(rehearse: Open) -> None:
    stack = rehearse(programs.cluster())
    stack.up()
    outputs = stack.outputs()
    kubeconfig = json.loads(outputs["kubeconfig"])
    assert kubeconfig["clusters"][0]["cluster"]["server"] == outputs["endpoint"]
    assert outputs["oidc_issuer"].startswith("oidc.eks.eu-west-1.amazonaws.com/id/")
    assert outputs["oidc_arn"].startswith("arn:aws:iam::111122223333:")
    assert outputs["cluster_group"].startswith("sg-0")
    assert stack.preview().changed == []
    stack.destroy()
    assert stack.state() == []


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"skip_default_node_group": False}, "no stand-in for the default node group"),
        ({"fargate": True}, "fargate: no stand-in for it"),
        ({"authentication_mode": "CONFIG_MAP"}, "accessEntries: need authenticationMode"),
        ({"endpoint_public_access": "no"}, "endpointPublicAccess: expected a boolean, got a string"),
    ],
)
def test_what_is_not_stood_in_for_is_refused_and_not_ignored(rehearse: Open, more: dict, sentence: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(errors.CommandError, match=sentence):
        rehearse(programs.cluster(**more)).preview()
