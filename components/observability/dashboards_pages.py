"""The pages: who calls whom, what is refused and by which layer, who is who, secrets, admission, the edge, stores and backups.

Metrics are those that the pinned versions export; tests hold each name to a list recorded from their sources.
"""

from typing import Final

from components.graph.model import Graph
from components.observability.dashboards import Page, Panel, rate
from components.observability.dashboards_telemetry import TELEMETRY
from components.observability.stores import telemetry_tenants

PLATFORM, SECURITY, TENANTS = "Platform", "Security", "Tenants"
CALLS: Final = "istio_requests_total"
WEBHOOKS: Final = "apiserver_admission_webhook_admission_duration_seconds_bucket"
KYVERNO_KINDS: Final = ("generating", "mutating")
"""Kinds of policies that the platform has; Kyverno counts each kind under a name of its own."""
AT_CALLEE: Final = 'reporter="destination"'
BUCKET: Final = "istio_request_duration_milliseconds_bucket"


def _quantile(by: str, match: str) -> str:
    return f"histogram_quantile(0.99, sum by ({by}, le) (rate({BUCKET}{{{match}}}[5m])))"


MESH = Page(
    name="calls",
    title="Who calls whom",
    folder=PLATFORM,
    panels=(
        Panel(
            title="Calls between services, by identity",
            form="table",
            width=24,
            queries=(rate(CALLS, "source_principal, destination_principal, response_code", AT_CALLEE),),
        ),
        Panel(
            title="Error ratio by tenant",
            unit="percentunit",
            legend="{{destination_service_namespace}}",
            queries=("slo:call_errors:ratio_rate5m",),
        ),
        Panel(
            title="99th percentile by callee",
            unit="ms",
            legend="{{destination_workload}}",
            queries=(_quantile("destination_workload", AT_CALLEE),),
        ),
        Panel(
            title="Calls without mutual TLS",
            legend="{{destination_workload}}",
            queries=(rate(CALLS, "destination_workload", f'{AT_CALLEE}, connection_security_policy="none"'),),
        ),
        Panel(
            title="Configuration: pushes, those that failed, and those that a proxy refused",
            legend="{{type}}",
            queries=(rate("pilot_xds_pushes", "type"), rate("pilot_total_xds_rejects", "type")),
        ),
    ),
)
DENIALS = Page(
    name="denials",
    title="What is refused, by layer",
    folder=SECURITY,
    panels=(
        Panel(
            title="Mesh: refused by rule (403)",
            legend="{{source_principal}} → {{destination_workload}}",
            queries=(rate(CALLS, "source_principal, destination_workload", f'{AT_CALLEE}, response_code="403"'),),
        ),
        Panel(
            title="OPA: refused by condition",
            legend="{{destination_workload}}",
            queries=(rate(CALLS, "destination_workload", f'{AT_CALLEE}, response_flags="UAEX"'),),
        ),
        Panel(
            title="Network: packets dropped",
            legend="{{reason}} {{direction}}",
            queries=(rate("cilium_drop_count_total", "reason, direction"),),
        ),
        Panel(title="Network: flows dropped", legend="{{reason}}", queries=(rate("hubble_drop_total", "reason"),)),
        Panel(
            title="Admission: Gatekeeper",
            legend="{{admission_status}}",
            queries=(rate("gatekeeper_validation_request_count_total", "admission_status"),),
        ),
        Panel(
            title="Detection: Falco",
            legend="{{priority}} {{rule}}",
            queries=(rate("falcosecurity_falcosidekick_falco_events_total", "priority, rule"),),
        ),
    ),
)
IDENTITIES = Page(
    name="identities",
    title="Identities",
    folder=SECURITY,
    panels=(
        Panel(title="SVIDs signed", legend="{{pod}}", queries=(rate("spire_server_server_ca_sign_x509_svid", "pod"),)),
        Panel(
            title="Authority: seconds left",
            unit="s",
            legend="{{trust_domain_id}}",
            queries=("max by (trust_domain_id) (spire_server_manager_x509_ca_rotate_expiration) - time()",),
        ),
        Panel(
            title="Bundles fetched from other regions",
            legend="{{trust_domain_id}} {{status}}",
            queries=(rate("spire_server_bundle_manager_fetch_federated_bundle", "trust_domain_id, status"),),
        ),
        Panel(
            title="Renewals by agents",
            legend="{{status}}",
            queries=(rate("spire_agent_manager_sync_fetch_svids_updates", "status"),),
        ),
        Panel(
            title="Attestations of workloads",
            legend="{{status}}",
            queries=(rate("spire_agent_workload_api_workload_attestation", "status"),),
        ),
        Panel(
            title="Certificates outside the mesh: days left",
            unit="d",
            legend="{{namespace}}/{{name}}",
            queries=("(certmanager_certificate_expiration_timestamp_seconds - time()) / 86400",),
        ),
    ),
)
SECRETS = Page(
    name="secrets",
    title="Secrets",
    folder=SECURITY,
    panels=(
        Panel(title="Unsealed", form="stat", legend="{{pod}}", queries=("vault_core_unsealed",)),
        Panel(
            title="Requests",
            legend="{{pod}}",
            queries=(rate("vault_core_handle_request_count", "pod"), rate("vault_core_handle_login_request_count", "pod")),
        ),
        Panel(title="Leases", legend="{{pod}}", queries=("vault_expire_num_leases",)),
        Panel(
            title="Audit devices that fail",
            legend="{{pod}}",
            queries=(rate("vault_audit_log_request_failure", "pod"), rate("vault_audit_log_response_failure", "pod")),
        ),
    ),
)
ADMISSION = Page(
    name="admission",
    title="Admission",
    folder=SECURITY,
    panels=(
        Panel(
            title="Violations found by audit",
            legend="{{enforcement_action}}",
            queries=("sum by (enforcement_action) (gatekeeper_violations)",),
        ),
        Panel(
            title="Requests judged",
            legend="{{admission_status}}",
            queries=(rate("gatekeeper_validation_request_count_total", "admission_status"),),
        ),
        Panel(
            title="Kyverno: results",
            legend="{{policy_name}} {{result}}",
            queries=tuple(rate(f"kyverno_{kind}_policy_results_total", "policy_name, result") for kind in KYVERNO_KINDS),
        ),
        Panel(
            title="Webhooks: seconds (99th percentile)",
            unit="s",
            legend="{{name}}",
            queries=(f"histogram_quantile(0.99, sum by (name, le) (rate({WEBHOOKS}[5m])))",),
        ),
    ),
)
EDGE = Page(
    name="edge",
    title="Edge",
    folder=PLATFORM,
    panels=(
        Panel(
            title="Requests from outside",
            legend="{{response_code}}",
            queries=(rate(CALLS, "response_code", 'reporter="source", source_workload="ingress-gateway"'),),
        ),
        Panel(
            title="99th percentile from outside",
            unit="ms",
            legend="{{destination_workload}}",
            queries=(_quantile("destination_workload", 'reporter="source", source_workload="ingress-gateway"'),),
        ),
        Panel(
            title="Refused at the gateway",
            legend="{{response_flags}}",
            queries=(rate(CALLS, "response_flags", 'source_workload="ingress-gateway", response_code=~"401|403|429"'),),
        ),
        Panel(
            title="Out of the cluster",
            legend="{{destination_service_name}}",
            queries=(rate("istio_tcp_connections_opened_total", "destination_service_name", 'source_workload="egress-gateway"'),),
        ),
    ),
)
STORES = Page(
    name="stores",
    title="Databases, backups and volumes",
    folder=PLATFORM,
    panels=(
        Panel(
            title="Seconds behind the primary",
            unit="s",
            legend="{{namespace}}/{{pod}}",
            queries=("max by (namespace, pod) (cnpg_pg_replication_lag)",),
        ),
        Panel(
            title="Seconds since the log was archived",
            unit="s",
            legend="{{namespace}}/{{pod}}",
            queries=("cnpg_pg_stat_archiver_seconds_since_last_archival",),
        ),
        Panel(
            title="Volumes: share left",
            unit="percentunit",
            legend="{{namespace}}/{{persistentvolumeclaim}}",
            queries=("kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes",),
        ),
        Panel(
            title="Velero: hours since the last good backup",
            unit="h",
            legend="{{schedule}}",
            queries=('(time() - velero_backup_last_successful_timestamp{schedule!=""}) / 3600',),
        ),
    ),
)


