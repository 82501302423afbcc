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
from components.graph.names import (
    MESH_NAMESPACE,
    OPA_BODY_BYTES,
    OPA_HOST,
    OPA_PORT,
    OPA_PROVIDER,
    OPA_TIMEOUT,
    RESPONDER,
    RISK_CONFIG_MAP,
    RISK_FILE,
    SERVICE_LABEL,
    TENANT_LABEL,
)
from components.manifests import Manifest, manifest

RULES_CONFIG_MAP: Final = "opa-policy"
DATA_FILE: Final = "data.json"
OWNER_LABEL: Final = "zerotrust.dev/data-owner"
"""Who writes an object's data after it was created; the program must ignore changes of it."""
VERIFIED_CLAIMS: Final = "envoy.filters.http.jwt_authn"
"""The metadata namespace where Envoy's JWT filter leaves what it verified, below Istio's key `payload`."""
_EXT_AUTHZ: Final = "envoy.filters.http.ext_authz"
AFTER_OTHERS: Final = 10
"""Priority of the patches: what others insert before the router stands before the question."""
_ROUTER: Final = "envoy.filters.http.router"
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
    """What a region has once: OPA is asked after the token was verified, and is told what it says.

    Istio puts the filter of a CUSTOM policy before that of tokens and hands no metadata on, and has a setting for neither: no
    condition on a token could ever be met. So its filter is taken out, and the same one stands before the router, which every
    listener has: what may be missing is a claim, never the question. Whom it concerns is still the CUSTOM policy's to say: its
    rules mark the request, and one without their mark is not asked about.
    """
    patches = [
        _patch(_EXT_AUTHZ, {"operation": "REMOVE"}),
        _patch(_ROUTER, {"operation": "INSERT_BEFORE", "value": authorizer_filter()}),
    ]
    name = "verified-claims-for-opa"
    kind = "networking.istio.io/v1alpha3", "EnvoyFilter"
    return (manifest(*kind, name, namespace=MESH_NAMESPACE, spec={"priority": AFTER_OTHERS, "configPatches": patches}),)


def authorizer_filter() -> dict[str, Any]:
    """Envoy's filter that asks the pod's own OPA, as Istio makes it of the mesh's provider, and with the verified claims."""
    mark = {"key": "istio_ext_authz_shadow_effective_policy_id"}
    return {
        "name": _EXT_AUTHZ,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "grpc_service": {
                "envoy_grpc": {"cluster_name": f"outbound|{OPA_PORT}||{OPA_HOST}", "authority": OPA_HOST},
                "timeout": OPA_TIMEOUT,
            },
            "with_request_body": {"max_request_bytes": OPA_BODY_BYTES, "allow_partial_message": True},
            "status_on_error": {"code": "Forbidden"},
            "metadata_context_namespaces": [VERIFIED_CLAIMS],
            "filter_enabled_metadata": {
                "filter": "envoy.filters.http.rbac",
                "path": [mark],
                "value": {"string_match": {"prefix": f"istio-ext-authz-{OPA_PROVIDER}"}},
            },
        },
    }


def _patch(filter_name: str, patch: dict[str, Any]) -> dict[str, Any]:
    manager = {"name": "envoy.filters.network.http_connection_manager", "subFilter": {"name": filter_name}}
    match = {"context": "SIDECAR_INBOUND", "listener": {"filterChain": {"filter": manager}}}
    return {"applyTo": "HTTP_FILTER", "match": match, "patch": patch}


def written_by_the_responder(wanted: Manifest) -> bool:
    """Whether the object's `data` belongs to the responder: register it with `ignore_changes` on `data`."""
    return bool(wanted["metadata"]["labels"].get(OWNER_LABEL) == RESPONDER)


def document(value: dict[str, Any]) -> str:
    """JSON text that is the same for the same value."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def _config_map(tenant: str, name: str, data: dict[str, str], labels: Mapping[str, str] | None = None) -> Manifest:
    return manifest("v1", "ConfigMap", name, namespace=tenant, labels={TENANT_LABEL: tenant, **(labels or {})}, data=data)
