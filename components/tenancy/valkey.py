"""Valkey with TLS 1.3 only: who may do what is decided by the client certificate's common name, there are no passwords.

For the tenants' caches and the rate limiter's counters. The `default` user is off and has no rights, so a certificate that
no ACL names is refused although its authority is trusted; each named user has no password either, so that nobody becomes
another by AUTH. One primary, the pod 0, and read-only replicas: what is lost with it is a cache, and no vote on who writes
needs a quorum of its own. Relies on: Valkey 9.1 or later (`tls-auth-clients-user`, `tls-auto-reload-interval`; an older one
does not start), the namespace's certificate authority.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from components.certificates import OWN, Issuer, leaf
from components.graph.names import CLUSTER_DOMAIN, SERVICE_LABEL, VALKEY_PORT
from components.manifests import WITHOUT_AWAIT, Manifest, manifest
from components.pods import SECRET_MODE, container_security, pod_security, spread_over_zones
from components.settings.tenants import CACHE_CPU_MILLICORES, mebibytes

USER: Final = 10002
CONFIG: Final = "/etc/valkey/config"
TLS: Final = "/etc/valkey/tls"
DATA: Final = "/data"
RELOAD_SECONDS: Final = 300
"""How often it looks for a renewed certificate."""
USABLE_SHARE: Final = 0.7
"""Of the memory limit; the rest is for replication buffers and the fork that synchronises a replica."""
CONFIG_HASH: Final = "zerotrust.dev/config"
PORT_NAME: Final = "tcp-valkey"

Privileges = Literal["read", "read_write"]
RIGHTS: Final[Mapping[Privileges, str]] = {
    "read": "%R~* resetchannels -@all +@read +@connection -@admin -@dangerous +info",
    "read_write": ("~* &* -@all +@read +@write +@connection +@transaction +@pubsub +@scripting -@admin -@dangerous +info"),
}
"""Clients ask for INFO when they connect; it is in a category that is taken away, so it is given back by name."""


@dataclass(frozen=True, kw_only=True)
class Valkey:
    """One cache."""

    namespace: str
    name: str
    image: str
    """By digest."""
    instances: int
    memory: str
    users: Mapping[str, Privileges]
    """Common names of client certificates, and what each may do."""
    labels: Mapping[str, str] = field(default_factory=dict)
    issuer: Issuer = OWN

    @property
    def secret(self) -> str:
        """The servers' certificate; a replica shows it to the primary as well."""
        return f"{self.name}-server-tls"

    @property
    def own_user(self) -> str:
        """The servers' own name; before it the namespace where the authority signs for several, as for clients."""
        return self.name if self.issuer == OWN else f"{self.namespace}.{self.name}"

    @property
    def service(self) -> str:
        """The headless service, every instance."""
        return f"{self.name}.{self.namespace}.svc.{CLUSTER_DOMAIN}"

    def host(self, *, writable: bool) -> str:
        """Where to connect: the primary, or any instance for who only reads."""
        return f"{self.name}-0.{self.service}" if writable else self.service


def configuration(wanted: Valkey) -> dict[str, str]:
    """Files by name: `valkey.conf`, and one per pod that includes it and says whose replica the pod is."""
    # The servers' own user: replication and the probes. It can read no key.
    own = f"user {wanted.own_user} on resetpass resetkeys resetchannels -@all +ping +psync +replconf"
    lines = (
        "bind * -::*",
        "port 0",
        f"tls-port {VALKEY_PORT}",
        "tls-protocols TLSv1.3",
        "tls-auth-clients yes",
        "tls-auth-clients-user CN",
        f"tls-cert-file {TLS}/tls.crt",
        f"tls-key-file {TLS}/tls.key",
        f"tls-ca-cert-file {TLS}/ca.crt",
        f"tls-auto-reload-interval {RELOAD_SECONDS}",
        "tls-replication yes",
        "user default reset off",
        own,
        *(f"user {name} on resetpass {RIGHTS[privileges]}" for name, privileges in sorted(wanted.users.items())),
        f"maxmemory {int(mebibytes(wanted.memory) * USABLE_SHARE)}mb",
        "maxmemory-policy allkeys-lru",
        'save ""',
        "appendonly no",
        f"dir {DATA}",
        "enable-debug-command no",
        "enable-module-command no",
        "enable-protected-configs no",
    )
    include = f"include {CONFIG}/valkey.conf"
    replica = f"replicaof {wanted.host(writable=True)} {VALKEY_PORT}"
    pods = {f"{wanted.name}-{place}.conf": [include, *([replica] if place else [])] for place in range(wanted.instances)}
    return {"valkey.conf": "\n".join(lines) + "\n", **{name: "\n".join(text) + "\n" for name, text in pods.items()}}


