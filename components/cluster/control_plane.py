"""The EKS control plane of one region, by pulumi-eks (decision 0002).

Guarantees: private API endpoint, customer key for secrets, all control-plane logs to an encrypted group that exists first,
access entries only and no hidden administrator, standard support only, deletion protection (controls EKS-01 to EKS-05, EKS-07).
Relies on: an `aws` and an `eks` provider in the options (`ResourceOptions(providers=[aws_provider, eks_provider])`), a
deployer role that both runs the program and has an admin access entry, and a runner that reaches the private endpoint.

The component creates no CNI, no kube-proxy, no CoreDNS and no nodes: Cilium comes first, then nodes, then add-ons.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as kubernetes

from components.base import Component
from components.cluster.access import access_entries, kubeconfig
from components.cluster.firewall import Firewall, FirewallArgs
from components.context import RegionContext
from components.settings.cluster import ClusterSettings

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
CLUSTER_POLICY = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
CLUSTER_TYPE = "aws:eks/cluster:Cluster"
CREATOR_ADMIN = "accessConfig.bootstrapClusterCreatorAdminPermissions"
LONGEST_SESSION_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class ControlPlaneArgs:
    """One cluster. Subnets are the control plane's own (intra tier, one per zone): its interfaces have no route out."""

    context: RegionContext
    settings: ClusterSettings
    service_cidr: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Mapping[str, pulumi.Input[str]]
    """Intra subnets by zone letter."""
    secrets_key_arn: pulumi.Input[str]
    """KMS key of the Kubernetes secrets; once set it cannot be removed."""
    logs_key_arn: pulumi.Input[str]
    """KMS key of the log group; its policy must name the region's CloudWatch Logs service."""
    log_retention_days: int
    deployer_role: str
    """ARN of the role the Kubernetes provider acts as."""
    protect: bool
    api_clients: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Security groups inside the VPC that call the API, by name."""


def cluster_name(context: RegionContext) -> str:
    """The cluster's physical name, known before it exists: log group, ARN and tags are built from it."""
    return context.physical(context.region, limit=100)


def cluster_role_name(context: RegionContext) -> str:
    """The control plane role's physical name: the secrets key names the role before it exists."""
    return context.physical(context.region, "control-plane")