def tenant_page(tenant: str) -> Page:
    """What a tenant's people look at: their calls, their pods, their lines, in a folder of their own."""
    match = f'{AT_CALLEE}, destination_service_namespace="{tenant}"'
    return Page(
        name=f"tenant-{tenant}",
        title=f"Tenant {tenant}",
        folder=f"{TENANTS} {tenant}",
        panels=(
            Panel(
                title="Requests by service",
                legend="{{destination_workload}} {{response_code}}",
                queries=(rate(CALLS, "destination_workload, response_code", match),),
            ),
            Panel(
                title="99th percentile by service",
                unit="ms",
                legend="{{destination_workload}}",
                queries=(_quantile("destination_workload", match),),
            ),
            Panel(
                title="Memory",
                unit="bytes",
                legend="{{pod}}",
                queries=(f'sum by (pod) (container_memory_working_set_bytes{{namespace="{tenant}", container!=""}})',),
            ),
            Panel(
                title="CPU",
                legend="{{pod}}",
                queries=(rate("container_cpu_usage_seconds_total", "pod", f'namespace="{tenant}", container!=""'),),
            ),
            Panel(
                title="Lines by service",
                legend="{{service_name}}",
                language="logql",
                source=f"loki-{tenant}",
                queries=('sum by (service_name) (rate({service_name=~".+"}[5m]))',),
            ),
            Panel(
                title="Refused calls",
                form="logs",
                language="logql",
                source=f"loki-{tenant}",
                queries=('{k8s_container_name="istio-proxy"} | json | status = `403`',),
            ),
        ),
    )


def security_logs() -> Page:
    """Lines of detection and audit."""
    return Page(
        name="evidence",
        title="Evidence",
        folder=SECURITY,
        panels=(
            Panel(
                title="Falco: what it saw",
                form="logs",
                width=24,
                language="logql",
                source="loki-security",
                queries=('{source="syscall"} | json',),
            ),
            Panel(
                title="Audit: what was refused",
                form="logs",
                width=24,
                language="logql",
                source="loki-audit",
                queries=('{service_name="audit"} | event_type = `denied`',),
            ),
        ),
    )


def pages(graph: Graph) -> tuple[Page, ...]:
    """Every page, the tenants' after the platform's."""
    own = [tenant for tenant in telemetry_tenants(graph) if tenant in graph.tenants]
    fixed = (MESH, DENIALS, IDENTITIES, SECRETS, ADMISSION, EDGE, STORES, TELEMETRY, security_logs())
    return (*fixed, *(tenant_page(tenant) for tenant in own))
