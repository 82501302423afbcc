"""A small bank for Istio's engine: two regions, a few workloads, and policies written by hand, one idea each."""

import time
from collections.abc import Mapping
from typing import Any

import yaml

from sandbox.istio_pki import Token
from sandbox.istio_verdicts import Proxy

EU, US = "eu-west-1.bank.internal", "us-east-1.bank.internal"
ISSUER, AUDIENCE, KEYS_URI = "https://id.bank.example", "https://api.bank.example", "https://id.bank.example/certs"
SCOPES = ("accounts.read", "payments.write")
CALLERS = ("api-ms", "web", "gateway")
TEMPLATE, PREFIX = "/accounts/{*}", "/files/*"
Manifest = dict[str, Any]


def mesh(**more: Any) -> str:
    """A mesh configuration: the EU's trust domain, one spelling of a path, no unknown host."""
    base = {
        "trustDomain": EU,
        "rootNamespace": "istio-system",
        "pathNormalization": {"normalization": "DECODE_AND_MERGE_SLASHES"},
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
        "caCertificates": [{"trustDomains": [US]}],
    }
    return yaml.safe_dump({key: value for key, value in (base | more).items() if value is not None})


def spiffe_id(domain: str, account: str, namespace: str = "bank-a") -> str:
    """The identity of a workload."""
    return f"spiffe://{domain}/ns/{namespace}/sa/{account}"


def principal(domain: str, account: str, namespace: str = "bank-a") -> str:
    """The identity as policies write it."""
    return spiffe_id(domain, account, namespace).removeprefix("spiffe://")


