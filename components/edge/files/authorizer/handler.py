"""API Gateway REQUEST authorizer of one tenant: may this token call this method of this resource?

It decides by claims. It does NOT verify the token's signature: the standard library has no RSA, and two others do it on the
same request, the public load balancer's jwt-validation before and Istio's RequestAuthentication after. Nothing but that
load balancer reaches the API (endpoint security group, endpoint policy, resource policy). It is never the only check.

Fails closed: whatever is missing, malformed, unknown or surprising is denied, and no input makes it raise. `routes.json`
beside it is compiled from the stack's settings; without a readable table everything is denied.
"""

import base64
import binascii
import json
import re
import time
from pathlib import Path
from typing import Any

LONGEST_TOKEN = 8192  # API Gateway takes 10,240 bytes of headers in all; a longer token is none of ours
LONGEST_CLAIM = 255
SKEW_SECONDS = 5
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"})
# Headers by which a framework behind may take another method or path than the one decided here.
OVERRIDES = frozenset(
    {"x-http-method", "x-http-method-override", "x-method-override", "x-original-method", "x-original-url", "x-rewrite-url"}
)
ARN = re.compile(
    r"arn:(aws|aws-us-gov|aws-cn):execute-api:[a-z0-9-]{1,32}:\d{12}:"
    r"(?P<api>[a-z0-9]{1,32})/(?P<stage>[A-Za-z0-9_-]{1,128})/(?P<method>[A-Z]{3,7})/(?P<path>.*)",
    re.DOTALL,
)
BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)")
SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
RESERVED_IN_ARN = frozenset("*?${}")


class _RefusedError(Exception):
    """The request is denied; the text is for the log and names no value of the token."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a key stands twice"
        raise _RefusedError(message)
    return found


def _refuse_constant(_text: str) -> None:
    message = "NaN or Infinity"
    raise _RefusedError(message)


def _require(truth: object, message: str) -> None:
    if not truth:
        raise _RefusedError(message)


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"{what} is no object"
        raise _RefusedError(message)
    return value


def _string(value: object, what: str) -> str:
    if not isinstance(value, str):
        message = f"{what} is no text"
        raise _RefusedError(message)
    return value


def _match(pattern: re.Pattern[str], text: str, what: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        message = f"{what} is malformed"
        raise _RefusedError(message)
    return match


def _part(text: str) -> dict[str, Any]:
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    return _object(json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant), "token part")


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_CLAIM:
        message = f"claim {name} is missing or no text"
        raise _RefusedError(message)
    return value


def _instant(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        message = f"claim {name} is missing or no instant"
        raise _RefusedError(message)
    return value


def _headers(event: dict[str, Any]) -> dict[str, list[str]]:
    """Every header with all its values, by lower-case name."""
    found: dict[str, list[str]] = {}
    for name, values in _object(event.get("multiValueHeaders"), "headers").items():
        _require(isinstance(name, str) and isinstance(values, list), "headers are malformed")
        found.setdefault(name.lower(), []).extend(values)
    return found


def _claims(headers: dict[str, list[str]]) -> dict[str, Any]:
    values = headers.get("authorization", [])
    _require(len(values) == 1, "not exactly one Authorization header")
    value = _string(values[0], "Authorization header")
    _require(len(value) <= LONGEST_TOKEN, "token is too long")
    head, body, _signature = _match(BEARER, value, "bearer token").group(1).split(".")
    header = _part(head)
    _require(isinstance(header.get("alg"), str) and header["alg"] in ALGORITHMS, "algorithm is not admitted")
    _require("crit" not in header, "header has extensions nobody here understands")
    return _part(body)


def _check_claims(table: dict[str, Any], claims: dict[str, Any], now: float) -> None:
    _require(_text(claims, "iss") == table["issuer"], "other issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    _require(table["audience"] in [one for one in audiences if isinstance(one, str)], "other audience")
    expires = _instant(claims, "exp")
    _require(now < expires, "expired")
    _require(expires - now <= table["lifetime_seconds"] + SKEW_SECONDS, "lives longer than tokens here may")
    for name in ("nbf", "iat"):
        if name in claims:
            _require(_instant(claims, name) <= now + SKEW_SECONDS, f"{name} lies ahead")
    # Keycloak's ID and refresh tokens carry the same issuer; only they have another typ than Bearer.
    _require(claims.get("typ", "Bearer") == "Bearer", "no access token")


def _scopes(claims: dict[str, Any]) -> set[str]:
    value = claims.get("scope")
    if not isinstance(value, str):
        message = "claim scope is missing or no text"
        raise _RefusedError(message)
    return set(value.split(" ")) - {""}


def _below_tenant(tenant: str, path: str) -> str:
    """The path below `/<tenant>`; API Gateway gives it with the base path, or without where it has stripped it."""
    if path == f"/{tenant}":
        return "/"
    return path.removeprefix(f"/{tenant}") if path.startswith(f"/{tenant}/") else path


def _matches(resource: str, path: str) -> bool:
    """Whether a plain path is what the resource's template stands for, segment by segment."""
    if resource == "/":
        return path == "/"
    if not path.startswith("/"):
        return False
    parts, segments = resource[1:].split("/"), path[1:].split("/")
    if not all(SEGMENT.fullmatch(segment) and segment.strip(".") for segment in segments):
        return False  # encoded, empty, dotted or otherwise ambiguous: another hop may read another path
    if parts[-1] == "{proxy+}":
        parts, rest = parts[:-1], segments[len(parts) - 1 :]
        if not rest:
            return False
        segments = segments[: len(parts)]
    return len(parts) == len(segments) and all(
        part.startswith("{") or part == segment for part, segment in zip(parts, segments, strict=True)
    )


