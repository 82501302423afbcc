"""A region's Vault with the graph in it: the real server, what the program registers, and SPIRE's part played by keys of our own.

JWT-SVIDs are minted with `openssl` (ES256), their public keys served over TLS on loopback as the discovery provider serves them.
What is registered is put into the server as it was registered; only addresses differ.
"""

import base64
import contextlib
import http.server
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi_vault as vault

from components.graph.identity import spiffe_id
from components.graph.model import Graph
from components.settings import load
from components.vault.access import PlatformAccess, PlatformAccessArgs, VaultAccess, VaultAccessArgs
from components.vault.access_tenant import ClientFiles
from components.vault.writers import Writers, WritersArgs
from sandbox.certificates import Authority
from sandbox.vault_apply import Applied
from sandbox.vault_server import Answer, VaultServer, selected, vault_server
from tests.support.monitor import Registered, record
from tests.support.program import changed

REGION = "eu-west-1"
OTHER_REGION = "eu-central-1"


def tree() -> dict[str, Any]:
    """The dev stack, with something of every kind in Vault but AWS, whose engine OpenBao has not."""
    found = changed("dev")
    found["vault"] = {**found.get("vault", {}), "pki": True}
    services = {tenant: wanted["services"] for tenant, wanted in found["tenants"].items()}
    services["bank-a"]["api-ms"]["secrets"] = ["rates-key", "partner-key"]
    services["bank-a"]["trans-ms"]["tenant_key"] = True
    services["bank-b"]["api-ms"]["secrets"] = ["partner-key"]
    services["bank-b"]["trans-ms"]["tenant_key"] = True
    services["shared"]["notifications"]["secrets"] = ["mail-key"]
    found["observability"] = {"alerts": {"pagerduty": True, "slack_channel": "#a", "deadman_host": "alive.example.org"}}
    found["runtime"] = {"pagerduty": {}, "slack": {}}
    found["siem"] = {"sinks": {"archive": {"kind": "http", "url": "https://siem.example.org/v1/logs"}}}
    found["vault"]["writers"] = {owner: {"group": f"{owner}-secrets"} for owner in ("bank-a", "platform")}
    return found


def graph_of(settings: dict[str, Any]) -> Graph:
    """The graph of plain settings."""
    return Graph.of(load(settings, "a test"))


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True, kw_only=True)
class Signer:
    """An EC key that signs as SPIRE does."""

    key_id: str
    public: Path
    private: Path

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as the discovery provider publishes it."""
        der = subprocess.run(
            ["openssl", "pkey", "-pubin", "-in", str(self.public), "-outform", "DER"], capture_output=True, check=True
        ).stdout
        x, y = der[-64:-32], der[-32:]
        return {"kty": "EC", "crv": "P-256", "kid": self.key_id, "use": "sig", "alg": "ES256", "x": b64(x), "y": b64(y)}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A token; `header` over the usual one."""
        head = {"alg": "ES256", "kid": self.key_id, "typ": "JWT", **header}
        body = ".".join(b64(json.dumps(part).encode()) for part in (head, claims))
        der = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", str(self.private)], input=body.encode(), capture_output=True, check=True
        ).stdout
        return f"{body}.{b64(_raw(der))}"


def _raw(der: bytes) -> bytes:
    """An ECDSA signature as JWS has it: r and s, 32 bytes each."""
    at, parts = 2, []
    for _ in range(2):
        length = der[at + 1]
        parts.append(der[at + 2 : at + 2 + length].lstrip(b"\0").rjust(32, b"\0"))
        at += 2 + length
    return b"".join(parts)


