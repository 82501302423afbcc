"""The cluster layer as registered, for every shipped stack; the requests also fit AWS's own API models.

The remote component is one opaque resource here: what it registers itself is the engine tier's (test_cluster_engine.py).
"""

import base64
import datetime as dt
import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pytest

from components.cluster import karpenter_policy
from components.cluster.addons import VERSIONS, Addons, AddonsArgs, PodIdentityAgent, PodIdentityAgentArgs
from components.cluster.control_plane import ControlPlane, ControlPlaneArgs, corrected
from components.cluster.karpenter import EVENTS, Karpenter, KarpenterArgs
from components.cluster.node_group import NodeGroup, NodeGroupArgs
from components.cluster.node_role import NodeRole, NodeRoleArgs
from components.context import RegionContext
from components.settings import load_file
from components.settings.cluster import BootstrapAccessSettings
from tests.support.aws_model import request, tag_list, verbatim, violations
from tests.support.monitor import Recording, record

ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"
ENDPOINT = {"server": "https://abc.eks.internal", "certificate-authority-data": "Q0E="}
OUTPUTS: dict[str, dict[str, Any]] = {
    "eks:index:Cluster": {
        "kubeconfig": {"clusters": [{"cluster": ENDPOINT}]},
        "oidcProviderUrl": "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC",
    },
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 3},
}
CLUSTER = "clearing-dev-eu-west-1"


@cache
def recorded(stack: str, operating_system: str = "bottlerocket", exception: BootstrapAccessSettings | None = None) -> Recording:
    settings = load_file(ROOT / f"Pulumi.{stack}.yaml")
    cluster = settings.cluster.model_copy(update={"bootstrap_access": exception})
    context = RegionContext(
        organization="clearing",
        environment="dev",
        region=REGION,
        account="111122223333",
        tags={"owner": "platform"},
        permissions_boundary="arn:aws:iam::111122223333:policy/boundary",
    )

    def program() -> None:
        provider = aws.Provider(REGION, region=REGION)
        options = pulumi.ResourceOptions(providers=[provider, eks.Provider(REGION)])
        subnets = {zone: f"subnet-{zone}" for zone in "cba"}
        plane = ControlPlane(
            "eu-west-1-cluster",
            ControlPlaneArgs(
                context=context,
                settings=cluster,
                service_cidr="172.20.0.0/20",
                vpc_id="vpc-1",
                subnet_ids=subnets,
                secrets_key_arn=KEY,
                logs_key_arn=KEY,
                log_retention_days=365,
                deployer_role=settings.account.deployer_role,
                protect=stack == "prod",
                api_clients={"runner": "sg-runner"},
            ),
            opts=options,
        )
        cni = aws.cloudwatch.LogGroup("cni", opts=pulumi.ResourceOptions(provider=provider))
        role = NodeRole("eu-west-1-nodes", NodeRoleArgs(context=context), opts=options)
        ready: list[pulumi.Resource] = []
        for group, group_settings in settings.cluster.node_groups.items():
            made = NodeGroup(
                f"eu-west-1-nodes-{group}",
                NodeGroupArgs(
                    context=context,
                    group=group,
                    settings=group_settings.model_copy(update={"operating_system": operating_system}),
                    cluster_name=plane.name,
                    kubernetes_version=settings.cluster.kubernetes_version,
                    subnet_ids=subnets,
                    security_group_id=plane.node_security_group_id,
                    node_role_arn=role.arn,
                    node_role=role.ready,
                    data_key_arn=KEY,
                    cni=[cni],
                ),
                opts=options,
            )
            ready.extend(made.ready)
        agent = PodIdentityAgent("eu-west-1-agent", PodIdentityAgentArgs(context=context, cluster_name=plane.name), opts=options)
        Addons(
            "eu-west-1-addons",
            AddonsArgs(
                context=context,
                cluster_name=plane.name,
                cluster_arn=plane.arn,
                data_key_arn=KEY,
                nodes=ready,
                agent=agent.ready,
            ),
            opts=options,
        )
        Karpenter(
            "eu-west-1-karpenter",
            KarpenterArgs(
                context=context,
                cluster=CLUSTER,
                cluster_name=plane.name,
                cluster_arn=plane.arn,
                queue_key_arn=KEY,
                data_key_arn=KEY,
            ),
            opts=options,
        )

    return record(program, outputs=OUTPUTS)


@pytest.fixture(params=["dev", "prod"])
def recording(request: pytest.FixtureRequest) -> Recording:
    return recorded(request.param)


