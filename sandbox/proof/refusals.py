"""Who refused a request, by its own words: a proxy's access log, an alert of TLS, a server's message. Never by a status.

A proxy writes a line for every request and for every connection that it does not take; it is found by the request's id, by the
caller's end of the connection, or by path or server name and time. What no line owns up to was refused by nobody.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from components.graph.names import GATEWAYS
from sandbox.proof.results import Evidence
from sandbox.proof.world import SIDECAR, Answer, Pod, World

LAYERS: Final[Mapping[str, str]] = {
    "mesh-mtls": "Istio mTLS",
    "mesh-authorization": "Istio AuthorizationPolicy",
    "request-authentication": "Istio RequestAuthentication",
    "opa": "OPA",
    "gateway": "Istio gateway",
    "proxy": "Envoy, requests that it cannot read or route",
    "rate-limit": "envoyproxy/ratelimit",
    "egress": "Istio egress (REGISTRY_ONLY)",
    "gatekeeper": "Gatekeeper",
    "pod-security": "Pod Security admission",
    "admission-policy": "ValidatingAdmissionPolicy",
    "kubernetes-authentication": "Kubernetes authentication",
    "kubernetes-rbac": "Kubernetes RBAC",
    "vault": "Vault",
    "postgres": "PostgreSQL",
    "valkey": "Valkey",
    "spire": "SPIRE",
    "network-policy": "network policies",
    "opa-failure": "Envoy, since OPA gave no decision",
    "rate-limit-failure": "Envoy, since the rate limiter did not answer",
}
"""Who may refuse: a stable id and the name that the report shows."""
FAILURES: Final = frozenset({"opa-failure", "rate-limit-failure"})
"""Those that refuse because a layer is away: it fails closed, and has judged nothing."""
Entry = Mapping[str, Any]
"""A line of a proxy's access log, by the fields of `components.mesh.telemetry`."""

_GATEWAY_NAMESPACES: Final = frozenset(gateway.namespace for gateway in GATEWAYS)
_FILTERS: Final = (
    ("mesh-authorization", re.compile(r"^rbac_access_denied")),
    ("opa", re.compile(r"^ext_authz_denied")),
    ("opa-failure", re.compile(r"^ext_authz_error")),
    ("request-authentication", re.compile(r"^jwt_authn_access_denied")),
    ("rate-limit", re.compile(r"^(request_rate_limited|local_rate_limited)")),
    ("rate-limit-failure", re.compile(r"^rate_limiter_error")),
    ("mesh-mtls", re.compile(r"TLS_error")),
)
"""Beginnings of Envoy's response code details and termination details, as its filters write them."""
_MALFORMED: Final = re.compile(
    r"^(codec_error|http1\.|http2\.|path_normalization_failed|missing_|absolute_path_rejected|low_version|invalid_"
    r"|request_headers_failed_strict_check|request_payload_too_large|request_header_timeout|upgrade_failed)"
)
_NO_CHAIN, _NO_ROUTE = "filter_chain_not_found", "route_not_found"
_BLOCKED: Final = 502
"""Istio's answer to HTTP for a host that is out of the caller's scope."""
_ALERT: Final = re.compile(r"remote error: (tls: .+)$")
_POSTGRES: Final = (
    r"(FATAL|ERROR): .*(permission denied|authentication failed|no pg_hba\.conf entry|pg_hba\.conf rejects"
    r"|requires a valid client certificate|not permitted)|SSL error: .*alert (unknown ca|certificate required|bad certificate)"
)
"""A database that is away or starting says FATAL too; as little of that is a refusal as what is not there."""
_WORDS: Final = (
    ("gatekeeper", re.compile(r'admission webhook "[a-z-]+\.gatekeeper\.sh" denied')),
    ("pod-security", re.compile(r"violates PodSecurity")),
    ("admission-policy", re.compile(r"ValidatingAdmissionPolicy '[^']+' with binding '[^']+' denied")),
    ("kubernetes-authentication", re.compile(r'^Unauthorized$|"reason":"Unauthorized"')),
    ("kubernetes-rbac", re.compile(r'User "[^"]+" cannot |is attempting to grant RBAC permissions not currently held')),
    ("vault", re.compile(r'"errors":\s*\["[^"]*(permission denied|error validating token)')),
    ("postgres", re.compile(_POSTGRES)),
    ("spire", re.compile(r"no identity issued|code = PermissionDenied")),
)
_SLACK_SECONDS: Final = 1.0
"""Between the clocks of a caller and of a line; both are this machine's, and a line is begun after the call."""
_FLUSH_SECONDS: Final = 12.0
"""Envoy writes its log out when ten seconds have passed at the latest."""
_TICK: Final = 0.25


