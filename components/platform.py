"""The environment: its regions, what connects them, and what an account has once."""

import itertools

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks

from components.account.alarms import Alarms, AlarmsArgs
from components.account.guards import Guards, GuardsArgs
from components.account.region_guards import RegionGuards, RegionGuardsArgs
from components.assembly.backup import RegionBackups, RegionBackupsArgs, Standing
from components.backup.replication import copied_into
from components.base import Component
from components.context import RegionContext
from components.edge.entry import Entry, EntryArgs, RegionEntry
from components.edge.shield import Shield, ShieldArgs
from components.graph.model import Graph
from components.identity.federation import Federation, FederationArgs
from components.network.interconnect import Peering, PeeringArgs, Side, TransitPeering, TransitPeeringArgs, TransitSide
from components.network.private_zone import associate
from components.region import Region, RegionArgs, region_provider
from components.settings import Settings


def region_context(settings: Settings, code: str) -> RegionContext:
    """Where a region's resources stand and how they are tagged."""
    return RegionContext(
        organization=settings.organization,
        environment=settings.environment,
        region=code,
        account=settings.account.id,
        tags={
            "environment": settings.environment,
            "owner": settings.tags.owner,
            "cost-center": settings.tags.cost_center,
            "data-class": settings.tags.data_class,
            "region": code,
        },
        permissions_boundary=settings.account.permissions_boundary,
    )