def documents(recording: Recording) -> list[dict[str, Any]]:
    """Every IAM statement, trust and permission."""
    texts = [role.inputs["assumeRolePolicy"] for role in recording.of("aws:iam/role:Role")]
    texts += [policy.inputs["policy"] for policy in recording.of("aws:iam/rolePolicy:RolePolicy")]
    texts += [policy.inputs["policy"] for policy in recording.of("aws:sqs/queuePolicy:QueuePolicy")]
    return [statement for text in texts for statement in json.loads(text)["Statement"]]


def test_the_component_is_told_everything_it_can_be_told(recording: Recording):
    given = recording.one("eks:index:Cluster").inputs
    assert given["endpointPrivateAccess"] is True
    assert given["endpointPublicAccess"] is False
    assert "publicAccessCidrs" not in given
    assert given["encryptionConfigKeyArn"] == KEY
    assert set(given["enabledClusterLogTypes"]) == {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    assert given["upgradePolicy"] == {"supportType": "STANDARD"}
    assert given["authenticationMode"] == "API"
    assert given["deletionProtection"] is True
    assert given["subnetIds"] == ["subnet-a", "subnet-b", "subnet-c"]


def test_the_exception_opens_the_endpoint_to_its_networks_alone():
    today = dt.datetime.now(tz=dt.UTC).date()
    exception = BootstrapAccessSettings(cidrs=("203.0.113.0/28",), reason="the very first update", expires=today)
    given = recorded("dev", exception=exception).one("eks:index:Cluster").inputs
    assert given["endpointPrivateAccess"] is given["endpointPublicAccess"] is True
    assert given["publicAccessCidrs"] == ["203.0.113.0/28"]


def test_nothing_of_the_components_defaults_is_created(recording: Recording):
    given = recording.one("eks:index:Cluster").inputs
    assert given["skipDefaultNodeGroup"] is given["skipDefaultSecurityGroups"] is given["useDefaultVpcCni"] is True
    assert given["bootstrapSelfManagedAddons"] is given["createOidcProvider"] is given["createInstanceRole"] is False
    assert given["kubeProxyAddonOptions"] == given["corednsAddonOptions"] == {"enabled": False}


def test_only_the_deployer_and_break_glass_administer_the_cluster(recording: Recording):
    entries = recording.one("eks:index:Cluster").inputs["accessEntries"]
    administrators = {
        entry["principalArn"].rsplit("/", 1)[1]
        for entry in entries.values()
        for policy in entry["accessPolicies"].values()
        if policy["policyArn"].endswith("AmazonEKSClusterAdminPolicy")
    }
    assert administrators == {"platform-deployer", "security-break-glass"}


def test_the_cluster_request_fits_the_service(recording: Recording):
    given = recording.one("eks:index:Cluster").inputs
    keep = {
        "name": "name",
        "version": "version",
        "upgradePolicy": "upgradePolicy",
        "bootstrapSelfManagedAddons": "bootstrapSelfManagedAddons",
        "deletionProtection": "deletionProtection",
        "tags": verbatim("tags"),
        "authenticationMode": lambda mode: (
            "accessConfig",
            {"authenticationMode": mode, "bootstrapClusterCreatorAdminPermissions": False},
        ),
        "encryptionConfigKeyArn": lambda arn: ("encryptionConfig", [{"resources": ["secrets"], "provider": {"keyArn": arn}}]),
        "enabledClusterLogTypes": lambda types: ("logging", {"clusterLogging": [{"types": types, "enabled": True}]}),
        "kubernetesServiceIpAddressRange": lambda cidr: (
            "kubernetesNetworkConfig",
            {"serviceIpv4Cidr": cidr, "ipFamily": given["ipFamily"]},
        ),
        "subnetIds": lambda ids: (
            "resourcesVpcConfig",
            {"subnetIds": ids, "endpointPublicAccess": given["endpointPublicAccess"], "endpointPrivateAccess": True},
        ),
        "serviceRole": lambda _: ("roleArn", "arn:aws:iam::111122223333:role/x"),
    }
    names = {key: keep.get(key) for key in given}
    assert violations("eks", "CreateCluster", request(given, names)) == []


def test_the_creator_does_not_stay_an_administrator():
    asked = pulumi.ResourceOptions(
        ignore_changes=["accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons"]
    )
    props = {
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True},
        "name": "bank",
    }
    result = corrected(protect=True)(
        pulumi.ResourceTransformArgs(custom=True, type_="aws:eks/cluster:Cluster", name="c", props=props, opts=asked)
    )
    assert isinstance(result, pulumi.ResourceTransformResult)
    assert result.props == {
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        "name": "bank",
    }
    assert result.opts.ignore_changes == ["bootstrapSelfManagedAddons"]
    assert result.opts.protect is True


