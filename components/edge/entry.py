"""How clients find a healthy region: one set of records over all regions of the environment.

Guarantees: a region is taken out of `<domain>` when its mesh stops answering, not only when its load balancer does; adding a
region adds records and changes none. Relies on: each region's load balancer with its health listener, the health API behind it.

Route 53's checkers ask `https://<region>.<domain>:8443<health path>`. With Global Accelerator clients get two fixed anycast
addresses, but an accelerator sees a load balancer's targets and not the mesh: so it is the primary answer only while every
region's mesh is healthy, and when one is not, `<domain>` falls back to latency records over those that are. Clients who keep the
accelerator's addresses instead of the name do not follow that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws
from pulumi import Input

from components.base import Component
from components.context import RegionContext
from components.edge.load_balancer_rules import HEALTH_PORT
from components.settings.edge import FailoverSettings

HTTP, HTTPS = 80, 443


@dataclass(frozen=True, kw_only=True)
class RegionEntry:
    """A region's load balancer, as an alias record and an accelerator need it."""

    load_balancer_arn: Input[str]
    dns_name: Input[str]
    zone_id: Input[str]


@dataclass(frozen=True, kw_only=True)
class EntryArgs:
    """The entry of the environment; its resources are global and belong to the home region's provider."""

    context: RegionContext
    """The home region's."""
    domain: str
    hosted_zone: str
    failover: FailoverSettings
    regions: Mapping[str, RegionEntry]
    """By AWS region code."""
    shared_names: Mapping[str, str] = field(default_factory=dict)
    """Further names that every region answers to, by role; the same as on the certificates."""
    flow_log_bucket: Input[str] | None = None
    """Needed with Global Accelerator: a bucket of the home region that admits log delivery."""


class Entry(Component, token="zerotrust:edge:Entry"):
    """Records, health checks and, by setting, an accelerator."""

    health_check_ids: dict[str, pulumi.Output[str]]
    """By region."""
    health_check_arns: dict[str, pulumi.Output[str]]
    """By region."""
    accelerator_arn: pulumi.Output[str] | None

    def __init__(self, name: str, args: EntryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.health_check_ids, self.health_check_arns, self.accelerator_arn = {}, {}, None
        for region in sorted(args.regions):
            self._region(name, args, region)
        names = {"domain": args.domain, **args.shared_names}
        accelerated = args.failover.routing == "global_accelerator"
        accelerator = self._accelerator(name, args) if accelerated else None
        every = self._every_region(name, args) if accelerated else None
        for role, public in sorted(names.items()):
            latency_name = f"latency.{public}" if accelerated else public
            latency = [self._latency(name, args, role, latency_name, region) for region in sorted(args.regions)]
            if accelerator is not None and every is not None:
                self._fallback(name, args, role, public, (accelerator, every, latency[0]))
        self.register_outputs(
            {
                "healthCheckIds": self.health_check_ids,
                "healthCheckArns": self.health_check_arns,
                "acceleratorArn": self.accelerator_arn,
            }
        )

    def _region(self, name: str, args: EntryArgs, region: str) -> None:
        entry, own = args.regions[region], f"{region}.{args.domain}"
        aws.route53.Record(
            f"{name}-region-{region}",
            zone_id=args.hosted_zone,
            name=own,
            type="A",
            aliases=[{"name": entry.dns_name, "zone_id": entry.zone_id, "evaluate_target_health": False}],
            opts=self.child(),
        )
        check = aws.route53.HealthCheck(
            f"{name}-mesh-{region}",
            type="HTTPS",
            fqdn=own,
            port=HEALTH_PORT,
            resource_path=args.failover.health_path,
            enable_sni=True,
            request_interval=args.failover.health_interval_seconds,
            failure_threshold=args.failover.failure_threshold,
            tags=args.context.tagged(f"{name}-mesh-{region}"),
            opts=self.child(),
        )
        self.health_check_ids[region], self.health_check_arns[region] = check.id, check.arn

    def _latency(self, name: str, args: EntryArgs, role: str, public: str, region: str) -> aws.route53.Record:
        entry = args.regions[region]
        return aws.route53.Record(
            f"{name}-{role}-{region}",
            zone_id=args.hosted_zone,
            name=public,
            type="A",
            set_identifier=region,
            latency_routing_policies=[{"region": region}],
            health_check_id=self.health_check_ids[region],
            aliases=[{"name": entry.dns_name, "zone_id": entry.zone_id, "evaluate_target_health": True}],
            opts=self.child(),
        )

    def _accelerator(self, name: str, args: EntryArgs) -> aws.globalaccelerator.Accelerator:
        if args.flow_log_bucket is None:
            msg = "an accelerator without flow logs leaves no trace of who called; give flow_log_bucket"
            raise ValueError(msg)
        accelerator = aws.globalaccelerator.Accelerator(
            f"{name}-accelerator",
            enabled=True,
            ip_address_type="IPV4",
            attributes={
                "flow_logs_enabled": True,
                "flow_logs_s3_bucket": args.flow_log_bucket,
                "flow_logs_s3_prefix": "accelerator/",
            },
            tags=args.context.tagged(f"{name}-accelerator"),
            opts=self.child(),
        )
        listener = aws.globalaccelerator.Listener(
            f"{name}-accelerator",
            accelerator_arn=accelerator.arn,
            protocol="TCP",
            client_affinity="NONE",
            port_ranges=[{"from_port": port, "to_port": port} for port in (HTTP, HTTPS)],
            opts=self.child(),
        )
        for region in sorted(args.regions):
            aws.globalaccelerator.EndpointGroup(
                f"{name}-accelerator-{region}",
                listener_arn=listener.arn,
                endpoint_group_region=region,
                traffic_dial_percentage=100,
                endpoint_configurations=[
                    {
                        "endpoint_id": args.regions[region].load_balancer_arn,
                        "weight": 128,
                        # the web ACL counts and blocks by the client's address
                        "client_ip_preservation_enabled": True,
                    }
                ],
                opts=self.child(),
            )
        self.accelerator_arn = accelerator.arn
        return accelerator

    def _every_region(self, name: str, args: EntryArgs) -> aws.route53.HealthCheck:
        return aws.route53.HealthCheck(
            f"{name}-mesh-every-region",
            type="CALCULATED",
            child_healthchecks=[self.health_check_ids[region] for region in sorted(args.regions)],
            child_health_threshold=len(args.regions),
            tags=args.context.tagged(f"{name}-mesh-every-region"),
            opts=self.child(),
        )

    def _fallback(
        self,
        name: str,
        args: EntryArgs,
        role: str,
        public: str,
        answers: tuple[aws.globalaccelerator.Accelerator, aws.route53.HealthCheck, aws.route53.Record],
    ) -> None:
        accelerator, every, latency = answers
        primary: aws.route53.RecordAliasArgsDict = {
            "name": accelerator.dns_name,
            "zone_id": accelerator.hosted_zone_id,
            "evaluate_target_health": True,
        }
        secondary: aws.route53.RecordAliasArgsDict = {
            "name": latency.name,
            "zone_id": args.hosted_zone,
            "evaluate_target_health": True,
        }
        for kind, alias, check in (("PRIMARY", primary, every.id), ("SECONDARY", secondary, None)):
            aws.route53.Record(
                f"{name}-{role}-{kind.lower()}",
                zone_id=args.hosted_zone,
                name=public,
                type="A",
                set_identifier=kind.lower(),
                failover_routing_policies=[{"type": kind}],
                health_check_id=check,
                aliases=[alias],
                opts=self.child(),
            )
