"""The SPIRE trust domain of one region: server, agents, CSI driver, OIDC discovery, by the hardened chart.

Guarantees: signing keys never leave KMS; no password anywhere (the datastore knows the server by its client certificate);
nodes are attested by projected tokens and kubelets by the cluster's own CA; the agents hand Envoy the federated bundles
(facts of Envoy's SDS: without `sds` below a federated caller fails TLS in silence). Relies on: the two namespaces, a
PostgreSQL cluster with certificates, a storage class, the discovery provider's certificate, the role by pod identity.
Registrations are objects of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.context import RegionContext
from components.graph.names import BUNDLE_PORT, SPIRE_CLASS, SPIRE_SERVER_NAMESPACE, SPIRE_SOCKET_FILE, SPIRE_SYSTEM_NAMESPACE
from components.helm import install
from components.manifests import IdentityManifests, Manifest, ManifestsArgs, manifest
from components.pods import SECRET_MODE
from components.settings.identity import IdentitySettings

RELEASE: Final = "spire"
SERVER_SERVICE_ACCOUNT: Final = "spire-server"
SERVER_LABELS: Final[Mapping[str, str]] = {"app.kubernetes.io/name": "server", "app.kubernetes.io/instance": RELEASE}
SERVER_SERVICE: Final = "spire-server"
AGENT_SOCKET: Final = f"/run/spire/agent-sockets/{SPIRE_SOCKET_FILE}"
"""On the node: where the agent listens and whose folder the CSI driver mounts into pods."""
METRICS_PORT: Final = 9988
"""Of server and agent; the chart declares it as `prom`."""
REPLICAS: Final = 3
CA_TTL: Final = "24h"
"""SPIRE keeps SVID lifetimes under a sixth of it; ours are an hour at most."""
DATASTORE_FILES: Final = "/run/spire/datastore"
KEY_TAG: Final = "zerotrust-trust-domain"
"""On every key the server makes, and the condition of every use of one."""
EVERY_NODE: Final = [{"operator": "Exists"}]
"""Agent and driver run wherever a workload may: a node without them gives no identity, so nothing on it may speak."""
BUNDLE_CONFIG_MAP: Final = "spire-bundle"
BUNDLE_KEY: Final = "bundle.spiffe"
DISCOVERY_SECRET: Final = "spire-discovery-tls"  # noqa: S105 - a name
"""In the server's namespace: the certificate that the discovery provider serves its keys with. Who fetches them (Vault) cannot
know SPIRE's own authorities, which turn over every day, before it was told them by somebody it trusts."""


@dataclass(frozen=True, kw_only=True)
class Datastore:
    """A PostgreSQL database that knows the server by its client certificate."""

    host: str
    database: str
    user: str
    client_secret: str
    """Secret in the server's namespace with tls.crt and tls.key of the user, and ca.crt of the database."""


@dataclass(frozen=True, kw_only=True)
class TrustDomainArgs:
    """One region's trust domain."""

    context: RegionContext
    settings: IdentitySettings
    trust_domain: str
    cluster_name: str
    federated: bool
    """Whether other regions fetch this one's bundle."""
    datastore: Datastore
    storage_class: str
    after: Sequence[pulumi.Resource]
    """Gates the release itself: namespaces, the datastore, the role's association, the custom kinds of spire-crds."""
    replicas: int = REPLICAS
    """Servers."""


def kms_policy(context: RegionContext, trust_domain: str) -> dict[str, Any]:
    """What SPIRE's AWS KMS key manager needs, on keys tagged with this trust domain alone.

    Source: SPIRE documentation, plugin_server_keymanager_aws_kms. Creating and listing name no key, so their resource is
    every key; the tag that creation must set is what every later use asks for.
    """
    tagged = {"StringEquals": {f"aws:ResourceTag/{KEY_TAG}": trust_domain}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Create",
                "Effect": "Allow",
                "Action": ["kms:CreateKey", "kms:TagResource"],
                "Resource": "*",
                "Condition": {"StringEquals": {f"aws:RequestTag/{KEY_TAG}": trust_domain}},
            },
            {"Sid": "List", "Effect": "Allow", "Action": ["kms:ListKeys", "kms:ListAliases"], "Resource": "*"},
            {
                "Sid": "Use",
                "Effect": "Allow",
                "Action": ["kms:DescribeKey", "kms:GetPublicKey", "kms:Sign", "kms:ScheduleKeyDeletion"],
                "Resource": context.arn("kms", "key/*"),
                "Condition": tagged,
            },
            {
                "Sid": "NameKeys",
                "Effect": "Allow",
                "Action": ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"],
                "Resource": context.arn("kms", "key/*"),
                "Condition": tagged,
            },
            {
                "Sid": "Names",
                "Effect": "Allow",
                "Action": ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"],
                "Resource": context.arn("kms", "alias/SPIRE_SERVER/*"),
            },
        ],
    }