@dataclass(frozen=True)
class Trail:
    """What one proxy wrote, ready to be searched."""

    pod: Pod
    entries: Sequence[Entry]

    @classmethod
    def of(cls, world: World, pod: Pod, since: str) -> "Trail":
        """The access log of a pod's proxy since a time (RFC 3339)."""
        lines = world.logs(pod, SIDECAR, since)
        return cls(pod, tuple(json.loads(line) for line in lines if line.startswith("{") and '"request_id"' in line))

    @cached_property
    def _by_request(self) -> Mapping[str, list[Entry]]:
        return _grouped(self.entries, "request_id")

    @cached_property
    def _by_source(self) -> Mapping[str, list[Entry]]:
        return _grouped(self.entries, "source_address")

    def of_request(self, answer: Answer, *, request: str = "", path: str = "", server_name: str = "") -> list[Entry]:
        """The lines about one request; the first of these that finds any counts.

        Its id; the caller's end of the connection; the path or server name within the time that it took.
        """
        if request and self._by_request.get(request):
            return self._by_request[request]
        ours = ("", None, request) if request else None
        same_end = [one for one in self._from_end(answer) if ours is None or one.get("request_id") in ours]
        if same_end:
            return same_end
        if not (path or server_name):
            return []
        # A connection that was not taken has no request; a line of one that carried another's is not about this.
        near = [one for one in self.entries if _within(one, answer) and one.get("status") == answer.status]
        unasked = [one for one in near if server_name and one.get("server_name") == server_name and not one.get("request_id")]
        renamed = [one for one in near if path and one.get("path") == path]
        return unasked or renamed

    def request_at(self, answer: Answer) -> str:
        """The id that this proxy gave to a request that came to it from the caller's end of the connection, or took over.

        One connection may carry many requests: of the one that began nearest to the caller's.
        """
        found = [one for one in self._from_end(answer) if one.get("request_id")]
        began = datetime.fromisoformat(answer.at).timestamp()
        return str(min(found, key=lambda one: abs(_moment(one) - began))["request_id"]) if found else ""

    def _from_end(self, answer: Answer) -> list[Entry]:
        return [one for one in self._by_source.get(answer.local, ()) if _within(one, answer)]


def refusal(entry: Entry, *, gateway: bool = False) -> str:
    """The layer that a line of an access log says has refused; empty when it says nothing of the kind.

    Args:
        entry: the line.
        gateway: whether a gateway of the mesh wrote it.
    """
    details, ended = str(entry.get("details") or ""), str(entry.get("termination") or "")
    for layer, said in _FILTERS:
        if said.search(details) or said.search(ended):
            return layer
    if _is_out_of_scope(entry, details):
        return "egress"
    if details in {_NO_CHAIN, _NO_ROUTE}:
        return "gateway" if gateway else _unrouted(entry, details)
    if _MALFORMED.match(details):
        return "gateway" if gateway else "proxy"
    return ""


def _unrouted(entry: Entry, details: str) -> str:
    if details == _NO_CHAIN:
        return "mesh-mtls"
    return "egress" if _leaves(entry) else "proxy"


def by_words(words: str) -> str:
    """The layer that speaks in a message of the API server, of Vault, of PostgreSQL or of SPIRE; empty when none of them does."""
    return next((layer for layer, said in _WORDS if said.search(words)), "")


def alert(answer: Answer) -> str:
    """What the other end said as it ended the handshake (RFC 8446, 6.2); empty when it did not."""
    found = _ALERT.search(answer.error)
    return found.group(1) if found else ""


