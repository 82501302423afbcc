"""Stand-in of `eks:index:Cluster`: its children by name and type, and its outputs."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from sandbox.standin.eks_inside import aws_auth, storage_classes
from sandbox.standin.eks_parts import ServiceRole, access_entries, kubeconfig, node_security_group

_NOT_STOOD_IN = ("fargate", "autoMode", "creationRoleProvider")
_ENTRY_MODES = ("API", "API_AND_CONFIG_MAP")
_NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly")


def _problems(args: Mapping[str, Any]) -> list[str]:
    """What the real component refuses, and what this one cannot stand in for."""
    found = [f"{key}: no stand-in for it; use the real plugin" for key in _NOT_STOOD_IN if args.get(key)]
    if args.get("instanceRole") and args.get("instanceRoles"):
        found.append("instanceRole: mutually exclusive with instanceRoles")
    if args.get("publicAccessCidrs") and args.get("endpointPublicAccess") is False:
        found.append("publicAccessCidrs: can only be set when endpointPublicAccess is true")
    if not args.get("skipDefaultNodeGroup"):
        found.append("skipDefaultNodeGroup: no stand-in for the default node group; set it to true")
    if not args.get("vpcId"):
        found.append("vpcId: the account's default VPC is not known to a stand-in; name one")
    mode = args.get("authenticationMode")
    if args.get("accessEntries") and mode not in _ENTRY_MODES:
        found.append("accessEntries: need authenticationMode API or API_AND_CONFIG_MAP")
    if mode == "API" and (args.get("roleMappings") or args.get("userMappings")):
        found.append("roleMappings, userMappings: not possible with authenticationMode API")
    return found


def _merged(name: str, *tags: Any) -> pulumi.Output[dict[str, str]]:
    return pulumi.Output.all(*tags).apply(
        lambda known: {"Name": name} | {key: value for part in known for key, value in (part or {}).items()}
    )


class Cluster(pulumi.ComponentResource):
    """`eks:index:Cluster` with the children its arguments ask for; `state` is what the caller gets back."""

    state: dict[str, Any]

    def __init__(self, name: str, args: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("eks:index:Cluster", name, {}, opts)
        problems = _problems(args)
        if problems:
            raise pulumi.InputPropertiesError(
                f"eks:index:Cluster {name!r}: " + "; ".join(problems),
                [{"property_path": text.split(":", 1)[0], "reason": text} for text in problems],
            )
        self._name, self._args = name, args
        self._partition = aws.get_partition_output(opts=pulumi.InvokeOptions(parent=self)).partition
        role = self._service_role()
        group = self._security_group()
        cluster = self._cluster(role, group)
        self._cluster_resource = cluster
        self._addon("kube-proxy", args.get("kubeProxyAddonOptions"), default=True)
        config = kubeconfig(cluster, args.get("providerCredentialOpts"))
        provider = k8s.Provider(
            f"{name}-eks-k8s",
            kubeconfig=config.apply(json.dumps),
            enable_config_map_mutable=args.get("enableConfigMapMutable"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        instance_roles = self._instance_roles()
        self._access(instance_roles, provider)
        storage_classes(self._name, args.get("storageClasses") or {}, self, provider)
        self._vpc_cni(provider)
        coredns = args.get("corednsAddonOptions") or {}
        if coredns.get("enabled") is True or coredns.get("configurationValues"):
            self._addon("coredns", coredns, default=True)
        oidc = self._oidc_provider()
        nodes, rule = self._nodes(group)
        self.state = self._state(
            role, group, nodes=(nodes, rule), oidc=oidc, config=config, provider=provider, roles=instance_roles
        )
        self.register_outputs(self.state)

    def _child(self, **options: Any) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, **options)

    def _service_role(self) -> ServiceRole | None:
        if self._args.get("serviceRole") is not None:
            return None
        return ServiceRole(
            f"{self._name}-eksRole",
            service="eks.amazonaws.com",
            description="Allows EKS to manage clusters on your behalf.",
            policies=("AmazonEKSClusterPolicy",),
            partition=self._partition,
            actions=("sts:AssumeRole", "sts:TagSession"),
            tags=self._args.get("tags"),
            opts=self._child(),
        )

    def _security_group(self) -> Any:
        args, name = self._args, f"{self._name}-eksClusterSecurityGroup"
        if args.get("clusterSecurityGroup") is not None or args.get("skipDefaultSecurityGroups"):
            return args.get("clusterSecurityGroup")
        group = aws.ec2.SecurityGroup(
            name,
            vpc_id=args["vpcId"],
            revoke_rules_on_delete=True,
            tags=_merged(name, args.get("clusterSecurityGroupTags"), args.get("tags")),
            opts=self._child(),
        )
        aws.ec2.SecurityGroupRule(
            f"{self._name}-eksClusterInternetEgressRule",
            description="Allow internet access.",
            type="egress",
            from_port=0,
            to_port=0,
            protocol="-1",
            cidr_blocks=["0.0.0.0/0"],
            security_group_id=group.id,
            opts=self._child(),
        )
        return group

    def _subnets(self) -> Any:
        args = self._args
        if args.get("subnetIds") is not None:
            return args["subnetIds"]
        both = pulumi.Output.all(args.get("publicSubnetIds") or [], args.get("privateSubnetIds") or [])
        return both.apply(lambda known: [*known[0], *known[1]])

    def _cluster(self, role: ServiceRole | None, group: Any) -> aws.eks.Cluster:
        args = self._args
        network: Any = None
        if args.get("kubernetesServiceIpAddressRange") or args.get("ipFamily"):
            network = {
                "service_ipv4_cidr": args.get("kubernetesServiceIpAddressRange"),
                "ip_family": args.get("ipFamily") or "ipv4",
            }
        access: Any = None
        if args.get("authenticationMode"):
            access = {
                "authentication_mode": args["authenticationMode"],
                "bootstrap_cluster_creator_admin_permissions": True,
            }
        encryption: Any = None
        if args.get("encryptionConfigKeyArn"):
            encryption = {"provider": {"key_arn": args["encryptionConfigKeyArn"]}, "resources": ["secrets"]}
        addons = args.get("bootstrapSelfManagedAddons")
        vpc: Any = {
            "security_group_ids": [group.id] if group is not None else None,
            "subnet_ids": self._subnets(),
            "endpoint_private_access": args.get("endpointPrivateAccess"),
            "endpoint_public_access": args.get("endpointPublicAccess"),
            "public_access_cidrs": args.get("publicAccessCidrs"),
        }
        name = f"{self._name}-eksCluster"
        return aws.eks.Cluster(
            name,
            name=args.get("name"),
            role_arn=role.role.arn if role else args["serviceRole"].arn,
            kubernetes_network_config=network,
            bootstrap_self_managed_addons=True if addons is None else addons,
            vpc_config=vpc,
            version=args.get("version"),
            enabled_cluster_log_types=args.get("enabledClusterLogTypes"),
            tags=_merged(name, args.get("clusterTags"), args.get("tags")),
            encryption_config=encryption,
            access_config=access,
            upgrade_policy=args.get("upgradePolicy"),
            deletion_protection=args.get("deletionProtection"),
            opts=self._child(
                ignore_changes=[
                    "accessConfig.bootstrapClusterCreatorAdminPermissions",
                    "bootstrapSelfManagedAddons",
                ],
                depends_on=[role] if role else None,
            ),
        )

    def _addon(self, addon: str, options: Any, *, default: bool, parent: pulumi.Resource | None = None) -> None:
        options = options or {}
        enabled = options.get("enabled")
        if not (default if enabled is None else enabled):
            return
        place = pulumi.ResourceOptions(parent=parent or self)
        version = options.get("version") or options.get("addonVersion")
        if version is None:
            version = aws.eks.get_addon_version_output(
                addon_name=addon,
                kubernetes_version=self._cluster_resource.version,
                most_recent=True,
                opts=pulumi.InvokeOptions(parent=parent or self),
            ).version
        values = options.get("configurationValues")
        aws.eks.Addon(
            f"{self._name}-{addon}",
            cluster_name=self._cluster_resource.name,
            addon_name=addon,
            addon_version=version,
            preserve=True,
            tags=self._args.get("tags"),
            resolve_conflicts_on_create=options.get("resolveConflictsOnCreate") or "OVERWRITE",
            resolve_conflicts_on_update=options.get("resolveConflictsOnUpdate") or "OVERWRITE",
            configuration_values=None if values is None else pulumi.Output.json_dumps(values),
            service_account_role_arn=options.get("serviceAccountRoleArn"),
            opts=place,
        )

    def _vpc_cni(self, provider: k8s.Provider) -> None:
        # The option is inverted in the real component too: true means that no add-on is created.
        if self._args.get("useDefaultVpcCni"):
            return
        component = pulumi.ComponentResource(
            "eks:index:VpcCniAddon", f"{self._name}-vpc-cni", {}, self._child(providers={"kubernetes": provider})
        )
        self._addon("vpc-cni", self._args.get("vpcCniOptions"), default=True, parent=component)
        component.register_outputs({})

    def _instance_roles(self) -> list[Any]:
        args = self._args
        if args.get("instanceRoles") is not None:
            return list(args["instanceRoles"])
        if args.get("instanceRole") is not None:
            return [args["instanceRole"]]
        if not args.get("createInstanceRole"):
            return []
        made = ServiceRole(
            f"{self._name}-instanceRole",
            service="ec2.amazonaws.com",
            policies=_NODE_POLICIES,
            partition=self._partition,
            tags=args.get("tags"),
            opts=self._child(),
        )
        aws.iam.InstanceProfile(f"{self._name}-instanceProfile", role=made.role.name, opts=self._child())
        return [made.role]

    def _access(self, roles: list[Any], provider: k8s.Provider) -> None:
        args, mode = self._args, self._args.get("authenticationMode")
        if mode != "API":
            aws_auth(self._name, roles, args, self._child(provider=provider))
        if mode not in _ENTRY_MODES:
            return
        if args.get("createInstanceRole") or args.get("instanceRole") is not None:
            default = {"defaultNodeGroupInstanceRole": {"principalArn": roles[0].arn, "type": "EC2_LINUX"}}
            access_entries(self._name, self._cluster_resource, default, self)
        access_entries(self._name, self._cluster_resource, args.get("accessEntries") or {}, self)

    def _issuer(self) -> pulumi.Output[str]:
        def first(identities: Any) -> str:
            return identities[0].oidcs[0].issuer or ""

        return self._cluster_resource.identities.apply(first)

    def _oidc_provider(self) -> aws.iam.OpenIdConnectProvider | None:
        if not self._args.get("createOidcProvider"):
            return None
        return aws.iam.OpenIdConnectProvider(
            f"{self._name}-oidcProvider",
            client_id_lists=["sts.amazonaws.com"],
            url=self._issuer(),
            # The real component reads the thumbprint from the issuer's TLS certificate.
            thumbprint_lists=["0" * 40],
            opts=self._child(),
        )

    def _nodes(self, group: Any) -> tuple[Any, Any]:
        if self._args.get("skipDefaultSecurityGroups"):
            return None, None
        return node_security_group(
            self._name,
            self,
            vpc_id=self._args["vpcId"],
            cluster_name=self._cluster_resource.name,
            cluster_group=group.id,
            tags=pulumi.Output.all(self._args.get("nodeSecurityGroupTags"), self._args.get("tags")).apply(
                lambda known: {**(known[0] or {}), **(known[1] or {})}
            ),
        )

    def _state(
        self,
        role: ServiceRole | None,
        group: Any,
        *,
        nodes: tuple[Any, Any],
        oidc: Any,
        config: pulumi.Output[Any],
        provider: k8s.Provider,
        roles: list[Any],
    ) -> dict[str, Any]:
        cluster = self._cluster_resource
        node_group, rule = nodes
        own = cluster.vpc_config.apply(lambda found: found.cluster_security_group_id or "")
        core = {
            "cluster": cluster,
            "clusterIamRole": role.role if role else self._args["serviceRole"],
            "endpoint": cluster.endpoint,
            "instanceRoles": roles,
            "nodeGroupOptions": {"nodeSecurityGroup": node_group, "clusterIngressRule": rule},
            "provider": provider,
            "subnetIds": self._subnets(),
            "vpcId": self._args["vpcId"],
            "clusterSecurityGroup": group,
            "kubeconfig": config,
            "oidcProvider": oidc,
            "tags": self._args.get("tags"),
        }
        return {
            "core": core,
            "eksCluster": cluster,
            "clusterSecurityGroup": group,
            "clusterSecurityGroupId": group.id if group is not None else own,
            "nodeSecurityGroup": node_group,
            "nodeSecurityGroupId": node_group.id if node_group is not None else own,
            "eksClusterIngressRule": rule,
            "clusterIngressRuleId": rule.security_group_rule_id if rule is not None else "",
            "instanceRoles": roles,
            "kubeconfig": config,
            "kubeconfigJson": config.apply(json.dumps),
            "defaultNodeGroupAsgName": "",
            "fargateProfileId": "",
            "fargateProfileStatus": "",
            "autoModeNodeRoleName": "",
            "oidcProviderArn": oidc.arn if oidc is not None else "",
            "oidcProviderUrl": self._issuer(),
            "oidcIssuer": self._issuer().apply(lambda url: url.replace("https://", "")),
        }