class Platform(Component, token="zerotrust:platform:Platform"):
    """One environment."""

    regions: dict[str, Region]
    """By AWS region code."""
    settings: Settings
    graph: Graph
    protected: bool
    aws_providers: dict[str, aws.Provider]
    """By AWS region code."""
    eks_provider: eks.Provider
    audit_bucket: pulumi.Output[str]
    """The home region's WORM bucket, where the trail writes."""

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        # What cannot be made again is protected where production's rules hold; elsewhere `pulumi destroy` may clean up.
        protect = settings.assurance == "high"
        self.settings, self.protected, self.graph = settings, protect, Graph.of(settings)
        codes = sorted(settings.regions)
        contexts = {code: region_context(settings, code) for code in codes}
        home = contexts[settings.home_region]
        self.aws_providers = {code: region_provider(code, contexts[code], self) for code in codes}
        # Components only: it makes every child with the region's own provider.
        self.eks_provider = eks.Provider(f"{name}-eks", opts=self.child())
        self.regions = {home.region: self._region(contexts, home.region)}
        shared_records = self.regions[home.region].certificate.records
        for code in codes:
            if code != home.region:
                self.regions[code] = self._region(contexts, code, shared_records)

        self._guards(name, home)
        for one, other in itertools.combinations(codes, 2):
            self._interconnect(name, one, other)
        for here, peer in itertools.permutations(codes, 2):
            self._federate(name, here, peer)
        self._copies()
        self._entry(name, home)
        self.audit_bucket = self.regions[home.region].evidence.worm.name
        self.register_outputs({"audit_bucket": self.audit_bucket})

    def _region(
        self, contexts: dict[str, RegionContext], code: str, shared_records: tuple[aws.route53.Record, ...] = ()
    ) -> Region:
        return Region(
            code,
            RegionArgs(
                settings=self.settings,
                graph=self.graph,
                context=contexts[code],
                home=contexts[self.settings.home_region],
                shared_records=shared_records,
                protect=self.protected,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                providers=[self.aws_providers[code], self.eks_provider],
            ),
        )

    def _home(self, home: RegionContext) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, providers=[self.aws_providers[home.region]])

    def _guards(self, name: str, home: RegionContext) -> None:
        settings, region = self.settings, self.regions[home.region]
        guards = Guards(
            f"{name}-guards",
            GuardsArgs(
                context=home,
                guards=settings.account.guards,
                audit=settings.audit,
                key_arn=region.logs_key_arn,
                trail_bucket=region.evidence.worm.name,
                trail_bucket_arn=region.evidence.worm.arn,
                unrecorded_buckets=region.evidence.landing_arns,
                protect=self.protected,
            ),
            opts=self._home(home),
        )
        if guards.trail_log_group is not None:
            Alarms(
                f"{name}-alarms",
                AlarmsArgs(context=home, log_group=guards.trail_log_group, key_arn=region.logs_key_arn),
                opts=self._home(home),
            )
        for code, each in sorted(self.regions.items()):
            RegionGuards(
                f"{code}-guards",
                RegionGuardsArgs(
                    context=each.context,
                    guards=settings.account.guards,
                    home=code == home.region,
                    data_key_arn=each.data_key_arn,
                    logs_key_arn=each.logs_key_arn,
                    config_bucket=each.evidence.config_history,
                    config_role_arn=guards.config_role_arn,
                ),
                opts=pulumi.ResourceOptions(parent=self, providers=[self.aws_providers[code]]),
            )

    def _side(self, code: str) -> Side:
        region = self.regions[code]
        return Side(
            context=region.context,
            provider=self.aws_providers[code],
            vpc_id=region.network.vpc_id,
            cidr=region.network.cidr,
            route_table_ids=region.network.route_table_ids,
        )

    def _interconnect(self, environment: str, one: str, other: str) -> None:
        name, opts = f"{environment}-{one}-{other}", pulumi.ResourceOptions(parent=self)
        gateways = [self.regions[code].transit_gateway for code in (one, other)]
        sides = [self._side(code) for code in (one, other)]
        if gateways[0] is not None and gateways[1] is not None:
            ends = [TransitSide(side=side, gateway=gateway) for side, gateway in zip(sides, gateways, strict=True) if gateway]
            TransitPeering(f"{name}-transit", TransitPeeringArgs(requester=ends[0], accepter=ends[1]), opts=opts)
        else:
            Peering(f"{name}-peering", PeeringArgs(requester=sides[0], accepter=sides[1]), opts=opts)

    def _federate(self, environment: str, here: str, peer: str) -> None:
        """What a region needs of another: its names, and its trust bundle."""
        region, other = self.regions[here], self.regions[peer]
        associate(
            f"{environment}-{peer}-names-in-{here}",
            other.private_zone,
            vpc_id=region.network.vpc_id,
            region=here,
            opts=pulumi.ResourceOptions(parent=self, provider=self.aws_providers[here]),
        )
        Federation(
            f"{environment}-{here}-trusts-{peer}",
            FederationArgs(
                peer_region=peer,
                trust_domain=other.services.trust_domain,
                peer_cluster=other.control_plane.kubernetes_provider,
                peer_ready=other.services.spire,
                after=region.services.spire,
            ),
            opts=pulumi.ResourceOptions(parent=self, providers=[region.control_plane.kubernetes_provider]),
        )

    def _copies(self) -> None:
        """What fills each region's vault, and the second copy of what no region may lose alone."""
        target = copied_into(self.regions, home=self.settings.home_region, copies=self.settings.backup.copy_region)
        standing = {
            code: Standing(
                context=region.context,
                provider=self.aws_providers[code],
                backups=region.buckets.backups,
                evidence=region.evidence.worm,
                volumes=region.volumes,
                backup_key_arn=region.backup_key_arn,
                logs_key_arn=region.logs_key_arn,
                data_key_arn=region.data_key_arn,
            )
            for code, region in sorted(self.regions.items())
        }
        for code in sorted(standing):
            RegionBackups(
                f"{code}-copies",
                RegionBackupsArgs(
                    settings=self.settings,
                    here=standing[code],
                    there=standing[target[code]] if code in target else None,
                    protect=self.protected,
                ),
                opts=pulumi.ResourceOptions(parent=self, providers=[self.aws_providers[code]]),
            )

    def _entry(self, name: str, home: RegionContext) -> None:
        edge = self.settings.edge
        entry = Entry(
            f"{name}-entry",
            EntryArgs(
                context=home,
                domain=edge.domain,
                hosted_zone=edge.hosted_zone,
                failover=edge.failover,
                regions={
                    code: RegionEntry(
                        load_balancer_arn=region.load_balancer.arn,
                        dns_name=region.load_balancer.dns_name,
                        zone_id=region.load_balancer.zone_id,
                    )
                    for code, region in sorted(self.regions.items())
                },
                flow_log_bucket=self.regions[home.region].evidence.load_balancer_logs,
            ),
            opts=self._home(home),
        )
        if edge.shield.advanced:
            Shield(
                f"{name}-shield",
                ShieldArgs(
                    context=home,
                    settings=edge.shield,
                    load_balancers={code: region.load_balancer.arn for code, region in sorted(self.regions.items())},
                    health_check_arns=entry.health_check_arns,
                    associations=[region.web_acl.association for _, region in sorted(self.regions.items())],
                ),
                opts=self._home(home),
            )
