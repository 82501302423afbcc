"""What brings a workload its credentials: two native sidecars that log in as the workload and write files into memory.

`spiffe-helper` keeps a JWT-SVID for Vault in a folder that only the agent reads; the agent (`vault agent`) logs in with it, keeps
the token to itself and renders each credential into a file that the application may read. No Secret of Kubernetes holds any of
it, and nothing outlives the pod. The application starts once its files are there.

Relies on: the SPIFFE CSI volume of the pod, ConfigMap `vault-ca` in its namespace, the role that `roles` compiles.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from components.graph.model import Data, Graph, Workload
from components.graph.names import (
    SERVICE_LABEL,
    SPIRE_SOCKET_FILE,
    TENANT_LABEL,
    VAULT_NAMESPACE,
    VAULT_PORT,
    VAULT_SERVICE,
    service_host,
)
from components.manifests import Manifest, manifest
from components.pods import container_security
from components.settings.images import ImagesSettings
from components.settings.tenants import VAULT_AGENT_PORT, VAULT_CPU_MILLICORES, VAULT_MEMORY_MEBIBYTES
from components.vault.engines import aws_mount, database_mount, kv_mount
from components.vault.policies import workload_name
from components.vault.roles import AUDIENCE, login_mount

CA_CONFIG_MAP: Final = "vault-ca"
"""In each tenant's namespace: `ca.crt`, the authority of Vault's own certificate."""
CA_KEY: Final = "ca.crt"
USER: Final = 10002
"""Of both sidecars, so that one reads what the other writes. The login's folder is mounted into no other container."""
SPIFFE_VOLUME: Final = "spiffe-workload-api"
"""The pod's own volume with the socket of SPIRE's agent."""
FILES: Final = "/var/run/secrets/vault"
_SOCKETS: Final = "/run/spire/sockets"
_LOGIN: Final = "/run/vault/login"
_TOKEN: Final = "vault.jwt"  # noqa: S105 - a file's name
_CONFIG: Final = "/etc/vault-agent"
_CA: Final = "/etc/vault-ca"
_HELPER_MEBIBYTES: Final = 32
_HELPER_MILLICORES: Final = 10
_AGENT_CPU_LIMIT: Final = "300m"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What a workload's pod has for it; all empty for a workload that fetches nothing."""

    containers: tuple[dict[str, Any], ...] = ()
    """For `initContainers`: they run as long as the pod does."""
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    """Of the application's container."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of the application's container: where its files are."""


def config_map(workload: str) -> str:
    """The ConfigMap with both sidecars' configurations."""
    return f"{workload}-vault-agent"


def credential_file(edge: Data) -> str:
    """Where an edge's credential lies in the pod: JSON, `username` and `password`."""
    return f"{FILES}/databases/{edge.store.name}.json"


def templates(graph: Graph, workload: Workload) -> dict[str, str]:
    """File → what the agent renders into it."""
    tenant, name, wanted = workload.tenant, workload.name, workload.settings
    found = {
        credential_file(edge): (
            f'{{{{ with secret "{database_mount(edge.store.tenant)}/creds/{edge.key}" }}}}'
            '{"username":{{ .Data.username | toJSON }},"password":{{ .Data.password | toJSON }}}{{ end }}'
        )
        for edge in graph.data_of(workload)
        if edge.store.kind == "database"
    }
    for secret in wanted.secrets:
        found[f"{FILES}/secrets/{secret}.json"] = (
            f'{{{{ with secret "{kv_mount(tenant)}/data/{name}/{secret}" }}}}{{{{ .Data.data | toJSON }}}}{{{{ end }}}}'
        )
    if wanted.aws_role is not None:
        found[f"{FILES}/aws/credentials"] = (
            f'{{{{ with secret "{aws_mount(tenant)}/creds/{name}" }}}}[default]\n'
            "aws_access_key_id = {{ .Data.access_key }}\naws_secret_access_key = {{ .Data.secret_key }}\n"
            "aws_session_token = {{ .Data.security_token }}\n{{ end }}"
        )
    return dict(sorted(found.items()))


def asks_itself(graph: Graph, workload: Workload) -> bool:
    """Whether the application asks Vault by itself, through the agent: what is encrypted or certified is no file."""
    return workload.settings.tenant_key or (graph.settings.vault.pki and workload.serves)


def agent_config(graph: Graph, region: str, workload: Workload) -> dict[str, Any]:
    """The agent's configuration of a workload."""
    made = agent_file(graph, region, workload_name(workload), templates(graph, workload))
    if asks_itself(graph, workload):
        made["api_proxy"] = [{"use_auto_auth_token": "force"}]
        # Loopback, and with a header that no page in a browser and no redirected request brings along.
        loopback = {
            "type": "tcp",
            "address": f"127.0.0.1:{VAULT_AGENT_PORT}",
            "tls_disable": True,
            "require_request_header": True,
        }
        made["listener"] = [loopback]
    return made


def agent_file(graph: Graph, region: str, role: str, files: Mapping[str, str]) -> dict[str, Any]:
    """What an agent is told: its role, and file → template. There is no sink: the token stays in the agent's memory."""
    mount = login_mount(graph, region)
    method = {
        "type": "jwt",
        "mount_path": f"auth/{mount.path}",
        "max_backoff": "30s",
        "config": [
            {
                "role": role,
                "path": f"{_LOGIN}/{_TOKEN}",
                # spiffe-helper writes it anew long before it ends; the next login reads it again
                "remove_jwt_after_reading": False,
            }
        ],
    }
    # Blocks are lists: HCL reads an object within an object as several blocks.
    return {
        "vault": [
            {"address": f"https://{service_host(VAULT_NAMESPACE, VAULT_SERVICE)}:{VAULT_PORT}", "ca_cert": f"{_CA}/{CA_KEY}"}
        ],
        "auto_auth": [{"method": [method]}],
        "template_config": [{"exit_on_retry_failure": True, "static_secret_render_interval": "5m"}],
        "template": [
            {"destination": path, "contents": contents, "perms": "0440", "error_on_missing_key": True}
            for path, contents in files.items()
        ],
    }


