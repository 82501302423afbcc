"""What the program declares of Vault, put into a running server: the local stand-in of Vault's provider.

Takes resources as the engine gets them (type token, inputs in camelCase) and makes the provider's own API calls, by one explicit
table. A type or an input that the table does not know is refused, never skipped: what was not applied would count as tested.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote

from sandbox.vault_server import VaultServer, VaultServerError

Inputs = Mapping[str, Any]


class ApplyError(Exception):
    """A resource cannot be put into the server; the message names it and says why."""

    user_facing = True


class Declared(Protocol):
    """A registered resource."""

    @property
    def type(self) -> str:
        """The type token, `vault:index/policy:Policy`."""

    @property
    def name(self) -> str:
        """The resource's name."""

    @property
    def inputs(self) -> dict[str, Any]:
        """By their names in the engine, `tokenMaxTtl`."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request."""

    path: str
    body: Mapping[str, Any]
    method: str = "POST"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one type of resource becomes requests."""

    home: str
    """Where it lies, with its inputs in braces: the path that makes it and that removes it."""
    known: frozenset[str]
    """Inputs beside those that the home names."""
    removed: bool = True
    """Whether it is removed by itself; otherwise its engine or login takes it along."""
    calls: Callable[[str, dict[str, Any]], Sequence[Call]] = lambda home, body: (Call(path=home, body=body),)
    """From the home and the other inputs, snake_case, to the requests in their order."""


def snake(key: str) -> str:
    """`tokenMaxTtl` → `token_max_ttl`."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", key).lower()


def _engine(home: str, body: dict[str, Any]) -> Sequence[Call]:
    most = body.pop("max_lease_ttl_seconds", None)
    config = {"config": {"max_lease_ttl": most}} if most else {}
    return (Call(path=home, body={**body, **config}),)


def _aws_engine(home: str, body: dict[str, Any]) -> Sequence[Call]:
    lease = {"default_lease_ttl": body.pop("default_lease_ttl_seconds"), "max_lease_ttl": body.pop("max_lease_ttl_seconds")}
    made = {"type": "aws", "description": body.pop("description"), "config": lease}
    return (Call(path=home, body=made), Call(path=f"{home.removeprefix('sys/mounts/')}/config/root", body=body))


def _method(home: str, body: dict[str, Any]) -> Sequence[Call]:
    made = {key: body.pop(key) for key in ("type", "description")}
    return (Call(path=home, body=made), Call(path=f"{home.removeprefix('sys/')}/config", body=body))


def _connection(home: str, body: dict[str, Any]) -> Sequence[Call]:
    within = {snake(key): value for key, value in body.pop("postgresql").items()}
    return (Call(path=home, body={**body, **within}),)


def _key(home: str, body: dict[str, Any]) -> Sequence[Call]:
    made: dict[str, Any] = {key: body.pop(key) for key in ("type", "exportable", "allow_plaintext_backup") if key in body}
    return (Call(path=home, body={**made, **body}), Call(path=f"{home}/config", body=body))


def _role(*names: str) -> frozenset[str]:
    return frozenset(
        {*names, "tokenPolicies", "tokenNoDefaultPolicy", "tokenTtl", "tokenMaxTtl", "tokenExplicitMaxTtl", "tokenType"}
    )


