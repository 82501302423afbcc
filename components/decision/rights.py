"""What the responder may do in a tenant's namespace: write the one object of risks, and label pods.

RBAC cannot say which label, nor that a risk only rises: the floor does (`admission/floor/quarantine.yaml`, `decision-data.yaml`).
"""

from typing import Any, Final

from components.graph.model import Graph
from components.graph.names import RESPONDER, RISK_CONFIG_MAP, SECURITY_NAMESPACE, TENANT_LABEL
from components.manifests import Manifest, manifest

RBAC: Final = "rbac.authorization.k8s.io"


def responder_rights(graph: Graph, tenant: str) -> tuple[Manifest, ...]:
    """Role and binding in a tenant's namespace; nothing where the settings have no responder."""
    if graph.settings.runtime.responder is None:
        return ()
    placed: dict[str, Any] = {"namespace": tenant, "labels": {TENANT_LABEL: tenant}}
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [RISK_CONFIG_MAP], "verbs": ["get", "update"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "patch"]},
    ]
    account = {"kind": "ServiceAccount", "name": RESPONDER, "namespace": SECURITY_NAMESPACE}
    return (
        manifest(f"{RBAC}/v1", "Role", RESPONDER, **placed, rules=rules),
        manifest(
            f"{RBAC}/v1",
            "RoleBinding",
            RESPONDER,
            **placed,
            roleRef={"apiGroup": RBAC, "kind": "Role", "name": RESPONDER},
            subjects=[account],
        ),
    )