def helper_config() -> str:
    """spiffe-helper's configuration: one token for one audience, and no certificate."""
    return "\n".join(
        (
            f'agent_address = "{_SOCKETS}/{SPIRE_SOCKET_FILE}"',
            f'cert_dir = "{_LOGIN}"',
            "daemon_mode = true",
            f'jwt_svids = [{{ jwt_audience = "{AUDIENCE}", jwt_svid_file_name = "{_TOKEN}" }}]',
            "",
        )
    )


def configuration(agent: Mapping[str, Any]) -> dict[str, str]:
    """Both sidecars' files, as their ConfigMap holds them."""
    return {"agent.json": json.dumps(agent, indent=1, sort_keys=True), "helper.conf": helper_config()}


def delivery_objects(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """The configurations of the tenant's workloads that fetch anything."""
    return tuple(
        manifest(
            "v1",
            "ConfigMap",
            config_map(workload.name),
            namespace=tenant,
            labels={TENANT_LABEL: tenant, SERVICE_LABEL: workload.name},
            data=configuration(agent_config(graph, region, workload)),
        )
        for workload in graph.workloads_of(tenant, region)
        if graph.fetches(workload)
    )


def delivery(graph: Graph, region: str, workload: Workload) -> Delivery:
    """What a workload's pod has beside the application, and what the application is told."""
    if not graph.fetches(workload):
        return Delivery()
    made = sidecars(graph.settings.images, workload.name, tuple(templates(graph, workload)), FILES)
    return replace(made, variables=_variables(graph, region, workload))


def sidecars(images: ImagesSettings, account: str, files: Sequence[str], folder: str) -> Delivery:
    """Both sidecars of one account, and the folder with the files for the application's container.

    Args:
        images: where the sidecars' images are pinned.
        account: whose configuration they read (`config_map`).
        files: what must be there before the application starts; none for one that only asks.
        folder: where they lie, in the agent's and in the application's container.
    """
    configured = {"name": "vault-agent-config", "mountPath": _CONFIG, "readOnly": True}
    helper = _sidecar("spiffe-helper", images.spiffe_helper, _HELPER_MILLICORES, _HELPER_MEBIBYTES, "50m")
    agent = _sidecar(
        "vault-agent",
        images.vault,
        VAULT_CPU_MILLICORES - _HELPER_MILLICORES,
        VAULT_MEMORY_MEBIBYTES - _HELPER_MEBIBYTES,
        _AGENT_CPU_LIMIT,
    )
    helper |= {
        "args": ["-config", f"{_CONFIG}/helper.conf"],
        "volumeMounts": [
            {"name": SPIFFE_VOLUME, "mountPath": _SOCKETS, "readOnly": True},
            {"name": "vault-login", "mountPath": _LOGIN},
            configured,
        ],
    }
    agent |= {
        # Past the image's entrypoint, which would give the binary a capability that this container must not have.
        "command": ["vault", "agent", f"-config={_CONFIG}/agent.json"],
        "env": [{"name": "HOME", "value": _LOGIN}],
        "volumeMounts": [
            {"name": "vault-login", "mountPath": _LOGIN, "readOnly": True},
            {"name": "vault-files", "mountPath": folder},
            {"name": "vault-ca", "mountPath": _CA, "readOnly": True},
            configured,
        ],
    }
    if files:
        there = " && ".join(f"test -s {path}" for path in files)
        agent["startupProbe"] = {"exec": {"command": ["/bin/sh", "-c", there]}, "periodSeconds": 2, "failureThreshold": 150}
    memory = {"medium": "Memory", "sizeLimit": "1Mi"}
    return Delivery(
        containers=(helper, agent),
        volumes=(
            {"name": "vault-login", "emptyDir": dict(memory)},
            {"name": "vault-files", "emptyDir": dict(memory)},
            {"name": "vault-agent-config", "configMap": {"name": config_map(account), "optional": False}},
            {"name": "vault-ca", "configMap": {"name": CA_CONFIG_MAP, "optional": False}},
        ),
        mounts=({"name": "vault-files", "mountPath": folder, "readOnly": True},) if files else (),
    )


def _variables(graph: Graph, region: str, workload: Workload) -> dict[str, str]:
    """For a database `ledger`: `LEDGER_CREDENTIALS`, a file."""
    found = {
        f"{edge.store.name.upper().replace('-', '_')}_CREDENTIALS": credential_file(edge)
        for edge in graph.data_of(workload)
        if edge.store.kind == "database"
    }
    if workload.settings.secrets:
        found["SECRETS_DIRECTORY"] = f"{FILES}/secrets"
    if workload.settings.aws_role is not None:
        found |= {"AWS_SHARED_CREDENTIALS_FILE": f"{FILES}/aws/credentials", "AWS_REGION": region}
    if asks_itself(graph, workload):
        found["VAULT_ADDR"] = f"http://127.0.0.1:{VAULT_AGENT_PORT}"
    return found


def _sidecar(name: str, image: str, millicores: int, mebibytes: int, cpu_limit: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "restartPolicy": "Always",
        "resources": {
            "requests": {"cpu": f"{millicores}m", "memory": f"{mebibytes}Mi"},
            "limits": {"cpu": cpu_limit, "memory": f"{mebibytes}Mi"},
        },
        "securityContext": container_security(USER),
    }
