"""Metrics, logs and traces of a region: the stores with their roles, Prometheus, Alertmanager, Grafana, then rules and pages.

Order: the mesh's rules of the namespace, so that no store ever answers somebody who has no name; roles; the stores and the
stack; then alerts, monitors and dashboards, which the stack's own programs read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.assembly.place import Bucket, ClusterPlace
from components.base import Component
from components.cluster.pod_identity import PodIdentity, PodIdentityArgs
from components.graph.names import LOKI_SERVICE, OBSERVABILITY_NAMESPACE, PROMETHEUS, TEMPO_SERVICE
from components.graph.traces import by_jaeger
from components.helm import install
from components.manifests import Manifest, ManifestsArgs, ObservabilityManifests
from components.observability import prometheus
from components.observability.alert_routing import Delivery, alertmanager_values
from components.observability.alert_rules import rule_objects
from components.observability.dashboards import dashboard_objects
from components.observability.dashboards_pages import pages
from components.observability.grafana import grafana_values
from components.observability.jaeger import Jaeger, JaegerArgs
from components.observability.log_rules import rules_object
from components.observability.loki import Loki, LokiArgs
from components.observability.stores import bucket_policy, mesh_objects
from components.observability.tempo import Tempo, TempoArgs
from components.tenancy.postgres import STORAGE_CLASS

STACK: Final = "kube-prometheus-stack"


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """The telemetry of one region."""

    place: ClusterPlace
    after: Sequence[pulumi.Resource]
    """Gates everything: namespaces and their rules, the storage class, the mesh, and who is who."""
    delivery: Delivery | None = None
    """What brings the receivers' keys to Alertmanager; without it no receiver that has a key may be set."""


def stack_values(place: ClusterPlace, delivery: Delivery | None) -> dict[str, Any]:
    """The values of Prometheus, Alertmanager and Grafana in a region.

    Raises:
        ValueError: for receivers whose keys nobody delivers.
    """
    settings = place.graph.settings
    wanted = settings.observability
    return prometheus.chart_values(
        prometheus=prometheus.prometheus_values(
            wanted.metrics, cluster=place.cluster, region=place.region, storage_class=STORAGE_CLASS
        ),
        alertmanager=alertmanager_values(
            wanted.alerts, delivery, environment=settings.environment, region=place.region, storage_class=STORAGE_CLASS
        ),
        grafana=grafana_values(place.graph),
    )


def read_objects(place: ClusterPlace) -> tuple[Manifest, ...]:
    """What the stack's programs read: alerts, monitors, dashboards."""
    return (*rule_objects(place.graph), *prometheus.core_monitors(place.graph), *dashboard_objects(pages(place.graph)))


class Monitoring(Component, token="zerotrust:observability:Monitoring"):
    """The stores and who looks at them. `ready` is what a sender of logs and traces depends on."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = args.place
        rules = ObservabilityManifests(
            f"{name}-rules",
            ManifestsArgs(objects=(*mesh_objects(place.graph, place.region), rules_object(place.graph)), after=args.after),
            opts=self.child(),
        )
        behind = (*args.after, *rules.ready)
        loki = Loki(
            f"{name}-loki",
            LokiArgs(
                graph=place.graph,
                region=place.region,
                bucket=place.buckets.logs.name,
                storage_class=STORAGE_CLASS,
                after=(*behind, *self._role(f"{name}-loki-role", place, LOKI_SERVICE, place.buckets.logs)),
            ),
            opts=self.child(),
        )
        traces = self._traces(name, place, behind)
        stack = install(
            f"{name}-stack",
            STACK,
            namespace=OBSERVABILITY_NAMESPACE,
            values=stack_values(place, args.delivery),
            release=prometheus.RELEASE,
            opts=self.child(depends_on=[*behind, *self._writer(f"{name}-metrics-role", place)]),
        )
        read = ObservabilityManifests(
            f"{name}-read", ManifestsArgs(objects=read_objects(place), after=(stack,)), opts=self.child()
        )
        self.ready = (*loki.ready, *traces, *read.ready)
        self.register_outputs({})

    def _traces(self, name: str, place: ClusterPlace, after: tuple[pulumi.Resource, ...]) -> tuple[pulumi.Resource, ...]:
        """The one store of traces that the settings choose; the bucket stands either way, for what Tempo has written."""
        if by_jaeger(place.graph):
            args = JaegerArgs(graph=place.graph, storage_class=STORAGE_CLASS, after=after)
            return Jaeger(f"{name}-jaeger", args, opts=self.child()).ready
        return Tempo(
            f"{name}-tempo",
            TempoArgs(
                graph=place.graph,
                region=place.region,
                bucket=place.buckets.traces.name,
                storage_class=STORAGE_CLASS,
                after=(*after, *self._role(f"{name}-tempo-role", place, TEMPO_SERVICE, place.buckets.traces)),
            ),
            opts=self.child(),
        ).ready

    def _role(self, name: str, place: ClusterPlace, account: str, bucket: Bucket) -> tuple[pulumi.Resource, ...]:
        document = bucket_policy(bucket.arn, place.logs_key_arn, region=place.region)
        return self._identity(name, place, account, document)

    def _writer(self, name: str, place: ClusterPlace) -> tuple[pulumi.Resource, ...]:
        workspace = place.graph.settings.observability.metrics.workspaces.get(place.region)
        if workspace is None:
            return ()
        arn = place.context.arn("aps", f"workspace/{workspace}")
        return self._identity(name, place, PROMETHEUS, prometheus.workspace_policy(arn))

    def _identity(self, name: str, place: ClusterPlace, account: str, document: dict[str, Any]) -> tuple[pulumi.Resource, ...]:
        return PodIdentity(
            name,
            PodIdentityArgs(
                context=place.context,
                cluster_name=place.cluster_name,
                cluster_arn=place.cluster_arn,
                namespace=OBSERVABILITY_NAMESPACE,
                service_account=account,
                policies={"own": pulumi.Output.json_dumps(document)},
            ),
            opts=self.child(),
        ).ready
