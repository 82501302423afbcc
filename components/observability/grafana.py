"""Grafana: dashboards from files, data sources for each tenant, people by the environment's issuer.

Guarantees: no password exists (the form and basic authentication are off, the first administrator is never made), nobody is let
in without one of two roles, the client has no secret (authorization code with PKCE); nothing is kept in a volume, dashboards and
data sources are what this program says. It has no way in from any network: who may forward a port in this namespace reaches it
through the API server, and signs in there. A tenant's logs and traces are read through a data source of the tenant's own name.
"""

from typing import Any, Final

from components.graph.model import Graph
from components.graph.names import LOKI_PORT, LOKI_SERVICE, OBSERVABILITY_NAMESPACE, service_host
from components.graph.traces import trace_hosts, trace_port, trace_store
from components.observability.prometheus import PORT, RELEASE, SERVICE
from components.observability.stores import proxy_annotations, telemetry_tenants
from components.pods import pod_resources, spread_over_zones, system_placement
from components.settings.observability import LoginSettings

PAGE: Final = "http://localhost:3000"
"""The address after forwarding the port; the issuer's client has it for a redirect."""
DASHBOARD_LABEL: Final = "grafana_dashboard"
FOLDER_ANNOTATION: Final = "grafana_folder"


def keycloak_login(issuer: str) -> LoginSettings:
    """Keycloak's endpoints, which follow from the issuer."""
    base = f"{issuer}/protocol/openid-connect"
    return LoginSettings(auth_url=f"{base}/auth", token_url=f"{base}/token", userinfo_url=f"{base}/userinfo")


def grafana_ini(graph: Graph) -> dict[str, Any]:
    """grafana.ini by section."""
    wanted = graph.settings.observability.dashboards
    login = wanted.login or keycloak_login(graph.settings.identity.issuer)
    role = f"contains(roles[*], '{wanted.admin_role}') && 'Admin' || contains(roles[*], '{wanted.viewer_role}') && 'Viewer'"
    return {
        "server": {"root_url": PAGE},
        "analytics": {"reporting_enabled": False, "check_for_updates": False, "check_for_plugin_updates": False},
        "auth": {"disable_login_form": True, "oauth_auto_login": True},
        "auth.anonymous": {"enabled": False},
        "auth.basic": {"enabled": False},
        "auth.generic_oauth": {
            "enabled": True,
            "name": "Platform",
            "client_id": wanted.client_id,
            "use_pkce": True,
            "scopes": "openid profile email",
            "auth_url": login.auth_url,
            "token_url": login.token_url,
            "api_url": login.userinfo_url,
            "role_attribute_path": role,
            "role_attribute_strict": True,  # without one of the roles there is no session at all
            "allow_assign_grafana_admin": False,
            "allow_sign_up": True,
        },
        "security": {
            "disable_initial_admin_creation": True,
            "cookie_samesite": "strict",
            "strict_transport_security": False,  # the address is the person's own machine
            "content_security_policy": True,
            "disable_gravatar": True,
        },
        "users": {"allow_sign_up": False, "allow_org_create": False, "viewers_can_edit": False},
        "snapshots": {"external_enabled": False},
        "dashboards": {"min_refresh_interval": "30s"},
        "plugins": {"plugin_admin_enabled": False},
        "log": {"mode": "console"},
        "log.console": {"format": "json"},
    }


def data_sources(graph: Graph) -> list[dict[str, Any]]:
    """Prometheus once, logs and traces once for each name they are kept under; what a page sends says whose they are."""
    prometheus = service_host(OBSERVABILITY_NAMESPACE, SERVICE)
    loki = service_host(OBSERVABILITY_NAMESPACE, LOKI_SERVICE)
    found: list[dict[str, Any]] = [
        {
            "name": "Prometheus",
            "uid": "prometheus",
            "type": "prometheus",
            "access": "proxy",
            "url": f"http://{prometheus}:{PORT}",
            "isDefault": True,
            "jsonData": {"httpMethod": "POST", "timeInterval": "30s"},
        }
    ]
    found += [_named("loki", "Logs", f"{loki}:{LOKI_PORT}", name) for name in telemetry_tenants(graph)]
    kind, port = trace_store(graph), trace_port(graph)
    return [*found, *(_named(kind, "Traces", f"{host}:{port}", name) for name, host in trace_hosts(graph).items())]


def _named(kind: str, title: str, address: str, name: str) -> dict[str, Any]:
    return {
        "name": f"{title} {name}",
        "uid": f"{kind}-{name}",
        "type": kind,
        "access": "proxy",
        "url": f"http://{address}",
        # A name, no secret: who may send it at all is the mesh's to say.
        "jsonData": {"httpHeaderName1": "X-Scope-OrgID"},
        "secureJsonData": {"httpHeaderValue1": name},
    }


def grafana_values(graph: Graph) -> dict[str, Any]:
    """The stack's values under `grafana`."""
    labels = {"app.kubernetes.io/name": "grafana", "app.kubernetes.io/instance": RELEASE}
    sidecar = {"searchNamespace": OBSERVABILITY_NAMESPACE, "resource": "configmap"}
    return {
        "enabled": True,
        "fullnameOverride": "grafana",
        "replicas": 1,
        "defaultDashboardsEnabled": False,
        "serviceAccount": {"create": True, "name": "grafana"},
        "rbac": {"create": True, "namespaced": True},
        "testFramework": {"enabled": False},
        "persistence": {"enabled": False},
        "initChownData": {"enabled": False},  # the one root container; there is no volume to own
        "podAnnotations": proxy_annotations(metrics_port=3000, plain_out=(443,)),
        "grafana.ini": grafana_ini(graph),
        "assertNoLeakedSecrets": True,
        "serviceMonitor": {"enabled": False},  # at its proxy
        "podDisruptionBudget": {"maxUnavailable": 1},
        "topologySpreadConstraints": spread_over_zones(labels),
        "containerSecurityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": pod_resources("100m", "256Mi", memory_limit="512Mi"),
        "sidecar": {
            "resources": pod_resources("10m", "128Mi"),
            "dashboards": {
                "enabled": True,
                "label": DASHBOARD_LABEL,
                "labelValue": "1",
                "folderAnnotation": FOLDER_ANNOTATION,
                "provider": {"foldersFromFilesStructure": True, "allowUiUpdates": False},
                # Files are read again by themselves; the reload call would need a password.
                "skipReload": True,
                **sidecar,
            },
            "datasources": {"enabled": False, "defaultDatasourceEnabled": False, "alertmanager": {"enabled": False}},
        },
        "datasources": {"datasources.yaml": {"apiVersion": 1, "datasources": data_sources(graph)}},
        **system_placement(),
    }
