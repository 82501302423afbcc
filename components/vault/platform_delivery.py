"""What brings the platform's own parts their secrets: the same two sidecars as beside a workload, on a part's own account.

Relies on: the part's registration with SPIRE, ConfigMap `vault-ca` and the agent's ConfigMap in its namespace, the role that
`access_plan` compiles, the inline volume of SPIRE's driver.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.graph.model import Graph
from components.graph.names import SERVICE_LABEL
from components.graph.readers import Reader
from components.manifests import Manifest, manifest
from components.vault.delivery import CA_CONFIG_MAP, CA_KEY, SPIFFE_VOLUME, agent_file, config_map, configuration, sidecars
from components.vault.readers import secret_path

HASH: Final = "zerotrust.dev/vault-agent"
"""Annotation of a pod: an agent reads its configuration once, so a change of it must replace the pod."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What one part of the platform is brought."""

    reader: Reader
    folder: str
    """Where its files lie."""
    files: Mapping[str, str]
    """File, in full → the agent's template."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What its pods have for it."""

    init_containers: tuple[dict[str, Any], ...]
    """They run as long as the pod does; the application starts once its files are there."""
    volumes: tuple[dict[str, Any], ...]
    mounts: tuple[dict[str, Any], ...]
    """Of the application's container."""
    annotations: Mapping[str, str]


def value_template(secret: str, key: str) -> str:
    """What the agent renders one key of a platform's secret by."""
    return f'{{{{ with secret "{secret_path(secret)}" }}}}{{{{ .Data.data.{key} }}}}{{{{ end }}}}'


def _agent(graph: Graph, region: str, parcel: Parcel) -> dict[str, Any]:
    return agent_file(graph, region, parcel.reader.name, dict(sorted(parcel.files.items())))


def platform_delivery(graph: Graph, region: str, parcel: Parcel) -> Brought:
    """What stands beside the part in its pods."""
    made = sidecars(graph.settings.images, parcel.reader.account, tuple(sorted(parcel.files)), parcel.folder)
    told = json.dumps(_agent(graph, region, parcel), sort_keys=True)
    return Brought(
        init_containers=made.containers,
        volumes=({"name": SPIFFE_VOLUME, "csi": {"driver": "csi.spiffe.io", "readOnly": True}}, *made.volumes),
        mounts=made.mounts,
        annotations={HASH: hashlib.sha256(told.encode()).hexdigest()[:16]},
    )


def platform_delivery_objects(
    graph: Graph, region: str, parcels: tuple[Parcel, ...], authority: pulumi.Input[str]
) -> tuple[Manifest, ...]:
    """The agents' configurations, and who signs Vault's certificate in each of their namespaces."""
    namespaces = sorted({parcel.reader.namespace for parcel in parcels})
    return (
        *(manifest("v1", "ConfigMap", CA_CONFIG_MAP, namespace=namespace, data={CA_KEY: authority}) for namespace in namespaces),
        *(
            manifest(
                "v1",
                "ConfigMap",
                config_map(parcel.reader.account),
                namespace=parcel.reader.namespace,
                labels={SERVICE_LABEL: parcel.reader.account},
                data=configuration(_agent(graph, region, parcel)),
            )
            for parcel in parcels
        ),
    )