def judged(
    answer: Answer, trails: Iterable[Trail], *, request: str = "", path: str = "", server_name: str = ""
) -> tuple[str, Evidence]:
    """Who refused a request; `("", …)` when it was answered or nobody owns up to it.

    Args:
        answer: what the caller had of it.
        trails: the proxies that it may have come to, the callee's first and the caller's own last.
        request: its x-request-id, if it was sent with one; without, that which the first proxy gave it.
        path: its path, where a proxy gives it another id.
        server_name: the name asked for in its handshake, where addresses are translated on the way.
    """
    passed, unsaid = tuple(trails), Evidence(source="caller", words=str(answer))
    if answer.is_allowed:
        return "", unsaid
    request = request or next((found for found in (trail.request_at(answer) for trail in passed) if found), "")
    said = alert(answer)
    for number, trail in enumerate(passed):
        at_gateway = trail.pod.namespace in _GATEWAY_NAMESPACES
        if number == 0 and said:
            return "gateway" if at_gateway else "mesh-mtls", Evidence(source=f"TLS alert of {trail.pod}", words=said)
        for entry in trail.of_request(answer, request=request, path=path, server_name=server_name):
            layer = refusal(entry, gateway=at_gateway)
            if layer:
                return layer, Evidence(source=f"access log of {trail.pod}", words=shortened(entry))
    return "", unsaid


def stopped_by(
    world: World,
    callee: Pod,
    answer: Answer,
    *others: Pod,
    request: str = "",
    path: str = "",
    server_name: str = "",
    patience: float = _FLUSH_SECONDS,
) -> tuple[str, Evidence]:
    """The layer that refused a request, and the words it said so in; `("", …)` when it was answered or nobody owns up to it.

    Args:
        world: the running sandbox.
        callee: the pod that it was meant for, or the gateway at which it should have ended.
        answer: what the caller had of it.
        others: whose proxies it may also have passed, in the order from the callee back: gateways, the caller itself.
        request: its x-request-id, if it was sent with one; without, that which the caller's own proxy gave it.
        path: its path without query, where a proxy gives it another id.
        server_name: the name asked for in its handshake, where addresses are translated on the way.
        patience: seconds to wait for a line; proxies do not write each one out at once.
    """
    found: tuple[str, Evidence] = ("", Evidence(source="caller", words=str(answer)))
    if answer.is_allowed:
        return found
    deadline = time.monotonic() + patience
    while not found[0]:
        trails = [Trail.of(world, pod, answer.at) for pod in (callee, *others)]
        found = judged(answer, trails, request=request, path=path, server_name=server_name)
        if time.monotonic() > deadline:
            break
        if not found[0]:
            time.sleep(_TICK)
    return found


def shortened(entry: Entry) -> str:
    """What matters of a line, as an auditor reads it: who, what, and why not."""
    kept = (
        "source",
        "method",
        "path",
        "server_name",
        "status",
        "flags",
        "details",
        "termination",
        "upstream_cluster",
        "request_id",
    )
    return " ".join(f"{key}={entry[key]}" for key in kept if entry.get(key) not in (None, "", "-"))


def _is_out_of_scope(entry: Entry, details: str) -> bool:
    if entry.get("upstream_cluster") in ("BlackHoleCluster", "block_all"):
        return True
    # Istio's route for unknown hosts has no cluster.
    refused = details == "direct_response" and entry.get("status") == _BLOCKED and not entry.get("upstream_cluster")
    return refused and _leaves(entry)


def _leaves(entry: Entry) -> bool:
    """Whether it is of a call that leaves the pod: that comes to its proxy without TLS."""
    return not entry.get("self") and not entry.get("tls_version")


def _grouped(entries: Iterable[Entry], key: str) -> Mapping[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for one in entries:
        found.setdefault(str(one.get(key) or ""), []).append(one)
    found.pop("", None)
    return found


def _within(entry: Entry, answer: Answer) -> bool:
    began = datetime.fromisoformat(answer.at).timestamp()
    return began - _SLACK_SECONDS <= _moment(entry) <= began + answer.seconds + _SLACK_SECONDS


def _moment(entry: Entry) -> float:
    return datetime.fromisoformat(str(entry["time"])).timestamp()