@contextlib.contextmanager
def discovery(authority: Authority, *signers: Signer) -> Iterator[str]:
    """The address where the keys are published."""
    document = json.dumps({"keys": [signer.jwk for signer in signers]}).encode()

    class Keys(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/keys" else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_args: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server("discovery"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}/keys"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_files(authority: Authority, inputs: dict[str, Any]) -> dict[str, Any]:
    """A database's connection with files that are some, where the test has no database: HashiCorp's server reads them at once."""
    database = inputs.get("postgresql", {})
    if database.get("tlsCa") != NOBODY.authority:
        return inputs
    certificate, key = (path.read_text() for path in authority.server("client"))
    files = {"tlsCa": authority.certificate.read_text(), "tlsCertificate": certificate, "privateKey": key}
    return {**inputs, "postgresql": {**database, **files}}


Clients = Mapping[str, ClientFiles]
NOBODY = ClientFiles(authority="ca", certificate="certificate", key="key")


def registered(graph: Graph, *, authority: str = "ca", clients: Clients | None = None, region: str = REGION) -> list[Registered]:
    """What the program registers of Vault for a graph."""

    def program() -> None:
        provider = vault.Provider("vault", address="https://vault.invalid", token="none")  # noqa: S106 - no token
        inside = pulumi.ResourceOptions(provider=provider)
        own = PlatformAccessArgs(graph=graph, region=region, keys_authority=authority, bundle="bundle")
        platform = PlatformAccess("platform", own, opts=inside)
        args = VaultAccessArgs(
            graph=graph,
            region=region,
            clients=dict.fromkeys(graph.tenants, NOBODY) | dict(clients or {}),
            after=platform.ready,
        )
        VaultAccess("access", args, opts=inside)
        Writers("writers", WritersArgs(graph=graph, region=region), opts=inside)

    return [each for each in record(program).resources if each.type.startswith("vault:")]


@dataclass(kw_only=True)
class World:
    """The server and who asks it."""

    server: VaultServer
    authority: Authority
    signer: Signer
    """SPIRE's key of this region."""
    stranger: Signer
    """A key that nobody published."""
    keys_url: str
    graph: Graph
    applied: Applied
    clients: Clients = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def put(self, graph: Graph) -> None:
        """Bring the server to another graph."""
        self.graph = graph
        self.applied.apply(registered(graph, authority=self.authority.certificate.read_text(), clients=self.clients))
        self.tokens.clear()

    def claims(self, ref: str, *, region: str = REGION, **over: Any) -> dict[str, Any]:
        """The claims of a workload's JWT-SVID for Vault; `over` changes them, None takes one away."""
        tenant, _, service = ref.partition("/")
        now, domain = int(time.time()), self.graph.trust_domain(region)
        claims = {
            "iss": f"https://oidc-discovery.{domain}",
            "sub": spiffe_id(domain, tenant, service),
            "aud": ["vault"],
            "iat": now,
            "exp": now + 300,
            **over,
        }
        return {key: value for key, value in claims.items() if value is not None}

    def login(self, role: str, token: str) -> Answer:
        """One attempt."""
        return self.server.ask("POST", "auth/spire/login", {"role": role, "jwt": token})

    def token(self, ref: str) -> str:
        """The workload's own token, by its own login; the same one while the graph is the same."""
        if ref not in self.tokens:
            said = self.login(ref.replace("/", "."), self.signer.sign(self.claims(ref)))
            assert said.ok, (ref, said)
            self.tokens[ref] = said.body["auth"]["client_token"]
        return self.tokens[ref]


Change = Callable[[str, dict[str, Any]], dict[str, Any]]


@contextlib.contextmanager
def world(
    folder: Path, *, change: Change = lambda _type, inputs: inputs, clients: Callable[[Authority], Clients] = lambda _: {}
) -> Iterator[World]:
    """A server with `tree()` in it. `change` is for what differs on this machine beside the address of the keys."""
    authority = Authority(folder / "discovery")
    signers = [
        Signer(key_id=name, public=public, private=private)
        for name in ("authority", "stranger")
        for public, private in [authority.signing_key(name)]
    ]
    with discovery(authority, signers[0]) as url, vault_server(selected(), folder / "server") as server:

        def local(type_: str, inputs: dict[str, Any]) -> dict[str, Any]:
            if "jwksUrl" in inputs:
                inputs = {**inputs, "jwksUrl": url, "jwksCaPem": authority.certificate.read_text()}
            return change(type_, with_files(authority, inputs))

        made = World(
            server=server,
            authority=authority,
            signer=signers[0],
            stranger=signers[1],
            keys_url=url,
            graph=graph_of(tree()),
            applied=Applied(server=server, change=local),
            clients=clients(authority),
        )
        made.put(made.graph)
        yield made