def valkey_cache(wanted: Valkey) -> tuple[Manifest, ...]:
    """Everything one cache needs but its namespace's authority.

    Raises:
        ValueError: for a user with the name of the cache, which is the servers' own.
    """
    if wanted.own_user in wanted.users:
        msg = f"{wanted.namespace}/{wanted.name}: a client has the name of the cache, which stands for the servers"
        raise ValueError(msg)
    selector = {**wanted.labels, SERVICE_LABEL: wanted.name}
    files = configuration(wanted)
    return (
        manifest(
            "v1",
            "ServiceAccount",
            wanted.name,
            namespace=wanted.namespace,
            labels=selector,
            automountServiceAccountToken=False,
        ),
        manifest("v1", "ConfigMap", f"{wanted.name}-config", namespace=wanted.namespace, labels=selector, data=files),
        leaf(
            wanted.namespace,
            wanted.secret,
            common_name=wanted.own_user,
            usages=("server auth", "client auth"),
            dns_names=(wanted.service, f"*.{wanted.service}"),
            labels=selector,
            issuer=wanted.issuer,
        ),
        manifest(
            "v1",
            "Service",
            wanted.name,
            namespace=wanted.namespace,
            labels=selector,
            spec={
                "clusterIP": "None",
                "selector": selector,
                "ports": [{"name": PORT_NAME, "appProtocol": "tcp", "port": VALKEY_PORT, "targetPort": VALKEY_PORT}],
            },
        ),
        manifest(
            "policy/v1",
            "PodDisruptionBudget",
            wanted.name,
            namespace=wanted.namespace,
            labels=selector,
            spec={"maxUnavailable": 1, "selector": {"matchLabels": selector}, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        ),
        manifest(
            "apps/v1",
            "StatefulSet",
            wanted.name,
            namespace=wanted.namespace,
            labels=selector,
            annotations=WITHOUT_AWAIT,
            spec={
                "serviceName": wanted.name,
                "replicas": wanted.instances,
                "podManagementPolicy": "Parallel",
                "revisionHistoryLimit": 3,
                "selector": {"matchLabels": selector},
                "template": {
                    "metadata": {
                        "labels": {**selector, "sidecar.istio.io/inject": "false"},
                        # A changed file of a mounted ConfigMap restarts nothing; a changed template does.
                        "annotations": {CONFIG_HASH: hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]},
                    },
                    "spec": _pod(wanted, selector),
                },
            },
        ),
    )


def _pod(wanted: Valkey, selector: Mapping[str, str]) -> dict[str, Any]:
    client = ["--tls", "--cert", f"{TLS}/tls.crt", "--key", f"{TLS}/tls.key", "--cacert", f"{TLS}/ca.crt"]
    # -e: an error reply (loading, no permission) is a failure, not an answer.
    ping = {"exec": {"command": ["valkey-cli", "-e", "-p", str(VALKEY_PORT), *client, "ping"]}, "timeoutSeconds": 5}
    return {
        "serviceAccountName": wanted.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod_security(USER),
        "topologySpreadConstraints": spread_over_zones(selector, by_revision=False),
        "containers": [
            {
                "name": "valkey",
                "image": wanted.image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["valkey-server", f"{CONFIG}/$(POD_NAME).conf"],
                "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "ports": [{"name": PORT_NAME, "containerPort": VALKEY_PORT, "protocol": "TCP"}],
                "securityContext": container_security(),
                "resources": {
                    "requests": {"cpu": f"{CACHE_CPU_MILLICORES}m", "memory": wanted.memory},
                    "limits": {"cpu": f"{10 * CACHE_CPU_MILLICORES}m", "memory": wanted.memory},
                },
                "readinessProbe": {**ping, "periodSeconds": 10},
                "livenessProbe": {**ping, "periodSeconds": 20, "initialDelaySeconds": 20, "failureThreshold": 5},
                "volumeMounts": [
                    {"name": "config", "mountPath": CONFIG, "readOnly": True},
                    {"name": "tls", "mountPath": TLS, "readOnly": True},
                    {"name": "data", "mountPath": DATA},
                ],
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{wanted.name}-config"}},
            {"name": "tls", "secret": {"secretName": wanted.secret, "defaultMode": SECRET_MODE}},
            # The whole data set once, while a replica is synchronised.
            {"name": "data", "emptyDir": {"sizeLimit": wanted.memory}},
        ],
    }