def test_the_correction_touches_the_cluster_alone():
    other = pulumi.ResourceTransformArgs(
        custom=True, type_="aws:eks/accessEntry:AccessEntry", name="e", props={}, opts=pulumi.ResourceOptions()
    )
    assert corrected(protect=True)(other) is None


def test_logs_and_rules_stand_before_the_cluster(recording: Recording):
    cluster = recording.one("eks:index:Cluster")
    logs = recording.one("aws:cloudwatch/logGroup:LogGroup", "eu-west-1-cluster-logs")
    rules = recording.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    rules += recording.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    assert logs.inputs["name"] == f"/aws/eks/{cluster.inputs['name']}/cluster"
    assert logs.inputs["kmsKeyId"] == KEY
    assert {logs.urn, *(rule.urn for rule in rules)} <= cluster.dependencies


def test_nothing_from_the_world_comes_in_and_only_https_goes_out(recording: Recording):
    for rule in recording.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"):
        assert rule.inputs.get("referencedSecurityGroupId"), rule.name
        assert not {"cidrIpv4", "cidrIpv6"} & rule.inputs.keys(), rule.name
    world = [
        rule.inputs
        for rule in recording.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
        if "referencedSecurityGroupId" not in rule.inputs
    ]
    assert [(rule["ipProtocol"], rule["fromPort"], rule["toPort"]) for rule in world] == [("tcp", 443, 443)]
    for group in recording.of("aws:ec2/securityGroup:SecurityGroup"):
        assert not {"ingress", "egress"} & group.inputs.keys()


