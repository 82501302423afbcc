"""What the layers call each other's parts: namespaces, service accounts, labels and ports of the platform in a cluster.

Facts only, so that a policy of one layer and the workload of another cannot disagree about a name.
"""

from dataclasses import dataclass
from typing import Final, Literal

SYSTEM_NAMESPACE: Final = "kube-system"
MESH_NAMESPACE: Final = "istio-system"
CERTIFICATES_NAMESPACE: Final = "cert-manager"
DATABASE_OPERATOR_NAMESPACE: Final = "cnpg-system"
SPIRE_SERVER_NAMESPACE: Final = "spire-server"
SPIRE_SYSTEM_NAMESPACE: Final = "spire-system"
DISCOVERY_SERVICE: Final = "spire-spiffe-oidc-discovery-provider"
"""In SPIRE's server namespace, the chart's name in release `spire`: publishes the keys of JWT-SVIDs by HTTPS on 443."""
RATE_LIMIT_NAMESPACE: Final = "rate-limit"
ISSUER_NAMESPACE: Final = "keycloak"
EXTERNAL_DNS_NAMESPACE: Final = "external-dns"
GATEKEEPER_NAMESPACE: Final = "gatekeeper-system"
KYVERNO_NAMESPACE: Final = "kyverno"
RUNTIME_NAMESPACE: Final = "falco"
SECURITY_NAMESPACE: Final = "security"
"""What answers events: the side-kick that forwards them, and who acts on them."""
VAULT_NAMESPACE: Final = "vault"
OBSERVABILITY_NAMESPACE: Final = "observability"
NODE_TELEMETRY_NAMESPACE: Final = "node-telemetry"
"""What must read a node's files: the log agents and the node exporter. Nothing else of the telemetry needs the host."""
BACKUP_NAMESPACE: Final = "velero"
CHAOS_NAMESPACE: Final = "chaos-mesh"
GITOPS_NAMESPACE: Final = "argocd"
GITOPS_ACCOUNT: Final = "gitops.argocd"
"""In a tenant's namespace: writes what the tenant's repository says. The dot keeps it out of every workload's names."""
SCANNING_NAMESPACE: Final = "trivy-system"
RUNNER_CONTROLLER_NAMESPACE: Final = "arc-systems"
RUNNER_NAMESPACE: Final = "arc-runners"
RUNNER: Final = "github-actions-runner"
"""Account and value of SERVICE_LABEL of the pods that run workflows, in their namespace."""

SERVICE_LABEL: Final = "app.kubernetes.io/name"
"""On every pod: the service, database or cache it belongs to."""
TENANT_LABEL: Final = "zerotrust.dev/tenant"
"""On a tenant's namespace and everything in it."""
NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
"""Set by the API server on every namespace; nobody can forge it."""
QUARANTINE_LABEL: Final = "zerotrust.dev/quarantined"
"""`true` on a pod that neither calls nor is called; the floor says who sets it and who takes it away."""
REGION_REACH_LABEL: Final = "zerotrust.dev/every-region"
"""On pods and workload entries of a service that other regions may call: its name."""

