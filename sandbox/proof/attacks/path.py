"""Attacks on what is asked for: another spelling of a path, a method or host behind a header, a way out of a declared prefix."""

from typing import Final

from sandbox.proof.attacks.ground import BODY, CALLER, NEIGHBOUR, WORKER, Headers, as_workload
from sandbox.proof.attacks.registry import Planned

_WILDCARD: Final = "below a declared `/*` the mesh admits every character; that one is ambiguous OPA alone knows"
_UNREAD: Final = "a parser is not turned off: a path that Envoy cannot read is no request, and comes to no rule and to no service"


def _bent(key: str, title: str, target: str, headers: Headers = (), *, method: str = "POST", caller: str = CALLER) -> Planned:
    return Planned(
        key=f"path-{key}",
        title=title,
        family="path",
        techniques=("T1190", "T1210"),
        case="A23",
        expected="mesh-authorization",
        make=as_workload(caller, method, target, headers, body=BODY if method == "POST" else "", token=caller == CALLER),
    )


def _ambiguous(key: str, title: str, target: str) -> Planned:
    return Planned(
        key=f"path-{key}",
        title=title,
        family="path",
        techniques=("T1190",),
        case="A23",
        expected="opa",
        make=as_workload(WORKER, "GET", target, body=""),
        single=_WILDCARD,
    )


def _unread(key: str, title: str, method: str, target: str) -> Planned:
    return Planned(
        key=f"path-{key}",
        title=title,
        family="path",
        techniques=("T1190",),
        case="A23",
        expected="proxy",
        make=as_workload(NEIGHBOUR, method, target, body=""),
        unswitchable=_UNREAD,
    )


ATTACKS: Final = (
    _bent("dot-segments", "From a declared path to another caller's by dot segments", "/transfer/../authorize"),
    _bent("encoded-dots", "The same with the dots encoded", "/transfer/%2e%2e/authorize"),
    _bent("encoded-slash", "The same with the slashes encoded", "/transfer%2f..%2fauthorize"),
    _bent("encoded-twice", "The same encoded twice", "/transfer/%252e%252e/authorize"),
    _bent("empty-segment", "An empty segment before the path", "//authorize"),
    _bent("parameter", "A parameter that some servers cut off", "/transfer;/../authorize"),
    _bent("backslash", "Backslashes for slashes", "/transfer\\..\\authorize"),
    _bent("trailing-slash", "A slash behind the declared path", "/transfer/"),
    _bent("case", "The declared path in capitals", "/TRANSFER"),
    _bent(
        "absolute",
        "The address of another service as the whole target",
        "http://auth-ms.bank-b.svc.cluster.local:8080/introspect",
    ),
    _bent("other-host", "Another service as the host", "/introspect", (("Host", "auth-ms.bank-b.svc.cluster.local:8080"),)),
    _bent(
        "original-path",
        "Headers that say the proxy had rewritten the path",
        "/authorize",
        (("X-Envoy-Original-Path", "/transfer"), ("X-Original-URL", "/transfer"), ("X-Rewrite-URL", "/transfer")),
    ),
    _bent(
        "hidden-method",
        "A method that is not declared, with the declared one in a header",
        "/settlements/7",
        (("X-HTTP-Method-Override", "GET"), ("X-Method-Override", "GET")),
        caller=WORKER,
    ),
    _bent(
        "out-of-prefix", "Out of a declared prefix by encoded dots", "/settlements/%2e%2e/authorize", method="GET", caller=WORKER
    ),
    _bent(
        "prefix-parameter",
        "Dots with a parameter below a declared prefix",
        "/settlements/..;/authorize",
        method="GET",
        caller=WORKER,
    ),
    _bent(
        "prefix-backslash",
        "Backslashes below a declared prefix",
        "/settlements/x\\..\\..\\authorize",
        method="GET",
        caller=WORKER,
    ),
    _bent("tunnel", "A tunnel to another address", "10.0.0.1:443", method="CONNECT", caller=NEIGHBOUR),
    _bent("trace", "A method that shows what proxies added", "/transfer", method="TRACE"),
    _ambiguous("prefix-encoded-twice", "Dots encoded twice below a declared prefix", "/settlements/%252e%252e/authorize"),
    _unread("null", "A path with a NUL", "POST", "/authorize%00"),
)
