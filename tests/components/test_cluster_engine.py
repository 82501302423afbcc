"""The cluster layer on the real engine, the providers stood in for: what only the engine can show.

That a transform reaches the cluster below the remote component, survives unknown inputs in a preview, keeps the
dependencies; that a second update has nothing to do; and in which order all of it is taken down.
"""

from pathlib import Path

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as kubernetes
import pytest

from components.cluster.addons import Addons, AddonsArgs, PodIdentityAgent, PodIdentityAgentArgs
from components.cluster.control_plane import ControlPlane, ControlPlaneArgs
from components.cluster.node_group import NodeGroup, NodeGroupArgs
from components.cluster.node_role import NodeRole, NodeRoleArgs
from components.context import RegionContext
from components.settings import load_file
from sandbox.lifecycle import lifecycle
from sandbox.session import Place

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"
CLUSTER = "cluster-eks-eksCluster"


def program() -> None:
    settings = load_file(ROOT / "Pulumi.prod.yaml").cluster
    context = RegionContext(organization="bank", environment="test", region=REGION, account="111122223333", tags={"owner": "x"})
    provider = aws.Provider(REGION, region=REGION)
    options = pulumi.ResourceOptions(providers=[provider, eks.Provider(REGION)])
    here = pulumi.ResourceOptions(provider=provider)
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=here)
    key = aws.kms.Key("key", opts=here)
    subnets: dict[str, pulumi.Input[str]] = {
        zone: aws.ec2.Subnet(zone, vpc_id=vpc.id, cidr_block=f"10.0.{place}.0/24", opts=here).id
        for place, zone in enumerate("abc")
    }
    plane = ControlPlane(
        "cluster",
        ControlPlaneArgs(
            context=context,
            settings=settings,
            service_cidr="172.20.0.0/20",
            vpc_id=vpc.id,
            subnet_ids=subnets,
            secrets_key_arn=key.arn,
            logs_key_arn=key.arn,
            log_retention_days=365,
            deployer_role="arn:aws:iam::111122223333:role/deployer",
            protect=False,
        ),
        opts=options,
    )
    installed = kubernetes.core.v1.Namespace("cilium", opts=pulumi.ResourceOptions(provider=plane.kubernetes_provider))
    role = NodeRole("nodes", NodeRoleArgs(context=context), opts=options)
    ready: list[pulumi.Resource] = []
    for group, group_settings in sorted(settings.node_groups.items()):
        made = NodeGroup(
            f"nodes-{group}",
            NodeGroupArgs(
                context=context,
                group=group,
                settings=group_settings,
                cluster_name=plane.name,
                kubernetes_version=settings.kubernetes_version,
                subnet_ids=subnets,
                security_group_id=plane.node_security_group_id,
                node_role_arn=role.arn,
                node_role=role.ready,
                data_key_arn=key.arn,
                cni=[installed],
            ),
            opts=options,
        )
        ready.extend(made.ready)
    agent = PodIdentityAgent("agent", PodIdentityAgentArgs(context=context, cluster_name=plane.name), opts=options)
    Addons(
        "addons",
        AddonsArgs(
            context=context,
            cluster_name=plane.name,
            cluster_arn=plane.arn,
            data_key_arn=key.arn,
            nodes=ready,
            agent=agent.ready,
        ),
        opts=options,
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: fixture\nruntime: python\n", encoding="utf-8")
    (project / "Pulumi.dev.yaml").write_text(
        "config:\n  pulumi:disable-default-providers: [aws, kubernetes, eks]\n", encoding="utf-8"
    )
    return Place.of("dev", project, tmp_path / "build")


def named(urn: str) -> str:
    return urn.rsplit("::", 1)[1]


def test_the_cluster_is_corrected_keeps_its_dependencies_and_goes_last(place: Place):
    with lifecycle("dev", program, place, lambda _: None) as stack:
        previewed = {named(urn): inputs for urn, inputs in stack.preview().inputs.items()}[CLUSTER]
        assert previewed["accessConfig"] == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
        assert previewed["vpcConfig"]["endpointPublicAccess"] is False
        assert previewed["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "172.20.0.0/20"

        stack.up()
        state = {named(resource["urn"]): resource for resource in stack.state()}
        cluster = state[CLUSTER]
        assert cluster["inputs"]["accessConfig"]["bootstrapClusterCreatorAdminPermissions"] is False
        assert cluster["inputs"]["bootstrapSelfManagedAddons"] is False
        assert cluster.get("ignoreChanges") == ["bootstrapSelfManagedAddons"]
        assert {"key", "cluster-role", "cluster-firewall-control-plane"} <= {named(urn) for urn in cluster["dependencies"]}
        below = {resource["type"] for resource in state.values() if "eks:index:Cluster$" in resource["urn"]}
        assert below == {
            "aws:eks/cluster:Cluster",
            "aws:eks/accessEntry:AccessEntry",
            "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
            "pulumi:providers:kubernetes",
        }

        assert stack.preview().changed == []

        deleted = [named(urn) for operation, urn in stack.destroy().steps if operation == "delete"]
        for first, then in (
            ("nodes-workload-group", "cilium"),
            ("cilium", "cluster-kubernetes"),
            ("cluster-kubernetes", "cluster-eks-deployer-admin"),
            ("nodes-workload-group", CLUSTER),
            (CLUSTER, "cluster-role-cluster"),
            (CLUSTER, "cluster-firewall-nodes-to-https"),
            (CLUSTER, "cluster-logs"),
            (CLUSTER, "key"),
        ):
            assert deleted.index(first) < deleted.index(then), (first, then)