def test_what_the_control_plane_may_call_the_nodes_let_in(recording: Recording):
    def ports(type_: str, name: str) -> set[int]:
        return {rule.inputs["fromPort"] for rule in recording.of(type_) if name in rule.name}

    out = ports("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "control-plane-to-nodes")
    into = ports("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "nodes-from-control-plane")
    assert out == into
    assert {443, 10250, 8443, 9443, 15017} <= out


def test_rules_fit_the_service(recording: Recording):
    for direction in ("Ingress", "Egress"):
        type_ = f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule"
        for rule in recording.of(type_):
            given = {key: value for key, value in rule.inputs.items() if key not in {"securityGroupId", "tags"}}
            target = given.pop("referencedSecurityGroupId", None)
            cidr = given.pop("cidrIpv4", None)
            description = given.pop("description")
            permission = request(given, capital=True)
            permission |= {"UserIdGroupPairs": [{"GroupId": target, "Description": description}]} if target else {}
            permission |= {"IpRanges": [{"CidrIp": cidr, "Description": description}]} if cidr else {}
            params = {"GroupId": rule.inputs["securityGroupId"], "IpPermissions": [permission]}
            assert violations("ec2", f"AuthorizeSecurityGroup{direction}", params) == []
            # the API's prose: up to 255 of these characters
            assert re.fullmatch(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}", description), description


def test_no_kubeconfig_carries_a_credential(recording: Recording):
    config = json.loads(recording.one("pulumi:providers:kubernetes").inputs["kubeconfig"])
    user = config["users"][0]["user"]
    assert set(user) == {"exec"}
    assert user["exec"]["args"][user["exec"]["args"].index("--region") + 1] == REGION
    assert user["exec"]["args"][-1].endswith("role/platform-deployer")
    assert config["clusters"][0]["cluster"] == ENDPOINT


def test_the_kubernetes_provider_is_replaced_with_the_cluster_only(recording: Recording):
    provider = recording.one("pulumi:providers:kubernetes")
    assert provider.inputs["clusterIdentifier"] == f"arn:aws:eks:{REGION}:111122223333:cluster/{CLUSTER}"
    assert provider.inputs["enableServerSideApply"] == "true"
    assert recording.one("eks:index:Cluster").urn in provider.dependencies


@pytest.mark.parametrize("operating_system", ["bottlerocket", "al2023"])
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_launch_templates_fit_the_service(stack: str, operating_system: str):
    for template in recorded(stack, operating_system).of("aws:ec2/launchTemplate:LaunchTemplate"):
        given = template.inputs

        def volume(device: dict[str, Any]) -> dict[str, Any]:
            ebs = request(device["ebs"], capital=True)
            flags = {key: ebs[key] == "true" for key in ("Encrypted", "DeleteOnTermination")}
            return {"DeviceName": device["deviceName"], "Ebs": {**ebs, **flags}}

        def interface(card: dict[str, Any]) -> dict[str, Any]:
            renamed = request(card, {"securityGroups": verbatim("Groups")}, capital=True)
            flags = {key: renamed[key] == "true" for key in ("AssociatePublicIpAddress", "DeleteOnTermination")}
            return {**renamed, **flags}

        data = request(
            given,
            {
                "description": None,
                "updateDefaultVersion": None,
                "tags": None,
                "blockDeviceMappings": lambda devices: ("BlockDeviceMappings", [volume(device) for device in devices]),
                "networkInterfaces": lambda cards: ("NetworkInterfaces", [interface(card) for card in cards]),
                "tagSpecifications.tags": tag_list(),
            },
            capital=True,
        )
        params = {"LaunchTemplateName": template.name, "LaunchTemplateData": data}
        assert violations("ec2", "CreateLaunchTemplate", params) == []
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert all(device["Ebs"]["Encrypted"] and device["Ebs"]["KmsKeyId"] == KEY for device in data["BlockDeviceMappings"])
        assert all(card["AssociatePublicIpAddress"] is False for card in data["NetworkInterfaces"])
        assert "KeyName" not in data
        assert "ImageId" not in data


def test_node_groups_fit_the_service(recording: Recording):
    for group in recording.of("aws:eks/nodeGroup:NodeGroup"):
        names = {"nodeRoleArn": "nodeRole", "subnetIds": "subnets", "labels": verbatim("labels"), "tags": verbatim("tags")}
        params = {**request(group.inputs, names), "nodegroupName": group.name}
        assert violations("eks", "CreateNodegroup", params) == []
        assert "remoteAccess" not in group.inputs


def test_every_node_waits_for_cilium_and_system_nodes_refuse_tenants(recording: Recording):
    for group in recording.of("aws:eks/nodeGroup:NodeGroup"):
        taints = {taint["key"]: taint["effect"] for taint in group.inputs["taints"]}
        assert taints["node.cilium.io/agent-not-ready"] == "NO_EXECUTE"
        assert ("CriticalAddonsOnly" in taints) == (group.inputs["labels"]["zerotrust.role"] == "system")
        assert recording.one("aws:cloudwatch/logGroup:LogGroup", "cni").urn in group.dependencies
        assert recording.one("eks:index:Cluster").urn in group.dependencies


def test_graviton_groups_get_arm_images(recording: Recording):
    images = {group.inputs["amiType"] for group in recording.of("aws:eks/nodeGroup:NodeGroup")}
    assert images == {"BOTTLEROCKET_ARM_64"}


def test_user_data_is_what_the_operating_system_reads():
    for template in recorded("dev").of("aws:ec2/launchTemplate:LaunchTemplate"):
        told = tomllib.loads(base64.b64decode(template.inputs["userData"]).decode())["settings"]
        assert told["host-containers"] == {"admin": {"enabled": False}, "control": {"enabled": False}}
        assert told["kernel"]["lockdown"] == "integrity"


def test_the_node_role_joins_and_pulls_and_nothing_else(recording: Recording):
    attached = {
        attachment.inputs["policyArn"].rsplit("/", 1)[1]
        for attachment in recording.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if attachment.name.startswith("eu-west-1-nodes-")
    }
    assert attached == {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}


def test_add_ons_are_pinned_and_fit_the_service(recording: Recording):
    made = recording.of("aws:eks/addon:Addon")
    assert {addon.inputs["addonName"]: addon.inputs["addonVersion"] for addon in made} == dict(VERSIONS)
    assert not {"vpc-cni", "kube-proxy"} & {addon.inputs["addonName"] for addon in made}
    for addon in made:
        names = {"resolveConflictsOnCreate": "resolveConflicts", "resolveConflictsOnUpdate": None, "tags": verbatim("tags")}
        assert violations("eks", "CreateAddon", request(addon.inputs, names)) == []
        names |= {"resolveConflictsOnCreate": None, "resolveConflictsOnUpdate": "resolveConflicts", "tags": None}
        assert violations("eks", "UpdateAddon", request(addon.inputs, names)) == []


def test_dns_and_volumes_wait_for_nodes_and_the_agent_does_not(recording: Recording):
    groups = {group.urn for group in recording.of("aws:eks/nodeGroup:NodeGroup")}
    for addon in recording.of("aws:eks/addon:Addon"):
        waits = bool(groups & addon.dependencies)
        assert waits == (addon.inputs["addonName"] != "eks-pod-identity-agent"), addon.name


def test_a_pod_identity_serves_one_service_account_of_one_cluster(recording: Recording):
    associations = recording.of("aws:eks/podIdentityAssociation:PodIdentityAssociation")
    assert len({association.inputs["roleArn"] for association in associations}) == len(associations) == 2
    roles = {f"{role.name}": role for role in recording.of("aws:iam/role:Role")}
    for association in associations:
        role = roles[association.name.removesuffix("-association") + "-role"]
        (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
        assert set(statement["Action"]) == {"sts:AssumeRole", "sts:TagSession"}
        condition = statement["Condition"]
        assert condition["ArnEquals"]["aws:SourceArn"] == f"arn:aws:eks:{REGION}:111122223333:cluster/{CLUSTER}"
        assert condition["StringEquals"] == {
            "aws:SourceAccount": "111122223333",
            "aws:RequestTag/eks-cluster-name": CLUSTER,
            "aws:RequestTag/kubernetes-namespace": association.inputs["namespace"],
            "aws:RequestTag/kubernetes-service-account": association.inputs["serviceAccount"],
        }
        assert violations("eks", "CreatePodIdentityAssociation", request(association.inputs, {"tags": verbatim("tags")})) == []


def test_roles_have_the_boundary_short_sessions_and_fit_the_service(recording: Recording):
    roles = recording.of("aws:iam/role:Role")
    assert len({role.inputs["name"] for role in roles}) == len(roles)
    for role in roles:
        names = {"assumeRolePolicy": "AssumeRolePolicyDocument", "name": "RoleName", "tags": tag_list()}
        assert violations("iam", "CreateRole", request(role.inputs, names, capital=True)) == []
        assert role.inputs["maxSessionDuration"] == 3600
        assert role.inputs["permissionsBoundary"].endswith("boundary")


def test_nothing_may_be_done_to_everything(recording: Recording):
    for statement in documents(recording):
        if statement["Effect"] == "Deny":
            continue
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        assert not [action for action in actions if action == "*" or action.endswith(":*")]
        if statement.get("Resource") == "*":
            assert set(actions) <= {*karpenter_policy.READS, "pricing:GetProducts"}


def test_karpenter_changes_only_what_carries_the_clusters_tag(recording: Recording):
    policy = recording.one("aws:iam/rolePolicy:RolePolicy", "eu-west-1-karpenter-controller-policy-controller")
    owned, asked = (f"aws:{kind}Tag/kubernetes.io/cluster/{CLUSTER}" for kind in ("Resource", "Request"))
    for statement in json.loads(policy.inputs["policy"])["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if {"ec2:TerminateInstances", "ec2:DeleteLaunchTemplate", "ec2:CreateTags", "ec2:CreateLaunchTemplate"} & set(actions):
            assert {owned, asked} & statement["Condition"]["StringEquals"].keys(), statement["Sid"]
    assert len(policy.inputs["policy"]) < 10240  # the quota of a role's inline policies


def test_karpenters_queue_hears_its_own_rules_by_tls_only(recording: Recording):
    queue = recording.one("aws:sqs/queue:Queue")
    assert queue.inputs["kmsMasterKeyId"] == KEY
    rules = recording.of("aws:cloudwatch/eventRule:EventRule")
    assert {rule.name.removeprefix("eu-west-1-karpenter-") for rule in rules} == set(EVENTS)
    allow, deny = json.loads(recording.one("aws:sqs/queuePolicy:QueuePolicy").inputs["policy"])["Statement"]
    assert len(allow["Condition"]["ArnEquals"]["aws:SourceArn"]) == len(EVENTS)
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    for rule in rules:
        names = {"name": "Name", "tags": tag_list()}
        assert violations("events", "PutRule", request(rule.inputs, names, capital=True)) == []


def test_karpenters_nodes_join_by_an_entry_of_their_own(recording: Recording):
    entry = recording.one("aws:eks/accessEntry:AccessEntry")
    assert entry.inputs["type"] == "EC2_LINUX"
    assert violations("eks", "CreateAccessEntry", request(entry.inputs, {"tags": verbatim("tags")})) == []


def test_every_resource_has_its_providers_and_its_tags(recording: Recording):
    for resource in recording.resources:
        if resource.type.startswith("aws:") and resource.custom:
            assert resource.provider.endswith("::eu-west-1"), resource.urn
        if "tags" in resource.inputs and resource.name != "cni":
            assert resource.inputs["tags"]["owner"] == "platform", resource.urn
    assert recording.one("eks:index:Cluster").providers.keys() >= {"aws"}
