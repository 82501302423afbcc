"""The token issuer on the cluster: Keycloak by chart, with a realm made from the tenants' clients.

Guarantees: no administrator and no password exists after installation (break-glass makes a temporary one with
`kc.sh bootstrap-admin` while every node is stopped); people's clients use the authorization code flow with PKCE, machines prove
themselves with their own key (private_key_jwt); the database knows Keycloak by its client certificate. It runs in the home
region alone: tokens are verified everywhere by the issuer's keys, which every verifier keeps, so the loss of the home region
stops new logins and no call that has a token. Relies on: a namespace of the mesh, a PostgreSQL cluster with certificates, the
way in of `components.edge.issuer_front`. The realm is imported when it does not exist yet; later changes of clients are the
realm administrators' (docs/runbooks/first-up.md).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pulumi
import yaml

from components.base import Component
from components.graph.model import Client
from components.graph.names import ISSUER_NAMESPACE
from components.helm import install
from components.identity.realm_pages import OWN_SCOPES, PageClient, page_client, page_roles
from components.identity.spire import Datastore
from components.manifests import IdentityManifests, Manifest, ManifestsArgs, manifest
from components.pods import SECRET_MODE

RELEASE: Final = "keycloak"
SERVICE_ACCOUNT: Final = "keycloak"
POD_LABELS: Final[Mapping[str, str]] = {"app.kubernetes.io/name": "keycloakx", "app.kubernetes.io/instance": RELEASE}
CLUSTER_PORTS: Final = (7800, 57800)
"""Keycloak's own cluster protocol and its failure detection, mTLS by themselves; they call pod addresses, which the sidecar would
refuse."""
REPLICAS: Final = 3
DATASTORE_FILES: Final = "/run/keycloak/datastore"
REALM_CONFIG_MAP: Final = "keycloak-realm"
LOGIN_FAILURES: Final = 5


def realm_of(issuer: str) -> str:
    """The realm in an issuer's URL, `https://<host>/realms/<realm>`.

    Raises:
        ValueError: for an issuer of another form; the settings refuse it before.
    """
    before, _, realm = urlsplit(issuer).path.rpartition("/")
    if before != "/realms" or not realm:
        msg = f"issuer {issuer} is not https://<host>/realms/<realm>"
        raise ValueError(msg)
    return realm


def _attributes(client: Client) -> dict[str, str]:
    if client.settings.grant == "authorization_code":
        return {"pkce.code.challenge.method": "S256", "use.refresh.tokens": "true"}
    keys = [
        {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": key.x, "y": key.y}
        for kid, key in sorted(client.settings.public_keys.items())
    ]
    return {
        "use.jwks.string": "true",
        "jwks.string": json.dumps({"keys": keys}, sort_keys=True),
        "token.endpoint.auth.signing.alg": "ES256",
        "use.refresh.tokens": "false",
    }


def _client(client: Client, audience: str) -> dict[str, Any]:
    people = client.settings.grant == "authorization_code"
    return {
        "clientId": client.client_id,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": people,
        "clientAuthenticatorType": "client-secret" if people else "client-jwt",
        "standardFlowEnabled": people,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "serviceAccountsEnabled": not people,
        "fullScopeAllowed": False,
        "redirectUris": list(client.settings.redirect_uris),
        "webOrigins": ["+"] if people else [],
        "attributes": _attributes(client),
        # A person's token carries the scopes the application asked for; a machine has nobody who could ask.
        "defaultClientScopes": ["basic"] if people else ["basic", *sorted(client.settings.scopes)],
        "optionalClientScopes": sorted(client.settings.scopes) if people else [],
        "protocolMappers": [
            {
                "name": "audience",
                "protocol": "openid-connect",
                "protocolMapper": "oidc-audience-mapper",
                "config": {"included.custom.audience": audience, "access.token.claim": "true", "id.token.claim": "false"},
            }
        ],
    }


def realm(
    issuer: str, clients: Sequence[Client], *, audience: str, token_minutes: int, pages: Sequence[PageClient] = ()
) -> dict[str, Any]:
    """Keycloak's realm representation: clients of every tenant and the platform's own pages, and nothing else that could ask.

    Args:
        issuer: The `iss` of its tokens.
        clients: The access graph's clients; their ids are `<tenant>.<client>`.
        audience: The `aud` every enforcing layer asks for.
        token_minutes: Minutes an access token lives.
        pages: What the platform's own people sign in to.
    """
    scopes = sorted({scope for client in clients for scope in client.settings.scopes} - {scope["name"] for scope in OWN_SCOPES})
    return {
        "realm": realm_of(issuer),
        "enabled": True,
        "sslRequired": "all",
        "registrationAllowed": False,
        "resetPasswordAllowed": False,
        "editUsernameAllowed": False,
        "bruteForceProtected": True,
        "failureFactor": LOGIN_FAILURES,
        "defaultSignatureAlgorithm": "RS256",  # what the public load balancer verifies
        "accessTokenLifespan": token_minutes * 60,
        "revokeRefreshToken": True,
        "refreshTokenMaxReuse": 0,
        "eventsEnabled": True,
        "adminEventsEnabled": True,
        "adminEventsDetailsEnabled": True,
        **page_roles(pages),
        "clientScopes": [
            *OWN_SCOPES,
            *(
                {
                    "name": name,
                    "protocol": "openid-connect",
                    "attributes": {"include.in.token.scope": "true", "display.on.consent.screen": "true"},
                }
                for name in scopes
            ),
        ],
        "clients": [
            *(_client(client, audience) for client in sorted(clients, key=lambda client: client.client_id)),
            *(page_client(page) for page in sorted(pages, key=lambda page: page.client_id)),
        ],
    }


@dataclass(frozen=True, kw_only=True)
class IssuerArgs:
    """The issuer of an environment."""

    issuer: str
    clients: Sequence[Client]
    audience: str
    token_minutes: int
    datastore: Datastore
    """Its `client_secret` also holds `key.der`: Java's client reads no other form of a key."""
    after: Sequence[pulumi.Resource]
    """Gates the release: the namespace, the datastore, the mesh, the identity's registration."""
    pages: Sequence[PageClient] = ()
    """The platform's own, which its people sign in to."""
    replicas: int = REPLICAS
    """Pods."""


