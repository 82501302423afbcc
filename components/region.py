"""One region of an environment: keys, evidence, network, cluster and edge, each given what it needs by name.

Every region of an environment is the same; what exists once (the trail, public records, peerings) is `components.platform`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.account.trail import trail_arn, trail_log_group
from components.assembly.place import Bucket, Buckets, ClusterPlace
from components.assembly.services import Services, ServicesArgs, TargetGroups
from components.audit.region_evidence import RegionEvidence, RegionEvidenceArgs
from components.backup.buckets import RegionBuckets, RegionBucketsArgs
from components.backup.volumes import VolumeVault, VolumeVaultArgs
from components.base import Component
from components.cluster.control_plane import ControlPlane, cluster_name, cluster_role_name
from components.context import RegionContext
from components.edge.api_authorizer import ApiLogs
from components.edge.api_balancer import LoadBalancerLogs
from components.edge.api_gateway import Api, ApiArgs, ApiNames, ApiNetwork
from components.edge.api_routes import TokenRules
from components.edge.certificate import Certificate, CertificateArgs
from components.edge.issuer_front import PublicFront
from components.edge.load_balancer import EdgeLogs, EdgeNetwork, LoadBalancer, LoadBalancerArgs
from components.edge.load_balancer_rules import token_check
from components.edge.web_acl import WebAcl, WebAclArgs
from components.graph.identity import trust_domain
from components.graph.model import Graph
from components.keys.key import Key, KeyArgs, Purpose
from components.keys.policy import KeyGrant
from components.keys.purposes import backup_grants, cluster_grants, data_grants, logs_grants, vault_grants
from components.network.addresses import endpoint_address
from components.network.endpoints import Endpoints, EndpointsArgs
from components.network.interconnect import TransitGateway, TransitGatewayArgs
from components.network.private_zone import PrivateZone, PrivateZoneArgs
from components.network.vpc import Vpc, VpcArgs
from components.region_cluster import Cluster, ClusterArgs, build_cluster, tier
from components.region_targets import TargetsArgs, build_targets
from components.settings import Settings
from components.vault.seal import role_arn as vault_role_arn


@dataclass(frozen=True, kw_only=True)
class RegionArgs:
    """Which region, and what of the home region it builds on."""

    settings: Settings
    graph: Graph
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
    private_zone: PrivateZone
    services: Services
    certificate: Certificate
    load_balancer: LoadBalancer
    web_acl: WebAcl
    logs_key_arn: pulumi.Output[str]
    data_key_arn: pulumi.Output[str]
    backup_key_arn: pulumi.Output[str]
    vault_key_arn: pulumi.Output[str]
    buckets: RegionBuckets
    volumes: VolumeVault
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

        self.backup_key_arn = self._key(name, "backup", args, backup_grants(context))
        self.vault_key_arn = self._key(name, "vault", args, vault_grants(context, vault_role=vault_role_arn(context)))

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
        self.buckets = RegionBuckets(
            f"{name}-buckets",
            RegionBucketsArgs(
                context=context,
                audit=settings.audit,
                backup=settings.backup,
                observability=settings.observability,
                backup_key_arn=self.backup_key_arn,
                logs_key_arn=self.logs_key_arn,
                custodians=(settings.account.security_contact_role,),
                protect=args.protect,
            ),
            opts=self.child(),
        )
        self.volumes = VolumeVault(
            f"{name}-volumes",
            VolumeVaultArgs(
                context=context,
                settings=settings.backup,
                audit=settings.audit,
                key_arn=self.backup_key_arn,
                custodians=(settings.account.security_contact_role,),
                deployer=settings.account.deployer_role,
                protect=args.protect,
            ),
            opts=self.child(),
        )
        self.network = self._network(name, args)
        self.transit_gateway = self._transit_gateway(name, args)
        cluster = self._cluster(name, args, cluster_key_arn)
        self.control_plane, self.cluster_name = cluster.control_plane, cluster.control_plane.name
        api = self._edge(name, args)
        self.private_zone = PrivateZone(
            f"{name}-private-zone",
            PrivateZoneArgs(
                context=context,
                domain=trust_domain(settings.identity.trust_domain_base, context.region),
                vpc_id=self.network.vpc_id,
            ),
            opts=self.child(),
        )
        self.services = self._services(name, args, cluster, self._targets(name, args, api))
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
                own_domains=tuple(
                    sorted(
                        {
                            settings.edge.domain,
                            settings.identity.issuer_host,
                            settings.identity.keys_host,
                            settings.identity.trust_domain_base,
                            *settings.observability.alert_hosts,
                            *settings.runtime.output_hosts,
                            *settings.siem.hosts,
                        }
                    )
                ),
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
                subnet_ids=tier(network, "intra"),
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
            TransitGatewayArgs(context=args.context, vpc_id=self.network.vpc_id, subnet_ids=tier(self.network, "intra")),
            opts=self.child(),
        )

    def _cluster(self, name: str, args: RegionArgs, secrets_key_arn: pulumi.Output[str]) -> Cluster:
        return build_cluster(
            name,
            ClusterArgs(
                settings=args.settings,
                context=args.context,
                network=self.network,
                secrets_key_arn=secrets_key_arn,
                logs_key_arn=self.logs_key_arn,
                data_key_arn=self.data_key_arn,
                protect=args.protect,
            ),
            self,
        )

    def _edge(self, name: str, args: RegionArgs) -> Api:
        settings, context = args.settings, args.context
        edge, region = settings.edge, settings.regions[context.region]
        self.certificate = Certificate(
            f"{name}-certificate",
            CertificateArgs(
                context=context,
                domain=edge.domain,
                hosted_zone=edge.hosted_zone,
                shared_names={"issuer": settings.identity.issuer_host} if settings.identity.issuer_kind == "keycloak" else {},
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
                    public_subnet_ids=tier(self.network, "public"),
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
        return Api(
            f"{name}-api",
            ApiArgs(
                context=context,
                network=ApiNetwork(
                    vpc_id=self.network.vpc_id,
                    vpc_cidr=region.vpc_cidr,
                    private_subnet_ids=tier(self.network, "private"),
                    intra_subnet_ids=tier(self.network, "intra"),
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

    def _targets(self, name: str, args: RegionArgs, api: Api) -> TargetGroups:
        return build_targets(
            name,
            TargetsArgs(
                settings=args.settings,
                context=args.context,
                home_region=args.home.region,
                network=self.network,
                node_security_group_id=self.control_plane.node_security_group_id,
                ingress=api.target_group_arn,
                front=PublicFront(
                    listener_arn=self.load_balancer.https_listener_arn,
                    security_group_id=self.load_balancer.security_group_id,
                    dns_name=self.load_balancer.dns_name,
                    zone_id=self.load_balancer.zone_id,
                ),
                log_bucket=self.evidence.load_balancer_logs,
                protect=args.protect,
            ),
            self,
        )

    def _services(self, name: str, args: RegionArgs, cluster: Cluster, targets: TargetGroups) -> Services:
        return Services(
            f"{name}-services",
            ServicesArgs(
                place=ClusterPlace(
                    graph=args.graph,
                    context=args.context,
                    cluster=cluster_name(args.context),
                    cluster_name=cluster.control_plane.name,
                    cluster_arn=cluster.control_plane.arn,
                    vpc_id=self.network.vpc_id,
                    data_key_arn=self.data_key_arn,
                    logs_key_arn=self.logs_key_arn,
                    backup_key_arn=self.backup_key_arn,
                    vault_key_arn=self.vault_key_arn,
                    oidc_provider_arn=cluster.control_plane.oidc_provider_arn,
                    oidc_issuer=cluster.control_plane.oidc_issuer,
                    buckets=Buckets(
                        backups=Bucket(name=self.buckets.backups.name, arn=self.buckets.backups.arn),
                        **{
                            purpose: Bucket(name=policy.bucket, arn=pulumi.Output.concat("arn:aws:s3:::", policy.bucket))
                            for purpose, policy in self.buckets.telemetry.items()
                        },
                    ),
                    ready=cluster.ready,
                ),
                targets=targets,
                private_zone_id=self.private_zone.zone_id,
                audit_bucket=Bucket(name=self.evidence.worm.name, arn=self.evidence.worm.arn),
                trail_log_group=trail_log_group(args.home),
            ),
            opts=self.child(providers=[cluster.control_plane.kubernetes_provider]),
        )


def region_provider(name: str, context: RegionContext, parent: pulumi.Resource) -> aws.Provider:
    """The AWS provider of a region: it refuses every other account."""
    return aws.Provider(
        f"{name}-aws",
        region=context.region,
        allowed_account_ids=[context.account],
        opts=pulumi.ResourceOptions(parent=parent),
    )