OPA_PORT: Final = 9191
"""ext_authz of the pod's own OPA, on loopback only."""
OPA_HOST: Final = "opa-ext-authz.internal"
"""The name that stands for the pod's own OPA on loopback."""
OPA_PROVIDER: Final = "opa"
"""The mesh's name for it: of its extension provider, and in the marks that Istio's rules leave for it."""
OPA_TIMEOUT: Final = "0.5s"
OPA_BODY_BYTES: Final = 8192
"""As much of a request's body as the decision sees; the web ACL admits no larger one from outside."""
RATE_LIMIT_PORT: Final = 8081
RATE_LIMIT_SERVICE: Final = "ratelimit"
POSTGRES_PORT: Final = 5432
VALKEY_PORT: Final = 6379
DATABASE_ACCESS_ROLE: Final = "vault_access"
"""In each database of a tenant: who makes the credentials of the graph's edges. No service's name has an underscore, so no
service's certificate is its."""
VAULT_PORT: Final = 8200
VAULT_SERVICE: Final = "vault"
OTLP_GRPC_PORT: Final = 4317
OTLP_HTTP_PORT: Final = 4318
ALERTMANAGER: Final = "alertmanager"
"""Account and value of SERVICE_LABEL of its instances in the observability namespace."""
SIDEKICK: Final = "falcosidekick"
"""Deployment, Service, account and value of SERVICE_LABEL of what forwards runtime events, in the security namespace."""
RESPONDER, RESPONDER_PORT, RESPONDER_PATH = "risk-responder", 8080, "/events"
"""Deployment, Service, account and value of SERVICE_LABEL of what acts on runtime events, in the security namespace; where it
takes them."""
RISK_CONFIG_MAP, RISK_FILE = "workload-risk", "risk.json"
"""In every tenant's namespace: the risk of each workload that has one, by SPIFFE id without the scheme."""
COLLECTOR: Final = "telemetry-gateway"
"""Service, Deployment and account of the collector in the observability namespace: every trace and redacted log passes it."""
LOKI_SERVICE, LOKI_PORT = "loki", 3100
"""In the observability namespace: where logs are written (OTLP under `/otlp`) and asked for, per tenant by `X-Scope-OrgID`."""
TEMPO_SERVICE, JAEGER_SERVICE = "tempo", "jaeger"
"""Accounts and values of SERVICE_LABEL of the stores of traces, of which a cluster has one (`components.graph.traces`): in the
observability namespace, OTLP on the collectors' own port."""
PROMETHEUS: Final = "prometheus"
"""Service account and value of SERVICE_LABEL of the one that scrapes, in the observability namespace."""
INGRESS_PORT: Final = 8443
EGRESS_PORT: Final = 15443
"""Where the egress gateway takes the mesh's mTLS connections of every external host, told apart by SNI."""
EASTWEST_PORT: Final = 15443
"""Where the other regions' callers come in, mTLS passed through by SNI."""
GATEWAY_STATUS_PORT: Final = 15021
PROXY_METRICS_PORT: Final = 15020
BUNDLE_PORT: Final = 8443
"""SPIRE's federation bundle endpoint."""
SPIRE_SOCKET_FILE: Final = "spire-agent.sock"
"""The agent's socket, by the name that agent, driver and proxies are all told: with Istio's default name a proxy without the
socket would fall back to istiod's own CA without a word."""
ISSUER_SERVICE: Final = "keycloak-keycloakx-http"
ISSUER_SERVICE_PORT: Final = 80
ISSUER_PORT: Final = 8080
"""Of the container; from outside the pod it is the sidecar's mTLS."""
FAULTS_ALLOWED: Final = {"chaos-mesh.org/inject": "enabled"}
"""Annotation of a namespace in which faults may be injected; Chaos Mesh touches no other."""
FAULT_CONTROLLER: Final = "chaos-controller-manager"
"""Account of what injects faults, in its own namespace: Prometheus answers it."""
FAULT_CONTROLLER_LABELS: Final = {SERVICE_LABEL: "chaos-mesh", "app.kubernetes.io/component": "controller-manager"}
PROMETHEUS_SERVICE, PROMETHEUS_PORT = "monitoring-prometheus", 9090
"""As the stack's chart names it after its full name, in the observability namespace."""
SPIRE_CLASS: Final = "zerotrust"
"""className of every SPIRE resource: the controller manager ignores resources without it, silently."""
CLUSTER_DOMAIN: Final = "cluster.local"
EVERY_REGION_DOMAIN: Final = "mesh.internal"
"""Hosts `<service>.<tenant>.mesh.internal` stand for a service in every region."""


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A gateway of the mesh: its namespace, and the name of its release, deployment, service account and `istio` label."""

    namespace: str
    name: str

    @property
    def selector(self) -> dict[str, str]:
        """Labels of its pods."""
        return {"istio": self.name}


INGRESS: Final = Gateway(namespace="istio-ingress", name="ingress-gateway")
EGRESS: Final = Gateway(namespace="istio-egress", name="egress-gateway")
EASTWEST: Final = Gateway(namespace="istio-eastwest", name="eastwest-gateway")
GATEWAYS: Final = (INGRESS, EGRESS, EASTWEST)

PLATFORM_NAMESPACES: Final = (
    BACKUP_NAMESPACE,
    CERTIFICATES_NAMESPACE,
    CHAOS_NAMESPACE,
    DATABASE_OPERATOR_NAMESPACE,
    EXTERNAL_DNS_NAMESPACE,
    GATEKEEPER_NAMESPACE,
    GITOPS_NAMESPACE,
    ISSUER_NAMESPACE,
    KYVERNO_NAMESPACE,
    MESH_NAMESPACE,
    NODE_TELEMETRY_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    RATE_LIMIT_NAMESPACE,
    RUNNER_CONTROLLER_NAMESPACE,
    RUNNER_NAMESPACE,
    RUNTIME_NAMESPACE,
    SCANNING_NAMESPACE,
    SECURITY_NAMESPACE,
    SPIRE_SERVER_NAMESPACE,
    SPIRE_SYSTEM_NAMESPACE,
    VAULT_NAMESPACE,
    *(gateway.namespace for gateway in GATEWAYS),
)
"""Every namespace the platform makes beside the tenants'."""


def service_host(tenant: str, service: str) -> str:
    """The name a service is called by inside its region."""
    return f"{service}.{tenant}.svc.{CLUSTER_DOMAIN}"


def database_name(store: str) -> str:
    """A database of the graph and its owner, as SQL writes a name without quotes."""
    return store.replace("-", "_")


def database_group(store: str, privileges: Literal["read", "read_write"]) -> str:
    """The role in a database that holds what an edge of these privileges may do; nobody logs in as it."""
    return f"{database_name(store)}_{privileges}"


def every_region_host(tenant: str, service: str) -> str:
    """The name that stands for the service in every region it runs in; the caller's own region first."""
    return f"{service}.{tenant}.{EVERY_REGION_DOMAIN}"


def vault_host(trust_domain: str) -> str:
    """The private name of a region's Vault, in the hosted zone named after the trust domain."""
    return f"vault.{trust_domain}"


def bundle_host(trust_domain: str) -> str:
    """The private name of a trust domain's bundle endpoint, in the hosted zone named after the trust domain."""
    return f"spire.{trust_domain}"
