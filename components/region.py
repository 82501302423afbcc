"""One region of an environment: keys, evidence, network, cluster and edge, each given what it needs by name.

Every region of an environment is the same; what exists once (the trail, public records, peerings) is `components.platform`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
import pulumi_aws as aws

from components.account.trail import trail_arn
from components.audit.region_evidence import RegionEvidence, RegionEvidenceArgs
from components.base import Component
from components.cluster.addons import Addons, AddonsArgs, PodIdentityAgent, PodIdentityAgentArgs
from components.cluster.control_plane import ControlPlane, ControlPlaneArgs, cluster_name, cluster_role_name
from components.cluster.karpenter import Karpenter, KarpenterArgs
from components.cluster.node_group import NodeGroup, NodeGroupArgs
from components.cluster.node_role import NodeRole, NodeRoleArgs
from components.context import RegionContext
from components.edge.api_authorizer import ApiLogs
from components.edge.api_balancer import LoadBalancerLogs
from components.edge.api_gateway import Api, ApiArgs, ApiNames, ApiNetwork
from components.edge.api_routes import TokenRules
from components.edge.certificate import Certificate, CertificateArgs
from components.edge.load_balancer import EdgeLogs, EdgeNetwork, LoadBalancer, LoadBalancerArgs
from components.edge.load_balancer_rules import token_check
from components.edge.web_acl import WebAcl, WebAclArgs
from components.keys.key import Key, KeyArgs, Purpose
from components.keys.policy import KeyGrant
from components.keys.purposes import cluster_grants, data_grants, logs_grants
from components.network.addresses import endpoint_address
from components.network.endpoints import Endpoints, EndpointsArgs
from components.network.interconnect import TransitGateway, TransitGatewayArgs
from components.network.vpc import Vpc, VpcArgs
from components.settings import Settings


@dataclass(frozen=True, kw_only=True)
class RegionArgs:
    """Which region, and what of the home region it builds on."""

    settings: Settings
    context: RegionContext
    home: RegionContext
    shared_records: Sequence[pulumi.Resource] = ()
    """In every region but the home one: the certificate records that the home region declared."""
    protect: bool


class Region(Component, token="zerotrust:region:Region"):
    """One region. Its provider is given by the caller and reaches every child."""

    context: RegionContext
    evidence: RegionEvidence
    network: Vpc
    control_plane: ControlPlane
    transit_gateway: TransitGateway | None
    """With `network.interconnect: transit_gateway`."""
    certificate: Certificate
    load_balancer: LoadBalancer
    web_acl: WebAcl
    logs_key_arn: pulumi.Output[str]
    data_key_arn: pulumi.Output[str]
    cluster_name: pulumi.Output[str]
    load_balancer_dns_name: pulumi.Output[str]

    def __init__(self, name: str, args: RegionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        settings, context = args.settings, args.context
        self.context = context

        cluster_role = context.arn("iam", f"role/{cluster_role_name(context)}", regional=False)
        self.logs_key_arn = self._key(name, "logs", args, logs_grants(context))
        self.data_key_arn = self._key(name, "data", args, data_grants(context))
        cluster_key_arn = self._key(
            name,
            "cluster",
            args,
            cluster_grants(context, cluster_role=cluster_role, creator=settings.account.deployer_role),
        )

        self.evidence = RegionEvidence(
            f"{name}-evidence",
            RegionEvidenceArgs(
                context=context,
                settings=settings.audit,
                key_arn=self.logs_key_arn,
                trail_arn=trail_arn(args.home),
                custodians=(settings.account.security_contact_role,),
                protect=args.protect,
            ),
            opts=self.child(),
        )
        self.network = self._network(name, args)
        self.transit_gateway = self._transit_gateway(name, args)
        self.cluster_name = self._cluster(name, args, cluster_key_arn)
        self._edge(name, args)
        self.load_balancer_dns_name = self.load_balancer.dns_name
        self.register_outputs({"cluster_name": self.cluster_name, "load_balancer_dns_name": self.load_balancer_dns_name})

    def _key(self, name: str, purpose: Purpose, args: RegionArgs, grants: tuple[KeyGrant, ...]) -> pulumi.Output[str]:
        account = args.settings.account
        return Key(
            f"{name}-{purpose}-key",
            KeyArgs(
                context=args.context,
                settings=args.settings.keys,
                purpose=purpose,
                administrators=(account.deployer_role, account.security_contact_role),
                grants=grants,
                protect=args.protect,
            ),
            opts=self.child(),
        ).arn

    def _network(self, name: str, args: RegionArgs) -> Vpc:
        settings, context = args.settings, args.context
        network = Vpc(
            f"{name}-network",
            VpcArgs(
                context=context,
                region=settings.regions[context.region],
                settings=settings.network,
                logs_key_arn=self.logs_key_arn,
                own_domains=tuple(sorted({settings.edge.domain, str(urlsplit(settings.identity.issuer).hostname)})),
                protect=args.protect,
            ),
            opts=self.child(),
        )
        Endpoints(
            f"{name}-endpoints",
            EndpointsArgs(
                context=context,
                vpc_id=network.vpc_id,
                vpc_cidr=network.cidr,
                subnet_ids=self._tier(network, "intra"),
                route_table_ids=network.route_table_ids,
            ),
            opts=self.child(),
        )
        return network

    def _transit_gateway(self, name: str, args: RegionArgs) -> TransitGateway | None:
        if args.settings.network.interconnect != "transit_gateway":
            return None
        return TransitGateway(
            f"{name}-transit",
            TransitGatewayArgs(context=args.context, vpc_id=self.network.vpc_id, subnet_ids=self._tier(self.network, "intra")),
            opts=self.child(),
        )

    @staticmethod
    def _tier(network: Vpc, tier: str) -> Mapping[str, pulumi.Output[str]]:
        """The subnets of a tier by zone letter."""
        prefix = f"{tier}-"
        return {key.removeprefix(prefix): subnet for key, subnet in network.subnet_ids.items() if key.startswith(prefix)}

    def _cluster(self, name: str, args: RegionArgs, secrets_key_arn: pulumi.Output[str]) -> pulumi.Output[str]:
        settings, context = args.settings, args.context
        control_plane = ControlPlane(
            f"{name}-cluster",
            ControlPlaneArgs(
                context=context,
                settings=settings.cluster,
                service_cidr=settings.regions[context.region].service_cidr,
                vpc_id=self.network.vpc_id,
                subnet_ids=self._tier(self.network, "intra"),
                secrets_key_arn=secrets_key_arn,
                logs_key_arn=self.logs_key_arn,
                log_retention_days=settings.audit.log_retention_days,
                deployer_role=settings.account.deployer_role,
                protect=args.protect,
            ),
            opts=self.child(),
        )
        agent = PodIdentityAgent(
            f"{name}-agent", PodIdentityAgentArgs(context=context, cluster_name=control_plane.name), opts=self.child()
        )
        node_role = NodeRole(f"{name}-node-role", NodeRoleArgs(context=context), opts=self.child())
        groups = [
            NodeGroup(
                f"{name}-nodes-{group}",
                NodeGroupArgs(
                    context=context,
                    group=group,
                    settings=wanted,
                    cluster_name=control_plane.name,
                    kubernetes_version=settings.cluster.kubernetes_version,
                    subnet_ids=self._tier(self.network, "private"),
                    security_group_id=control_plane.node_security_group_id,
                    node_role_arn=node_role.arn,
                    node_role=node_role.ready,
                    data_key_arn=self.data_key_arn,
                ),
                opts=self.child(),
            )
            for group, wanted in sorted(settings.cluster.node_groups.items())
        ]
        Addons(
            f"{name}-addons",
            AddonsArgs(
                context=context,
                cluster_name=control_plane.name,
                cluster_arn=control_plane.arn,
                data_key_arn=self.data_key_arn,
                nodes=[resource for group in groups for resource in group.ready],
                agent=agent.ready,
            ),
            opts=self.child(),
        )
        if settings.cluster.karpenter.enabled:
            Karpenter(
                f"{name}-karpenter",
                KarpenterArgs(
                    context=context,
                    cluster=cluster_name(context),
                    cluster_name=control_plane.name,
                    cluster_arn=control_plane.arn,
                    queue_key_arn=self.data_key_arn,
                    data_key_arn=self.data_key_arn,
                ),
                opts=self.child(),
            )
        self.control_plane = control_plane
        return control_plane.name

    def _edge(self, name: str, args: RegionArgs) -> None:
        settings, context = args.settings, args.context
        edge, region = settings.edge, settings.regions[context.region]
        self.certificate = Certificate(
            f"{name}-certificate",
            CertificateArgs(
                context=context,
                domain=edge.domain,
                hosted_zone=edge.hosted_zone,
                owns_shared_records=context.region == args.home.region,
                shared_records=args.shared_records,
            ),
            opts=self.child(),
        )
        self.load_balancer = LoadBalancer(
            f"{name}-front",
            LoadBalancerArgs(
                context=context,
                network=EdgeNetwork(
                    vpc_id=self.network.vpc_id,
                    public_subnet_ids=self._tier(self.network, "public"),
                    endpoint_addresses={zone: endpoint_address(region.vpc_cidr, zone) for zone in sorted(region.zones)},
                ),
                logs=EdgeLogs(access_bucket=self.evidence.load_balancer_logs, connection_bucket=self.evidence.load_balancer_logs),
                domain=edge.domain,
                certificate_arn=self.certificate.arn,
                tls_policy=edge.tls_policy,
                tokens=token_check(settings.identity),
                health_path=edge.failover.health_path,
                protect=args.protect,
                ready=self.network.internet,
            ),
            opts=self.child(),
        )
        self.web_acl = WebAcl(
            f"{name}-web-acl",
            WebAclArgs(
                context=context,
                settings=edge.waf,
                health_path=edge.failover.health_path,
                load_balancer_arn=self.load_balancer.arn,
                log_destination_arn=self.evidence.web_acl_logs,
            ),
            opts=self.child(),
        )
        Api(
            f"{name}-api",
            ApiArgs(
                context=context,
                network=ApiNetwork(
                    vpc_id=self.network.vpc_id,
                    vpc_cidr=region.vpc_cidr,
                    private_subnet_ids=self._tier(self.network, "private"),
                    intra_subnet_ids=self._tier(self.network, "intra"),
                    alb_security_group_id=self.load_balancer.security_group_id,
                    node_security_group_id=self.control_plane.node_security_group_id,
                ),
                names=ApiNames(
                    domain=edge.domain,
                    health_path=edge.failover.health_path,
                    certificate_arn=self.certificate.arn,
                    internal_tls_policy=edge.tls_policy,
                ),
                routes=settings.access.routes,
                usage={tenant: wanted.usage for tenant, wanted in sorted(settings.tenants.items()) if wanted.usage},
                tokens=TokenRules(
                    issuer=settings.identity.issuer,
                    audience=f"https://{edge.domain}",
                    lifetime_seconds=settings.identity.access_token_ttl_minutes * 60,
                ),
                logs=ApiLogs(key_arn=self.logs_key_arn, retention_days=settings.audit.log_retention_days),
                load_balancer_logs=LoadBalancerLogs(
                    access_bucket=self.evidence.load_balancer_logs, connection_bucket=self.evidence.load_balancer_logs
                ),
                protect=args.protect,
            ),
            opts=self.child(),
        )


def region_provider(name: str, context: RegionContext, parent: pulumi.Resource) -> aws.Provider:
    """The AWS provider of a region: it refuses every other account."""
    return aws.Provider(
        f"{name}-aws",
        region=context.region,
        allowed_account_ids=[context.account],
        opts=pulumi.ResourceOptions(parent=parent),
    )