TABLE: Final[Mapping[str, Kind]] = {
    "vault:index/mount:Mount": Kind(
        home="sys/mounts/{path}",
        known=frozenset({"type", "description", "options", "maxLeaseTtlSeconds"}),
        calls=_engine,
    ),
    "vault:index/policy:Policy": Kind(home="sys/policies/acl/{name}", known=frozenset({"policy"})),
    "vault:jwt/authBackend:AuthBackend": Kind(
        home="sys/auth/{path}",
        known=frozenset({"type", "description", "jwksUrl", "jwksCaPem", "boundIssuer", "jwtSupportedAlgs"}),
        calls=_method,
    ),
    "vault:jwt/authBackendRole:AuthBackendRole": Kind(
        home="auth/{backend}/role/{roleName}",
        known=_role(
            *("roleType", "boundAudiences", "boundSubject", "userClaim"),
            *("clockSkewLeeway", "expirationLeeway", "notBeforeLeeway"),
            *("boundClaims", "boundClaimsType"),
        ),
    ),
    "vault:index/audit:Audit": Kind(home="sys/audit/{path}", known=frozenset({"type", "options"})),
    "vault:index/authBackend:AuthBackend": Kind(home="sys/auth/{path}", known=frozenset({"type", "description"})),
    "vault:kubernetes/authBackendConfig:AuthBackendConfig": Kind(
        home="auth/{backend}/config",
        known=frozenset({"kubernetesHost", "disableLocalCaJwt", "kubernetesCaCert"}),
        removed=False,
    ),
    "vault:kubernetes/authBackendRole:AuthBackendRole": Kind(
        home="auth/{backend}/role/{roleName}",
        known=_role("boundServiceAccountNames", "boundServiceAccountNamespaces", "audience", "aliasNameSource"),
    ),
    "vault:database/secretBackendConnection:SecretBackendConnection": Kind(
        home="{backend}/config/{name}",
        known=frozenset({"pluginName", "allowedRoles", "verifyConnection", "postgresql"}),
        calls=_connection,
    ),
    "vault:database/secretBackendRole:SecretBackendRole": Kind(
        home="{backend}/roles/{name}",
        known=frozenset({"dbName", "creationStatements", "revocationStatements", "defaultTtl", "maxTtl"}),
    ),
    "vault:transit/secretBackendKey:SecretBackendKey": Kind(
        home="{backend}/keys/{name}",
        known=frozenset({"type", "exportable", "allowPlaintextBackup", "deletionAllowed", "autoRotatePeriod"}),
        calls=_key,
        removed=False,
    ),
    "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert": Kind(
        home="{backend}/root/generate/{type}",
        known=frozenset({"commonName", "ttl", "keyType", "keyBits", "excludeCnFromSans"}),
        removed=False,
    ),
    "vault:pkiSecret/secretBackendRole:SecretBackendRole": Kind(
        home="{backend}/roles/{name}",
        known=frozenset(
            {
                *("allowedDomains", "allowBareDomains", "allowSubdomains", "allowGlobDomains", "allowWildcardCertificates"),
                *("allowAnyName", "allowIpSans", "allowLocalhost", "enforceHostnames", "serverFlag", "clientFlag"),
                *("keyType", "keyBits", "ttl", "maxTtl"),
            }
        ),
    ),
    "vault:aws/secretBackend:SecretBackend": Kind(
        home="sys/mounts/{path}",
        known=frozenset({"description", "region", "stsRegion", "stsEndpoint", "defaultLeaseTtlSeconds", "maxLeaseTtlSeconds"}),
        calls=_aws_engine,
    ),
    "vault:aws/secretBackendRole:SecretBackendRole": Kind(
        home="{backend}/roles/{name}",
        known=frozenset({"credentialType", "roleArns", "defaultStsTtl", "maxStsTtl"}),
    ),
}
"""Every type that the program registers and a community server takes."""
PREFIX: Final = "vault:"
_SPECIAL: Final = "4dabf18193072939515e22adb298388d"
"""The engine's mark on a value that is no plain one: here, a secret."""