def chart_values(args: IssuerArgs) -> dict[str, Any]:
    """Values of the chart; where it says text it takes a template, and JSON is YAML."""
    store, host, ports = args.datastore, urlsplit(args.issuer), ",".join(map(str, CLUSTER_PORTS))
    secure = {
        "sslmode": "verify-full",
        "sslrootcert": f"{DATASTORE_FILES}/ca.crt",
        "sslcert": f"{DATASTORE_FILES}/tls.crt",
        "sslkey": f"{DATASTORE_FILES}/key.der",
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(POD_LABELS)},
    }
    return {
        "replicas": args.replicas,
        "command": ["/opt/keycloak/bin/kc.sh"],
        "args": ["start", "--import-realm"],
        "http": {"relativePath": "/"},
        "proxy": {"enabled": True, "mode": "xforwarded", "http": {"enabled": True}},  # TLS is the sidecar's
        "serviceAccount": {"name": SERVICE_ACCOUNT, "automountServiceAccountToken": False},
        "podSecurityContext": {"fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "securityContext": {
            "runAsUser": 1000,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "podAnnotations": {
            "traffic.sidecar.istio.io/excludeInboundPorts": ports,
            "traffic.sidecar.istio.io/excludeOutboundPorts": ports,
        },
        "podDisruptionBudget": {"minAvailable": args.replicas - 1},
        "topologySpreadConstraints": json.dumps([spread]),
        "enableServiceLinks": False,
        "database": {
            "vendor": "postgres",
            "hostname": store.host,
            "port": 5432,
            "database": store.database,
            "username": store.user,
        },
        # the chart pastes this text below list items of its own, where only a list in blocks is YAML
        "extraEnv": yaml.safe_dump(
            [
                {"name": "KC_HOSTNAME", "value": f"{host.scheme}://{host.netloc}"},
                {"name": "KC_DB_URL_PROPERTIES", "value": "?" + "&".join(f"{key}={value}" for key, value in secure.items())},
                {"name": "KC_LOG_CONSOLE_OUTPUT", "value": "json"},
            ],
            sort_keys=False,
        ),
        "extraVolumes": json.dumps(
            [
                {"name": "realm", "configMap": {"name": REALM_CONFIG_MAP}},
                {"name": "datastore-client", "secret": {"secretName": store.client_secret, "defaultMode": SECRET_MODE}},
            ]
        ),
        "extraVolumeMounts": json.dumps(
            [
                {"name": "realm", "mountPath": "/opt/keycloak/data/import", "readOnly": True},
                {"name": "datastore-client", "mountPath": DATASTORE_FILES, "readOnly": True},
            ]
        ),
    }


def realm_config_map(args: IssuerArgs) -> Manifest:
    """The realm as the import reads it."""
    document = realm(args.issuer, args.clients, audience=args.audience, token_minutes=args.token_minutes, pages=args.pages)
    return manifest(
        "v1",
        "ConfigMap",
        REALM_CONFIG_MAP,
        namespace=ISSUER_NAMESPACE,
        data={f"{document['realm']}-realm.json": json.dumps(document, indent=1, sort_keys=True)},
    )


class Issuer(Component, token="zerotrust:identity:Issuer"):
    """Keycloak and its realm."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: IssuerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        imported = IdentityManifests(
            f"{name}-realm", ManifestsArgs(objects=(realm_config_map(args),), after=args.after), opts=self.child()
        )
        release = install(
            f"{name}-keycloak",
            "keycloakx",
            namespace=ISSUER_NAMESPACE,
            values=chart_values(args),
            release=RELEASE,
            opts=self.child(depends_on=[*args.after, *imported.ready]),
        )
        self.ready = (release,)
        self.register_outputs({})