def trust_document(account: str) -> dict[str, Any]:
    """Trust of the cluster role. EKS must assume it before the cluster has an ARN, hence only the account condition."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "eks.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ],
    }


def corrected(protect: bool) -> pulumi.ResourceTransform:  # noqa: FBT001 - the only argument
    """What pulumi-eks cannot be told, as a transform the engine applies to the component's own `aws.eks.Cluster`.

    The component forces the creating principal to stay an administrator as soon as it is given an authentication mode, and
    ignores later changes of that property. Both are undone: the property is false from creation, and a later change is not
    hidden (it replaces the cluster, which `protect` and deletion protection refuse).
    """

    def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        if args.type_ != CLUSTER_TYPE:
            return None
        given: Any = args.props.get("accessConfig")
        access = {**(given or {}), "bootstrapClusterCreatorAdminPermissions": False}
        opts = copy.copy(args.opts)
        opts.ignore_changes = [path for path in args.opts.ignore_changes or [] if path != CREATOR_ADMIN]
        opts.protect = protect
        return pulumi.ResourceTransformResult(props={**args.props, "accessConfig": access}, opts=opts)

    return transform


class ControlPlane(Component, token="zerotrust:cluster:ControlPlane"):
    """One EKS cluster without nodes. What is installed into it takes `kubernetes_provider`."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    """Base64, as EKS gives it."""
    oidc_provider_arn: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]
    """https URL, as it stands in the tokens' iss claim."""
    security_group_id: pulumi.Output[str]
    node_security_group_id: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    kubernetes_provider: kubernetes.Provider

    def __init__(self, name: str, args: ControlPlaneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context, physical = args.context, cluster_name(args.context)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{physical}/cluster",
            kms_key_id=args.logs_key_arn,
            retention_in_days=args.log_retention_days,
            deletion_protection_enabled=True,
            tags=context.tagged(physical, purpose="audit"),
            opts=self.child(protect=args.protect),
        )
        role, policy = self._role(name, context)
        firewall = Firewall(
            f"{name}-firewall",
            FirewallArgs(context=context, cluster_name=physical, vpc_id=args.vpc_id, api_clients=args.api_clients),
            opts=self.child(),
        )
        cluster = self._cluster(name, args, role, firewall, [logs, policy, *firewall.ready])
        # The URN is known in a preview and carries the dependency on the component; the engine extends it to its children.
        self.name = cluster.urn.apply(lambda _: physical)
        self.arn = cluster.urn.apply(lambda _: context.arn("eks", f"cluster/{physical}"))
        described = cluster.kubeconfig.apply(_cluster_entry)
        self.endpoint = described.apply(lambda entry: str(entry["server"]))
        self.certificate_authority = described.apply(lambda entry: str(entry["certificate-authority-data"]))
        self.oidc_issuer = cluster.oidc_provider_url
        oidc = aws.iam.OpenIdConnectProvider(
            f"{name}-oidc",
            url=self.oidc_issuer,
            client_id_lists=["sts.amazonaws.com"],
            tags=context.tagged(physical),
            opts=self.child(),
        )
        self.oidc_provider_arn = oidc.arn
        self.security_group_id = firewall.control_plane_id
        self.node_security_group_id = firewall.nodes_id
        self.kubeconfig = pulumi.Output.all(endpoint=self.endpoint, authority=self.certificate_authority).apply(
            lambda known: kubeconfig(physical, context.region, known["endpoint"], known["authority"], args.deployer_role)
        )
        self.kubernetes_provider = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            # Replaced only with the cluster itself: a new CA or endpoint must not replace everything installed.
            cluster_identifier=context.arn("eks", f"cluster/{physical}"),
            enable_server_side_apply=True,
            # The access entry of the deployer is one of the component's children and has to outlive what it installs.
            opts=self.child(depends_on=[cluster]),
        )
        self.register_outputs(
            {
                "name": self.name,
                "arn": self.arn,
                "endpoint": self.endpoint,
                "certificate_authority": self.certificate_authority,
                "oidc_provider_arn": self.oidc_provider_arn,
                "oidc_issuer": self.oidc_issuer,
                "security_group_id": self.security_group_id,
                "node_security_group_id": self.node_security_group_id,
                "kubeconfig": self.kubeconfig,
            }
        )

    def _role(self, name: str, context: RegionContext) -> tuple[aws.iam.Role, pulumi.Resource]:
        physical = cluster_role_name(context)
        role = aws.iam.Role(
            f"{name}-role",
            name=physical,
            description=f"EKS control plane in {context.region}",
            assume_role_policy=json.dumps(trust_document(context.account)),
            permissions_boundary=context.permissions_boundary,
            max_session_duration=LONGEST_SESSION_SECONDS,
            tags=context.tagged(physical),
            opts=self.child(),
        )
        policy = aws.iam.RolePolicyAttachment(
            f"{name}-role-cluster", role=role.name, policy_arn=CLUSTER_POLICY, opts=self.child()
        )
        return role, policy

    def _cluster(
        self, name: str, args: ControlPlaneArgs, role: aws.iam.Role, firewall: Firewall, first: list[pulumi.Resource]
    ) -> Any:
        context, settings = args.context, args.settings
        exception = settings.bootstrap_access
        return eks.Cluster(
            f"{name}-eks",
            name=cluster_name(context),
            version=settings.kubernetes_version,
            upgrade_policy={"support_type": "STANDARD"},
            vpc_id=args.vpc_id,
            subnet_ids=[subnet for _, subnet in sorted(args.subnet_ids.items())],
            endpoint_private_access=True,
            endpoint_public_access=exception is not None,
            public_access_cidrs=list(exception.cidrs) if exception else None,
            service_role=role,
            cluster_security_group=firewall.control_plane,
            # Also keeps the component's node group away, which opens every port to the world.
            skip_default_security_groups=True,
            skip_default_node_group=True,
            create_instance_role=False,
            # Inverted in pulumi-eks: True means that its VPC CNI add-on is not created.
            use_default_vpc_cni=True,
            bootstrap_self_managed_addons=False,
            kube_proxy_addon_options={"enabled": False},
            coredns_addon_options={"enabled": False},
            # Would open a connection to the issuer from wherever the preview runs; IAM needs no thumbprint any more.
            create_oidc_provider=False,
            kubernetes_service_ip_address_range=args.service_cidr,
            ip_family="ipv4",
            encryption_config_key_arn=args.secrets_key_arn,
            enabled_cluster_log_types=list(LOG_TYPES),
            authentication_mode=eks.AuthenticationMode.API,
            access_entries=access_entries(settings.access, context.tags),
            # Asked for by the component whenever a provider is explicit.
            provider_credential_opts={"role_arn": args.deployer_role},
            # In every environment (EKS-03); to take a cluster down, turn it off by hand first.
            deletion_protection=True,
            tags=context.tagged(cluster_name(context)),
            # Not protected as a whole: a principal's access entry has to be removable.
            opts=self.child(depends_on=first, transforms=[corrected(args.protect)]),
        )


def _cluster_entry(config: Any) -> dict[str, Any]:
    """The only cluster of the component's kubeconfig, which is what its endpoint and CA come with as plain values."""
    entry: dict[str, Any] = config["clusters"][0]["cluster"]
    return entry