def plain(value: Any) -> Any:
    """A value as the server takes it: secrets opened, whole numbers as such (the engine's wire has one kind of number)."""
    if isinstance(value, dict):
        return plain(value["value"]) if _SPECIAL in value else {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _placed(resource: Declared, inputs: Inputs) -> tuple[str, dict[str, Any]]:
    """The home and the other inputs of a resource."""
    kind = TABLE.get(resource.type)
    if kind is None:
        msg = f"{resource.name}: {resource.type} is not in the table; known: {', '.join(sorted(TABLE))}"
        raise ApplyError(msg)
    named = re.findall(r"\{(\w+)\}", kind.home)
    if missing := sorted(set(named) - set(inputs)):
        msg = f"{resource.name}: {resource.type} without {', '.join(missing)}"
        raise ApplyError(msg)
    others = {key: value for key, value in inputs.items() if key not in named and value is not None}
    if unknown := sorted(set(others) - kind.known):
        msg = f"{resource.name}: the table knows no {', '.join(unknown)} of {resource.type}"
        raise ApplyError(msg)
    home = kind.home.format(**{key: quote(str(inputs[key]), safe="") for key in named})
    return home, {snake(key): value for key, value in others.items()}


def calls_of(resource: Declared, inputs: Inputs | None = None) -> tuple[Call, ...]:
    """The requests that make a resource.

    Raises:
        ApplyError: for a type or an input that the table does not know.
    """
    home, body = _placed(resource, plain(resource.inputs) if inputs is None else inputs)
    return tuple(TABLE[resource.type].calls(home, body))


def home_of(resource: Declared) -> str:
    """Where a resource lies: the path that makes it and removes it.

    Raises:
        ApplyError: for a type or an input that the table does not know.
    """
    return _placed(resource, plain(resource.inputs))[0]


@dataclass
class Applied:
    """A server and what was put into it, by where it lies."""

    server: VaultServer
    change: Callable[[str, dict[str, Any]], dict[str, Any]] = lambda _type, inputs: inputs
    """What is different on one machine: from a type and its inputs to the inputs that are sent (addresses, lifetimes)."""
    token: str | None = None
    """Who applies; left out, the server's root."""
    standing: dict[str, tuple[Call, ...]] = field(default_factory=dict)
    _taken_along: set[str] = field(default_factory=set)

    def apply(self, resources: Iterable[Declared]) -> None:
        """Make and change what is declared, in order, and remove what no longer is. Other providers' resources are left alone.

        Raises:
            ApplyError: for a type or an input that the table does not know.
            VaultServerError: when the server refuses.
        """
        wanted: dict[str, tuple[Call, ...]] = {}
        for resource in resources:
            if not resource.type.startswith(PREFIX):
                continue
            inputs = self._on_this_server(resource, self.change(resource.type, plain(resource.inputs)))
            home = _placed(resource, inputs)[0]
            wanted[home] = calls_of(resource, inputs)
            if not TABLE[resource.type].removed:
                self._taken_along.add(home)
        for home in [home for home in reversed(self.standing) if home not in wanted]:
            if home not in self._taken_along:
                self._send("DELETE", home)
            del self.standing[home]
        for home, calls in wanted.items():
            if self.standing.get(home) == calls:
                continue
            # An engine that stands is not mounted again; nothing else of it is declared to change.
            begun = home in self.standing and home.startswith(("sys/mounts/", "sys/auth/"))
            for call in calls[1:] if begun else calls:
                self._send(call.method, call.path, call.body)
            self.standing[home] = calls

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        said = self.server.ask(method, path, body, token=self.token or self.server.root_token)
        if not said.ok:
            msg = f"{method} {path}: {said.status} {said.body}"
            raise VaultServerError(msg)

    def _on_this_server(self, resource: Declared, inputs: dict[str, Any]) -> dict[str, Any]:
        """OpenBao takes a database's certificates from files only, named in the address."""
        database = inputs.get("postgresql")
        if not self.server.is_openbao or database is None:
            return inputs
        names = {"tlsCa": "sslrootcert", "tlsCertificate": "sslcert", "privateKey": "sslkey"}
        folder = self.server.folder / "databases"
        folder.mkdir(mode=0o700, exist_ok=True)
        address = database["connectionUrl"]
        for key, parameter in names.items():
            file = folder / f"{resource.name}-{parameter}.pem"
            file.write_text(database[key], encoding="utf-8")
            file.chmod(0o600)
            address += f"&{parameter}={file}"
        kept = {key: value for key, value in database.items() if key not in names}
        return {**inputs, "postgresql": {**kept, "connectionUrl": address}}