def security(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "bank-a") -> Manifest:
    """An object of Istio's security group."""
    about = {"name": name, "namespace": namespace}
    return {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": about, "spec": dict(spec)}


def networking(kind: str, name: str, namespace: str, spec: Mapping[str, Any]) -> Manifest:
    """An object of Istio's networking group."""
    about = {"name": name, "namespace": namespace}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": about, "spec": dict(spec)}


def service(name: str, namespace: str, port: int, port_name: str = "http", **labels: str) -> Manifest:
    """A v1 Service; its pods carry the labels, or `app: <name>`."""
    ports = [{"name": port_name, "port": port, "targetPort": port}]
    spec = {"selector": labels or {"app": name}, "ports": ports, "clusterIP": "10.96.0.10"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def allow(app: str, *rules: Mapping[str, Any], action: str = "ALLOW", name: str | None = None) -> Manifest:
    """A policy for one workload."""
    spec = {"selector": {"matchLabels": {"app": app}}, "action": action, "rules": list(rules)}
    return security("AuthorizationPolicy", name or f"{app}-{action.lower()}", spec)


def rule(principals: list[str], *operations: tuple[list[str], list[str]], **more: Any) -> Manifest:
    """Callers and what they may do; `more` are further fields of the operation."""
    to = [{"operation": {"methods": methods, "paths": paths} | more} for methods, paths in operations]
    return {"from": [{"source": {"principals": principals}}], "to": to}


def scoped(*conditions: Mapping[str, Any]) -> Manifest:
    """The gateway's request with a token of the issuer and conditions on its claims."""
    source = {"principals": [principal(EU, "gateway")], "requestPrincipals": [f"{ISSUER}/*"]}
    operation = {"methods": ["GET"], "paths": ["/balance"]}
    made: Manifest = {"from": [{"source": source}], "to": [{"operation": operation}]}
    return made | ({"when": list(conditions)} if conditions else {})


def claim(name: str, *values: str) -> Manifest:
    """A condition on a claim: one of the values."""
    return {"key": f"request.auth.claims[{name}]", "values": list(values)}


# path → what is forwarded when POST /transfer alone is allowed; None is 403, a number another refusal. One spelling of a path
# reaches the policy and the service: whatever is read as /transfer is also forwarded as /transfer.
TRANSFER: dict[str, str | int | None] = {
    "/transfer": "/transfer",
    "/transfer?to=7": "/transfer?to=7",  # the query is no part of the match
    "//transfer": "/transfer",  # slashes are merged
    "/\\transfer": "/transfer",  # a backslash is a slash
    "/./transfer": "/transfer",
    "/x/../transfer": "/transfer",
    "/../transfer": "/transfer",  # above the root is the root
    "/x/%2e%2e/transfer": "/transfer",  # encoded dots are dots
    "/%74ransfer": "/transfer",  # unreserved characters are decoded
    "/x\\..\\transfer": "/transfer",
    "/x%2f..%2ftransfer": "/transfer",  # this mode alone decodes slashes before it resolves dots
    "/%2ftransfer": "/transfer",
    "/x%5c..%5ctransfer": "/transfer",
    "/transfer/..;/transfer": "/transfer",  # a parameter on a dot segment does not hide it
    "/transfer/": None,  # another resource, even if a service takes it for the same
    "/transfer%2f": None,
    "/TRANSFER": None,
    "/transfer;x=1": None,  # parameters stay in the path, so exact rules refuse them
    "/%252e%252e/transfer": None,  # decoded once only
    "/transfer%3fx": None,
    "/transfer%20": None,
    "/transfers": None,
    "/transfer%00": 400,  # Envoy takes no NUL
    "/transfer#f": 400,  # a client never sends a fragment
    "*": 400,
}

# GET below the prefix /files/* or one segment below /accounts; nothing else is granted, so 200 with another path is an escape.
BELOW: dict[str, str | int | None] = {
    "/files/a/b": "/files/a/b",
    "/files/": "/files/",
    "/files": None,  # the prefix ends in its slash
    "/filesystem": None,
    "/files/../admin": None,
    "/files/%2e%2e/admin": None,
    "/files/..\\admin": None,
    "/files/..;/admin": None,
    "/files/..%2fadmin": None,
    "/files/..%5cadmin": None,
    "/files//../admin": "/files/admin",  # dots are resolved before slashes are merged: still below the prefix
    "/files/..%00/admin": 400,
    # What no mode stops: a service that decodes twice or strips parameters would see /admin. Prefixes are for services that
    # do neither; exact paths and templates below refuse both.
    "/files/%252e%252e/admin": "/files/%252e%252e/admin",
    "/files/%2e%2e;/admin": "/files/..;/admin",
    "/accounts/7": "/accounts/7",
    "/accounts/7?full=1": "/accounts/7?full=1",
    "/accounts": None,
    "/accounts/": None,  # a segment is not empty
    "/accounts/7/": None,
    "/accounts/7/cards": None,  # a template's star is one segment
    "/accounts/7%2fcards": None,  # decoded before it is matched, so it is two
    "/accounts/7%5ccards": None,
    "/accounts/..": None,
    "/accounts/%2e%2e%2fadmin": None,
    "/accounts/%252e%252e/admin": None,
}

# Ways to name bank-a's api-ms, and whether each also admits the one of the federated region.
SOURCES: dict[str, tuple[Mapping[str, Any], bool]] = {
    "by-principal": ({"principals": [principal(EU, "api-ms")]}, False),
    "by-domain": ({"trustDomains": [EU], "namespaces": ["bank-a"]}, False),
    "by-namespace": ({"namespaces": ["bank-a"]}, True),
    "by-account": ({"serviceAccounts": ["bank-a/api-ms"]}, True),
    "by-wildcard": ({"principals": ["*/ns/bank-a/sa/api-ms"]}, True),
}

STRICT = security("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}, "istio-system")
DENY_ALL = security("AuthorizationPolicy", "default-deny", {})


def policies() -> list[Manifest]:
    """Everything the callers' cases run against."""
    own, other = principal(EU, "api-ms"), principal(US, "api-ms")
    eu_rule = rule([own], (["POST"], ["/transfer"]), (["GET"], [TEMPLATE, PREFIX]), hosts=["payments", "payments:*"])
    keys = {"issuer": ISSUER, "audiences": [AUDIENCE], "jwksUri": KEYS_URI}
    header = {"fromHeaders": [{"name": "Authorization", "prefix": "Bearer "}], "forwardOriginalToken": True}
    tokens = {"selector": {"matchLabels": {"app": "balances"}}, "jwtRules": [keys | header]}
    either, anyone = ({**tokens, "selector": {"matchLabels": {"app": app}}} for app in ("either", "anyone"))
    return [
        STRICT,
        DENY_ALL,
        allow("payments", eu_rule, rule([other], (["GET"], ["/fx"]))),
        allow("literal", rule([own], (["GET"], ["/a*b"]))),
        allow("ported", rule([own], (["GET"], ["/*"]), ports=["8080"])),
        # What must not be done: everything but a path.
        allow("denied", rule([own], (["POST"], ["/*"]))),
        allow("denied", {"to": [{"operation": {"paths": ["/transfer"]}}]}, action="DENY"),
        security("RequestAuthentication", "tokens", tokens),
        security("RequestAuthentication", "either", either),
        security("RequestAuthentication", "anyone", anyone),
        allow("balances", scoped(claim("azp", "bank-a-web"), *(claim("scope", scope) for scope in SCOPES))),
        allow("either", scoped(claim("scope", *SCOPES))),
        allow("anyone", scoped()),
        *(allow(app, {"from": [{"source": dict(source)}]}) for app, (source, _) in SOURCES.items()),
        service("ledger", "bank-a", 5432, "tcp-db"),
        allow("ledger", {"from": [{"source": {"principals": [own]}}]}),
    ]


def proxy(app: str, port: int = 8080, namespace: str = "bank-a") -> Proxy:
    """A workload named after its label."""
    return Proxy(name=app, namespace=namespace, service_account=app, labels={"app": app}, port=port)


PROXIES = (
    *(proxy(app) for app in ("payments", "literal", "ported", "denied", "balances", "either", "anyone", *SOURCES)),
    proxy("ledger", 5432),
)


def tokens() -> dict[str, Token]:
    """Tokens by what is wrong with them."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "customer-1",
        "azp": "bank-a-web",
        "scope": " ".join(SCOPES),
        "iat": now,
        "exp": now + 3600,
    }
    return {
        "good": Token(key="issuer", claims=good),
        "expired": Token(key="issuer", claims=good | {"exp": now - 3600, "iat": now - 7200}),
        "other issuer": Token(key="issuer", claims=good | {"iss": "https://id.elsewhere.example"}),
        "other audience": Token(key="issuer", claims=good | {"aud": "https://elsewhere.example"}),
        "other key": Token(key="stranger", claims=good),
        "not signed": Token(key="issuer", claims=good, alg="none"),
        "signed with the public key": Token(key="issuer", claims=good, alg="HS256"),
        "other client": Token(key="issuer", claims=good | {"azp": "bank-b-web"}),
        "one scope of two": Token(key="issuer", claims=good | {"scope": SCOPES[0]}),
        "scope as a prefix": Token(key="issuer", claims=good | {"scope": f"{SCOPES[0]} {SCOPES[1]}.all"}),
        "no scope": Token(key="issuer", claims={name: value for name, value in good.items() if name != "scope"}),
    }


VERDICT_ON_TOKENS = {
    "good": "200",
    "expired": "401",
    "other issuer": "401",
    "other audience": "403",
    "other key": "401",
    "not signed": "401",
    "signed with the public key": "401",
    "other client": "403",
    "one scope of two": "403",
    "scope as a prefix": "403",
    "no scope": "403",
}


def expected(outcomes: Mapping[str, str | int | None]) -> dict[str, tuple[str, str]]:
    """By path: the verdict and the path forwarded, from a table."""
    return {path: ("200", seen) if isinstance(seen, str) else (str(seen or 403), "") for path, seen in outcomes.items()}


def mistakes() -> dict[str, tuple[Any, str, str]]:
    """By mistake: an object, a mesh configuration, and what the refusal says."""
    get = {"methods": ["GET"]}
    pathz = allow("payments", {"to": [{"operation": get | {"pathz": ["/fx"]}}]})
    snake = allow("payments", {"from": [{"source": {"request_principals": ["*"]}}]})
    labelz = security("PeerAuthentication", "x", {"mtls": {"mode": "STRICT"}})
    labelz["metadata"]["labelz"] = {}
    no_keys = {"jwtRules": [{"issuer": ISSUER, "jwksUri": "https://id.elsewhere.example/certs"}]}
    fine = mesh()
    return {
        "field": (pathz, fine, "AuthorizationPolicy bank-a/payments-allow: unknown field spec.rules[0].to[0].operation.pathz"),
        "spelling": (snake, fine, "unknown field spec.rules[0].from[0].source.request_principals"),
        "metadata": (labelz, fine, 'unknown field "labelz"'),
        "kind": (security("AuthorisationPolicy", "x", {}), fine, "unknown kind security.istio.io/v1 AuthorisationPolicy"),
        "mode": (security("PeerAuthentication", "x", {"mtls": {"mode": "STRICTEST"}}), fine, "STRICTEST"),
        "empty": (allow("payments", {"from": [{"source": {}}]}), fine, "source"),
        "keys": (security("RequestAuthentication", "x", no_keys), fine, "no key set is given for jwksUri"),
        "mesh": (STRICT, mesh(trustDomainAlias=[US]), "mesh config: unknown field trustDomainAlias"),
        "domain": (STRICT, mesh(caCertificates=[{"trustDomains": ["us east"]}]), '"us east" is no trust domain'),
    }
