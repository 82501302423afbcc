"""The decision layer of a region as objects: the rules, each workload's edges, the workloads' risk, and Envoy's hand-over.

Relies on the mesh for the question itself: an `envoyExtAuthzGrpc` provider on 127.0.0.1:9191 that fails closed and includes the
body (`maxRequestBytes`, `allowPartialMessage: true`, `packAsBytes: false`), asked after the JWT filter.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from components.decision.data import workload_data
from components.graph.model import Graph
from components.graph.names import MESH_NAMESPACE, SERVICE_LABEL, TENANT_LABEL
from components.manifests import Manifest, manifest

RULES_CONFIG_MAP: Final = "opa-policy"
RISK_CONFIG_MAP: Final = "workload-risk"
RISK_FILE: Final = "risk.json"
DATA_FILE: Final = "data.json"
OWNER_LABEL: Final = "zerotrust.dev/data-owner"
"""Who writes an object's data after it was created; the program must ignore changes of it."""
RESPONDER: Final = "risk-responder"
VERIFIED_CLAIMS: Final = "envoy.filters.http.jwt_authn"
"""The metadata namespace where Envoy's JWT filter leaves what it verified, below Istio's key `payload`."""
_EXT_AUTHZ: Final = "envoy.filters.http.ext_authz"
_FILES: Final = Path(__file__).parent / "files"


@cache
def rules() -> Mapping[str, str]:
    """The Rego modules that run, by file name; their tests stay in the tree."""
    return MappingProxyType(
        {file.name: file.read_text(encoding="utf-8") for file in sorted(_FILES.glob("*.rego")) if not file.stem.endswith("_test")}
    )


def data_config_map(service: str) -> str:
    """The name of the ConfigMap with a workload's edges."""
    return f"opa-data-{service}"


def tenant_objects(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """What the OPAs of a tenant's pods read in a region: ConfigMaps in the tenant's namespace.

    `opa-policy` and `workload-risk` once, `opa-data-<service>` per workload. Another tenant's edges change nothing here, except
    in the workload they end at.
    """
    return (
        _config_map(tenant, RULES_CONFIG_MAP, dict(rules())),
        _config_map(tenant, RISK_CONFIG_MAP, {RISK_FILE: "{}\n"}, {OWNER_LABEL: RESPONDER}),
        *(
            _config_map(
                tenant,
                data_config_map(workload.name),
                {DATA_FILE: document(workload_data(graph, region, workload))},
                {SERVICE_LABEL: workload.name},
            )
            for workload in graph.workloads_of(tenant, region)
        ),
    )


def region_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:  # noqa: ARG001 - the compilers' common signature
    """What a region has once: sidecars hand the claims they verified to OPA.

    Istio's ext_authz filter passes no metadata on (its builder leaves `metadata_context_namespaces` empty, and has no setting for
    it); without this patch every condition on a token is undecidable and refused.
    """
    chain = {
        "filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager", "subFilter": {"name": _EXT_AUTHZ}}}
    }
    value = {
        "name": _EXT_AUTHZ,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "metadata_context_namespaces": [VERIFIED_CLAIMS],
        },
    }
    patch = {
        "applyTo": "HTTP_FILTER",
        "match": {"context": "SIDECAR_INBOUND", "listener": chain},
        "patch": {"operation": "MERGE", "value": value},
    }
    return (
        manifest(
            "networking.istio.io/v1alpha3",
            "EnvoyFilter",
            "verified-claims-for-opa",
            namespace=MESH_NAMESPACE,
            spec={"configPatches": [patch]},
        ),
    )


def written_by_the_responder(wanted: Manifest) -> bool:
    """Whether the object's `data` belongs to the responder: register it with `ignore_changes` on `data`."""
    return bool(wanted["metadata"]["labels"].get(OWNER_LABEL) == RESPONDER)


def document(value: dict[str, Any]) -> str:
    """JSON text that is the same for the same value."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def _config_map(tenant: str, name: str, data: dict[str, str], labels: Mapping[str, str] | None = None) -> Manifest:
    return manifest("v1", "ConfigMap", name, namespace=tenant, labels={TENANT_LABEL: tenant, **(labels or {})}, data=data)