def private_ca_policy(authority: str) -> dict[str, Any]:
    """What SPIRE's upstream authority needs on the one private CA (SPIRE docs, plugin_server_upstreamauthority_aws_pca)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Intermediate",
                "Effect": "Allow",
                "Action": [
                    "acm-pca:DescribeCertificateAuthority",
                    "acm-pca:GetCertificate",
                    "acm-pca:GetCertificateAuthorityCertificate",
                    "acm-pca:IssueCertificate",
                ],
                "Resource": authority,
            }
        ],
    }


def jwt_issuer(trust_domain: str) -> str:
    """The `iss` of JWT-SVIDs and the issuer of the discovery document; the two must be equal to the letter."""
    return f"https://oidc-discovery.{trust_domain}"


def chart_values(args: TrustDomainArgs) -> dict[str, Any]:
    """Values of the umbrella chart."""
    authority = args.settings.upstream_authority
    return {
        "global": {
            "spire": {
                "clusterName": args.cluster_name,
                "trustDomain": args.trust_domain,
                "jwtIssuer": jwt_issuer(args.trust_domain),
                "caSubject": {
                    "country": args.settings.ca_country,
                    "organization": args.context.organization,
                    "commonName": args.trust_domain,
                },
                "persistence": {"storageClass": args.storage_class},
                # The namespaces are the platform's, with labels that admission reads.
                "recommendations": {"enabled": True, "namespacePSS": False, "prometheus": True},
                "namespaces": {
                    "create": False,
                    "server": {"name": SPIRE_SERVER_NAMESPACE},
                    "system": {"name": SPIRE_SYSTEM_NAMESPACE},
                },
            }
        },
        "spire-server": {
            **_server(args),
            **(
                {
                    "upstreamAuthority": {
                        "awsPCA": {
                            "enabled": True,
                            "region": args.context.region,
                            "certificateAuthorityARN": authority.private_ca,
                        }
                    }
                }
                if authority.kind == "aws_private_ca"
                else {}
            ),
        },
        "spire-agent": _agent(),
        "spiffe-csi-driver": {"agentSocketPath": AGENT_SOCKET, "tolerations": EVERY_NODE},
        "spiffe-oidc-discovery-provider": {
            "replicaCount": min(2, args.replicas),
            # The file is read again every minute, so cert-manager's renewal needs no restart.
            "tls": {"spire": {"enabled": False}, "externalSecret": {"enabled": True, "secretName": DISCOVERY_SECRET}},
            "config": {"logFormat": "json"},
        },
    }


def _server(args: TrustDomainArgs) -> dict[str, Any]:
    store = args.datastore
    return {
        "replicaCount": args.replicas,
        "serviceAccount": {"name": SERVER_SERVICE_ACCOUNT},  # pod identity knows it by this name
        "caTTL": CA_TTL,
        "caKeyType": "ec-p256",
        "defaultX509SvidTTL": f"{args.settings.x509_svid_ttl_minutes}m",
        "defaultJwtSvidTTL": f"{args.settings.jwt_svid_ttl_minutes}m",
        "auditLogEnabled": True,
        "telemetry": {"prometheus": {"enabled": True}},  # at METRICS_PORT: the chart knows no other
        "logFormat": "json",
        "persistence": {"type": "pvc", "size": "1Gi"},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(SERVER_LABELS)},
            }
        ],
        "keyManager": {
            "disk": {"enabled": False},
            "awsKMS": {
                "enabled": True,
                "region": args.context.region,
                # On each replica's own volume: one identifier for all would let replicas delete each other's keys.
                "keyIdentifierFile": {"enabled": True},
                "keyTags": {KEY_TAG: args.trust_domain},
            },
        },
        "dataStore": {
            "sql": {
                "databaseType": "postgres",
                "databaseName": store.database,
                "host": store.host,
                "username": store.user,
                # Quoted nothing. Left empty the chart writes `password= host=…`, which PostgreSQL's client reads as a
                # password "host=…" and no host at all. Who the server is says its certificate.
                "password": "''",
                "options": [
                    {"sslmode": "verify-full"},
                    {"sslrootcert": f"{DATASTORE_FILES}/ca.crt"},
                    {"sslcert": f"{DATASTORE_FILES}/tls.crt"},
                    {"sslkey": f"{DATASTORE_FILES}/tls.key"},
                ],
            }
        },
        # The client refuses a key that others may read: root's, readable by the pod's group, is as far as it goes.
        "extraVolumes": [{"name": "datastore-client", "secret": {"secretName": store.client_secret, "defaultMode": SECRET_MODE}}],
        "extraVolumeMounts": [{"name": "datastore-client", "mountPath": DATASTORE_FILES, "readOnly": True}],
        "nodeAttestor": {"k8sPSAT": {"enabled": True}},
        "bundlePublisher": {"k8sConfigMap": {"enabled": True, "format": "spiffe"}},
        "federation": {
            "enabled": args.federated,
            "bundleEndpoint": {"port": BUNDLE_PORT, "refreshHint": "5m"},
            "tls": {"spire": {"enabled": True}},  # https_spiffe: peers know each other by SPIFFE id, not by a public CA
        },
        "controllerManager": {
            "className": SPIRE_CLASS,
            "watchClassless": False,
            "validatingWebhookConfiguration": {"failurePolicy": "Fail"},
            "identities": {
                # Every identity is one compiled from the access graph; a pod that matches two gets either of them.
                "clusterSPIFFEIDs": {"default": {"enabled": False}, "test-keys": {"enabled": False}},
            },
        },
    }


def _agent() -> dict[str, Any]:
    return {
        "logFormat": "json",
        "telemetry": {"prometheus": {"enabled": True, "port": METRICS_PORT}},
        "socketPath": AGENT_SOCKET,
        "tolerations": EVERY_NODE,
        # The proxies ask for ROOTCA and must get every federated bundle by it; SPIRE's own default answers with one.
        "sds": {"enabled": True, "defaultBundleName": "null", "defaultAllBundlesName": "ROOTCA"},
        "socketAlternate": {"names": []},  # one name, set on both sides; the links would need an image of another registry
        "workloadAttestors": {
            "k8s": {
                # A proxy asks for its identity before the application's container exists (holdApplicationUntilProxyStarts).
                "disableContainerSelectors": True,
                "verification": {"type": "apiServerCA"},
            }
        },
    }


def server_budget(replicas: int = REPLICAS) -> Manifest:
    """All servers but one stay up while nodes are drained; chart 0.30 has no budget of its own."""
    return manifest(
        "policy/v1",
        "PodDisruptionBudget",
        "spire-server",
        namespace=SPIRE_SERVER_NAMESPACE,
        spec={"minAvailable": replicas - 1, "selector": {"matchLabels": dict(SERVER_LABELS)}},
    )


@dataclass(frozen=True, kw_only=True)
class KindsArgs:
    """The custom kinds of one cluster."""

    after: Sequence[pulumi.Resource]
    """Gates the release itself: the namespace."""


class Kinds(Component, token="zerotrust:identity:Kinds"):
    """SPIRE's custom kinds; a chart of its own, before everything of SPIRE."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: KindsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-spire-crds",
            "spire-crds",
            namespace=SPIRE_SERVER_NAMESPACE,
            values={},
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})


class TrustDomain(Component, token="zerotrust:identity:TrustDomain"):
    """Issues identities for one region. `ready` is what every pod with an identity depends on, gateways among them."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: TrustDomainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-spire",
            "spire",
            namespace=SPIRE_SERVER_NAMESPACE,
            values=chart_values(args),
            release=RELEASE,
            opts=self.child(depends_on=list(args.after)),
        )
        IdentityManifests(
            f"{name}-budget",
            ManifestsArgs(objects=(server_budget(args.replicas),), after=args.after),
            opts=self.child(),
        )
        self.ready = (release,)
        self.register_outputs({})