def _decide(table: dict[str, Any], event: dict[str, Any], now: float) -> tuple[str, dict[str, str]]:
    """The ARN to allow and the context to pass on, or _RefusedError."""
    context = _object(event.get("requestContext"), "request context")
    method_arn = _string(event.get("methodArn"), "method ARN")
    arn = _match(ARN, method_arn, "method ARN")
    _require(event.get("type") == "REQUEST" and not RESERVED_IN_ARN & set(method_arn), "not a plain authorizer request")
    method, resource = _string(event.get("httpMethod"), "method"), _string(event.get("resource"), "resource")
    path, tenant = _string(event.get("path"), "path"), table["tenant"]
    _require(arn["stage"] == tenant == context.get("stage"), "stage of another tenant")
    _require(arn["api"] == context.get("apiId"), "another API")
    _require(method == arn["method"] == context.get("httpMethod"), "methods differ")
    _require(resource == context.get("resourcePath"), "resources differ")
    found = [one for one in table["operations"] if one["method"] == method and one["resource"] == resource]
    _require(len(found) == 1, "no such operation")
    operation = found[0]
    _require(_matches(resource, _below_tenant(tenant, path)), "path is not what the resource stands for")
    _require(_matches(resource, f"/{arn['path']}"), "ARN is not of this resource")
    headers = _headers(event)
    _require(not OVERRIDES & headers.keys(), "method or path override")
    claims = _claims(headers)
    _check_claims(table, claims, now)
    client, subject = _text(claims, "azp"), _text(claims, "sub")
    _require("client_id" not in claims or claims["client_id"] == client, "two clients")
    _require(client in operation["clients"], "client has no such route")
    _require(operation["scopes"] and set(operation["scopes"]) <= _scopes(claims), "scope is missing")
    return method_arn, {"tenant": tenant, "client": client, "subject": subject}


def _answer(effect: str, resource: str, principal: str) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    return {"principalId": principal, "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}


def authorize(table: object, event: object, now: float) -> dict[str, Any]:
    """API Gateway's policy answer for one request at an instant (seconds since the epoch). Never raises."""
    try:
        rules = _object(table, "table")
        resource, context = _decide(rules, _object(event, "event"), now)
        usage_key = _string(rules.get("usage_key"), "usage key")
        return {**_answer("Allow", resource, context["client"]), "context": context, "usageIdentifierKey": usage_key}
    except _RefusedError as refusal:
        reason = str(refusal)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, binascii.Error):
        reason = "malformed"
    except Exception:  # noqa: BLE001 - whatever it was, the answer is no
        reason = "unforeseen"
    return {**_answer("Deny", "*", "nobody"), "context": {"reason": reason}}


def load_table(path: Path) -> object:
    """The compiled table, or None where it cannot be read: then everything is denied."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (OSError, ValueError, _RefusedError):
        return None


TABLE = load_table(Path(__file__).with_name("routes.json"))


def handler(event: object, _context: object) -> dict[str, Any]:
    """Lambda's entry point."""
    return authorize(TABLE, event, time.time())
