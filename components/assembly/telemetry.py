"""The log and trace pipeline of a cluster: certificates and rules, the gateway and its sinks, then the agents and the reader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.assembly.place import Bucket, ClusterPlace
from components.base import Component
from components.cluster.pod_identity import PodIdentity, PodIdentityArgs
from components.graph.names import COLLECTOR, NODE_TELEMETRY_NAMESPACE, OBSERVABILITY_NAMESPACE
from components.helm import install
from components.manifests import ManifestsArgs, ObservabilityManifests
from components.observability.telemetry import agents, objects, releases, sinks
from components.observability.telemetry.names import AGENT, READER
from components.settings.siem import FirehoseSink, S3Sink

CHART = "opentelemetry-collector"


@dataclass(frozen=True, kw_only=True)
class TelemetryArgs:
    """The pipeline of one cluster."""

    place: ClusterPlace
    after: Sequence[pulumi.Resource]
    """The network's rules, cert-manager with the cluster issuer `telemetry` approved, the monitoring kinds, the mesh, SPIRE's
    registrations, and the stores of logs and traces."""
    audit_bucket: Bucket
    """The region's locked audit bucket: where an s3 sink without a bucket of its own writes. Encrypted with the logs key."""
    trail_log_group: str
    """Name of the trail's log group in the home region; read there alone."""
    delivery: releases.TokenDelivery | None = None
    """What brings the tokens of sinks of kind `http`; needed with any."""


class Telemetry(Component, token="zerotrust:observability:Telemetry"):
    """Gateway, agents and audit reader. Spans and lines are taken when `ready` stands."""

    ready: tuple[pulumi.Resource, ...]
    streams: Mapping[str, pulumi.Output[str]]
    """ARN of each firehose sink's Kinesis stream, by sink."""

    def __init__(self, name: str, args: TelemetryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = args.place
        graph, image = place.graph, place.graph.settings.images.collector
        rules = ObservabilityManifests(
            f"{name}-objects",
            ManifestsArgs(objects=objects.region_objects(graph, place.region), after=args.after),
            opts=self.child(),
        )
        before = [*args.after, *rules.ready]
        streams = self._streams(name, args)
        self.streams = {sink: stream.arn for sink, stream in streams.items()}
        places: dict[str, pulumi.Input[str]] = {sink: stream.name for sink, stream in streams.items()}
        for key, sink in graph.settings.siem.sinks.items():
            if isinstance(sink, S3Sink):
                places[key] = sink.bucket or args.audit_bucket.name
        policy = sinks.policy(graph.settings.siem, place.context, places, [place.logs_key_arn])
        gateway = install(
            f"{name}-gateway",
            CHART,
            release=COLLECTOR,
            namespace=OBSERVABILITY_NAMESPACE,
            values=releases.gateway_values(graph, place.region, image, places, args.delivery),
            opts=self.child(
                depends_on=[*before, *(self._role(f"{name}-gateway-role", place, COLLECTOR, policy) if policy else ())]
            ),
        )
        nodes = install(
            f"{name}-agents",
            CHART,
            release=AGENT,
            namespace=NODE_TELEMETRY_NAMESPACE,
            values=agents.chart_values(image),
            opts=self.child(depends_on=[gateway]),
        )
        self.ready = (gateway, nodes, *self._reader(name, args, gateway))
        self.register_outputs({})

    def _streams(self, name: str, args: TelemetryArgs) -> dict[str, aws.kinesis.Stream]:
        context = args.place.context
        made = {}
        for key, sink in sorted(args.place.graph.settings.siem.sinks.items()):
            if isinstance(sink, FirehoseSink):
                physical = sinks.stream_name(context, key)
                made[key] = aws.kinesis.Stream(
                    f"{name}-stream-{key}",
                    name=physical,
                    shard_count=sink.shards,
                    retention_period=sink.retention_hours,
                    encryption_type="KMS",
                    kms_key_id=args.place.logs_key_arn,
                    tags=context.tagged(physical, purpose="audit"),
                    opts=self.child(),
                )
        return made

    def _reader(self, name: str, args: TelemetryArgs, gateway: pulumi.Resource) -> tuple[pulumi.Resource, ...]:
        place = args.place
        groups = releases.log_groups(place.graph, place.region, place.cluster, args.trail_log_group)
        if not groups:
            return ()
        policy = releases.reader_policy(groups, region=place.region, account=place.context.account)
        role = self._role(f"{name}-reader-role", place, READER, policy)
        return (
            install(
                f"{name}-reader",
                CHART,
                release=READER,
                namespace=OBSERVABILITY_NAMESPACE,
                values=releases.reader_values(place.graph.settings.images.collector, groups, place.region),
                opts=self.child(depends_on=[gateway, *role]),
            ),
        )

    def _role(self, name: str, place: ClusterPlace, account: str, policy: Mapping[str, object]) -> tuple[pulumi.Resource, ...]:
        return PodIdentity(
            name,
            PodIdentityArgs(
                context=place.context,
                cluster_name=place.cluster_name,
                cluster_arn=place.cluster_arn,
                namespace=OBSERVABILITY_NAMESPACE,
                service_account=account,
                policies={"own": pulumi.Output.json_dumps(policy)},
            ),
            opts=self.child(),
        ).ready
