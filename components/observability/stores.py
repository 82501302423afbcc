"""What the stores of logs and traces share: whose they hold, their rights on their bucket, their proxies, and who may ask them.

A store keeps each tenant's data under the tenant's name and answers for the name that a request bears. Who may bear which is the
mesh's to say: the collectors write for everybody, the side-kick writes under `security` alone, Grafana reads. Nobody else is
answered, and nobody without an identity.
"""

from collections.abc import Sequence
from typing import Any, Final

import pulumi

from components.graph.identity import principal
from components.graph.model import Graph
from components.graph.names import (
    CHAOS_NAMESPACE,
    CLUSTER_DOMAIN,
    COLLECTOR,
    FAULT_CONTROLLER,
    LOKI_PORT,
    LOKI_SERVICE,
    MESH_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    OTLP_GRPC_PORT,
    PROMETHEUS,
    PROMETHEUS_PORT,
    SECURITY_NAMESPACE,
    SERVICE_LABEL,
)
from components.graph.traces import trace_port, trace_store
from components.manifests import Manifest, manifest
from components.settings.observability import PLATFORM_LOGS

CREDENTIAL_AGENT: Final = "169.254.170.23/32"
"""EKS Pod Identity's agent: plain HTTP on the node, which a proxy would take for an unknown host."""
TENANT_HEADER: Final = "x-scope-orgid"
SECURITY_LOGS: Final = "security"
TRACE_READS: Final = {
    "tempo": ("/api/*", "/ready"),
    "jaeger": (
        "/api/dependencies",
        "/api/operations",
        "/api/services",
        "/api/services/*",
        "/api/traces",
        "/api/traces/*",
    ),
}
"""What is asked of either store of traces; of Jaeger its API alone, its pages are nobody's."""
PROMETHEUS_READS: Final = ("/api/v1/*", "/-/ready", "/-/healthy")
GATE_READS: Final = ("/api/v1/query",)
"""What a game day asks: whether to go on."""


def telemetry_tenants(graph: Graph) -> tuple[str, ...]:
    """The names under which logs and traces are kept: each tenant's namespace, and the platform's own three."""
    return tuple(sorted({*graph.tenants, *PLATFORM_LOGS}))


def bucket_policy(bucket_arn: pulumi.Input[str], key_arn: pulumi.Input[str], *, region: str) -> dict[str, Any]:
    """Objects of one bucket, and its key by way of S3 alone."""
    objects = f"{bucket_arn}/*" if isinstance(bucket_arn, str) else pulumi.Output.concat(bucket_arn, "/*")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket_arn},
            {
                "Sid": "Objects",
                "Effect": "Allow",
                "Action": ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
                "Resource": objects,
            },
            {
                "Sid": "Key",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": key_arn,
                "Condition": {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}},
            },
        ],
    }


def proxy_annotations(
    *, metrics_port: int, plain_out: Sequence[int] = (), plain_in: Sequence[int] = (), agent: bool = False
) -> dict[str, str]:
    """What the injector reads of a meshed part of the telemetry.

    Args:
        metrics_port: Where the application's metrics are; its proxy adds them to its own.
        plain_out: Ports of connections that bring a TLS of their own, or go to an instance's own address.
        plain_in: Ports at which the other instances come by address.
        agent: Whether it has a role of AWS.
    """

    def ports(name: str, wanted: Sequence[int]) -> dict[str, str]:
        return {f"traffic.sidecar.istio.io/{name}": ",".join(map(str, sorted(wanted)))} if wanted else {}

    return {
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": str(metrics_port),
        "prometheus.io/scrape": "true",
        **ports("excludeOutboundPorts", plain_out),
        **ports("excludeInboundPorts", plain_in),
        **({"traffic.sidecar.istio.io/excludeOutboundIPRanges": CREDENTIAL_AGENT} if agent else {}),
    }


def _istio(kind: str, name: str, spec: dict[str, Any]) -> Manifest:
    group = "networking" if kind == "Sidecar" else "security"
    return manifest(f"{group}.istio.io/v1", kind, name, namespace=OBSERVABILITY_NAMESPACE, spec=spec)


def _rule(who: str, methods: Sequence[str], paths: Sequence[str], port: int, *, bears: str | None = None) -> dict[str, Any]:
    when = {"when": [{"key": f"request.headers[{TENANT_HEADER}]", "values": [bears]}]} if bears else {}
    operation = {"methods": sorted(methods), "paths": list(paths), "ports": [str(port)]}
    return {"from": [{"source": {"principals": [who]}}], "to": [{"operation": operation}], **when}


def mesh_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """The mesh's rules of the telemetry's namespace: nothing, then each store's callers."""
    domain = graph.trust_domain(region)
    collector = principal(domain, OBSERVABILITY_NAMESPACE, COLLECTOR)
    grafana = principal(domain, OBSERVABILITY_NAMESPACE, "grafana")
    side_kick = principal(domain, SECURITY_NAMESPACE, "falcosidekick")
    traces = trace_store(graph)
    read = ("GET", "POST")  # a long query is posted
    allowed: dict[str, list[dict[str, Any]]] = {
        LOKI_SERVICE: [
            _rule(collector, ("POST",), ("/otlp/v1/logs", "/loki/api/v1/push"), LOKI_PORT),
            _rule(side_kick, ("POST",), ("/loki/api/v1/push",), LOKI_PORT, bears=SECURITY_LOGS),
            _rule(grafana, read, loki_reads(), LOKI_PORT),
        ],
        traces: [
            _rule(collector, ("POST",), ("/opentelemetry.proto.collector.trace.v1.TraceService/Export",), OTLP_GRPC_PORT),
            _rule(grafana, ("GET",), TRACE_READS[traces], trace_port(graph)),
        ],
        PROMETHEUS: [_rule(grafana, read, PROMETHEUS_READS, PROMETHEUS_PORT)],
    }
    if graph.settings.chaos.enabled:
        faults = principal(domain, CHAOS_NAMESPACE, FAULT_CONTROLLER)
        allowed[PROMETHEUS].append(_rule(faults, ("GET",), GATE_READS, PROMETHEUS_PORT))
    scope = {
        "egress": [{"hosts": ["./*", f"{MESH_NAMESPACE}/istiod.{MESH_NAMESPACE}.svc.{CLUSTER_DOMAIN}"]}],
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
    }
    return (
        _istio("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
        _istio("AuthorizationPolicy", "default-deny", {}),
        *(
            _istio(
                "AuthorizationPolicy",
                name,
                {"selector": {"matchLabels": {SERVICE_LABEL: name}}, "action": "ALLOW", "rules": rules},
            )
            for name, rules in sorted(allowed.items())
        ),
        _istio("Sidecar", "default", scope),
    )


def loki_reads() -> tuple[str, ...]:
    """What is asked of Loki: queries and labels; nothing that writes, deletes or shows how it is set up."""
    asked = ("labels", "label/*", "query", "query_range", "series", "index/*", "patterns", "detected_fields", "format_query")
    return tuple(f"/loki/api/v1/{path}" for path in (*asked, "detected_labels"))
