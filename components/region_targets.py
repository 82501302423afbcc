"""The parts of a region that lead into its cluster but for the API gateway: other regions, and the issuer's public."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.assembly.services import TargetGroups
from components.base import Component
from components.context import RegionContext
from components.edge.issuer_front import IssuerFront, IssuerFrontArgs, PublicFront
from components.edge.region_balancer import RegionBalancer, RegionBalancerArgs
from components.identity.issuer import realm_of
from components.network.vpc import Vpc
from components.region_cluster import tier
from components.settings import Settings


@dataclass(frozen=True, kw_only=True)
class TargetsArgs:
    """What the ways in stand on."""

    settings: Settings
    context: RegionContext
    home_region: str
    network: Vpc
    node_security_group_id: pulumi.Input[str]
    ingress: pulumi.Input[str]
    """Target group of the ingress gateway, before it the API gateway."""
    front: PublicFront
    log_bucket: pulumi.Input[str]
    protect: bool


def build_targets(name: str, args: TargetsArgs, parent: Component) -> TargetGroups:
    """Registers the ways in as children of the region; every target group its cluster's pods belong to."""
    between = _between_regions(name, args, parent)
    return TargetGroups(
        ingress=args.ingress,
        eastwest=between.get("eastwest"),
        bundle=between.get("bundle"),
        vault=between["vault"],
        issuer=_issuer(name, args, parent),
    )


def _between_regions(name: str, args: TargetsArgs, parent: Component) -> Mapping[str, pulumi.Output[str]]:
    regions, here = args.settings.regions, args.context.region
    return RegionBalancer(
        f"{name}-regions",
        RegionBalancerArgs(
            context=args.context,
            vpc_id=args.network.vpc_id,
            vpc_cidr=regions[here].vpc_cidr,
            intra_subnet_ids=tier(args.network, "intra"),
            peers={code: wanted.vpc_cidr for code, wanted in sorted(regions.items()) if code != here},
            node_security_group_id=args.node_security_group_id,
            log_bucket=args.log_bucket,
            protect=args.protect,
        ),
        opts=parent.child(),
    ).target_group_arns


def _issuer(name: str, args: TargetsArgs, parent: Component) -> pulumi.Output[str] | None:
    identity, context = args.settings.identity, args.context
    if identity.issuer_kind != "keycloak" or context.region != args.home_region:
        return None
    return IssuerFront(
        f"{name}-issuer-front",
        IssuerFrontArgs(
            context=context,
            host=identity.issuer_host,
            realm=realm_of(identity.issuer),
            hosted_zone=args.settings.edge.hosted_zone,
            front=args.front,
            vpc_id=args.network.vpc_id,
            vpc_cidr=args.settings.regions[context.region].vpc_cidr,
            private_subnet_ids=tier(args.network, "private"),
            node_security_group_id=args.node_security_group_id,
        ),
        opts=parent.child(),
    ).target_group_arn
