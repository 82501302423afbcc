"""The authorizer decides by claims and fails closed.

Says nothing about signatures: the handler leaves them to the load balancer before it and the mesh behind it.
"""

import base64
import copy
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

SOURCE = Path(__file__).parents[2] / "components" / "edge" / "files" / "authorizer" / "handler.py"
NOW = 1_800_000_000
TABLE = {
    "tenant": "bank-a",
    "usage_key": "k" * 64,
    "issuer": "https://id.example/realms/clearing",
    "audience": "https://api.example",
    "lifetime_seconds": 300,
    "operations": [
        {"method": "GET", "resource": "/", "clients": ["bank-a.web"], "scopes": ["accounts.read"]},
        {"method": "GET", "resource": "/accounts", "clients": ["bank-a.web"], "scopes": ["accounts.read"]},
        {"method": "GET", "resource": "/accounts/{id}", "clients": ["bank-a.web"], "scopes": ["accounts.read"]},
        {"method": "POST", "resource": "/transfers", "clients": ["bank-a.web"], "scopes": ["accounts.read", "transfers.write"]},
        {"method": "GET", "resource": "/settlements/{proxy+}", "clients": ["bank-b.partner"], "scopes": ["settle"]},
    ],
}
CLAIMS = {
    "iss": TABLE["issuer"],
    "aud": ["account", TABLE["audience"]],
    "azp": "bank-a.web",
    "sub": "user-1",
    "iat": NOW - 10,
    "exp": NOW + 200,
    "scope": "openid accounts.read transfers.write",
    "typ": "Bearer",
}


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("authorizer_under_test", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HANDLER = load()


def part(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def token(claims: object, header: object | None = None) -> str:
    return f"Bearer {part(header or {'alg': 'RS256', 'typ': 'JWT', 'kid': '1'})}.{part(claims)}.c2ln"


def event(
    authorization: str | None = None,
    *,
    method: str = "GET",
    resource: str = "/accounts/{id}",
    path: str = "/bank-a/accounts/17",
    stage: str = "bank-a",
) -> dict[str, Any]:
    below = path.removeprefix("/bank-a").removeprefix("/")
    return {
        "type": "REQUEST",
        "methodArn": f"arn:aws:execute-api:eu-west-1:111122223333:abc123/{stage}/{method}/{below}",
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": {},
        "multiValueHeaders": {"Host": ["api.example"], "Authorization": [authorization or token(CLAIMS)]},
        "requestContext": {
            "stage": stage,
            "apiId": "abc123",
            "httpMethod": method,
            "resourcePath": resource,
        },
    }


def decide(request: object, table: object = TABLE, now: float = NOW) -> dict[str, Any]:
    answer = HANDLER.authorize(table, request, now)
    assert set(answer) >= {"principalId", "policyDocument", "context"}
    return dict(answer)


def effect(answer: dict[str, Any]) -> str:
    (statement,) = answer["policyDocument"]["Statement"]
    return str(statement["Effect"])


def test_the_right_request_is_allowed_for_exactly_its_method_and_counted_on_the_tenants_plan() -> None:
    request = event()
    assert decide(request) == {
        "principalId": "bank-a.web",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": request["methodArn"]}],
        },
        "context": {"tenant": "bank-a", "client": "bank-a.web", "subject": "user-1"},
        "usageIdentifierKey": TABLE["usage_key"],
    }


@pytest.mark.parametrize(
    ("method", "resource", "path"),
    [
        ("GET", "/", "/bank-a"),
        ("GET", "/", "/bank-a/"),
        ("GET", "/accounts", "/bank-a/accounts"),
        ("GET", "/accounts", "/accounts"),
        ("POST", "/transfers", "/bank-a/transfers"),
    ],
)
def test_each_declared_operation_is_allowed(method: str, resource: str, path: str) -> None:
    assert effect(decide(event(method=method, resource=resource, path=path))) == "Allow"


def test_a_client_of_another_tenant_is_allowed_only_where_the_route_names_it() -> None:
    theirs = token({**CLAIMS, "azp": "bank-b.partner", "scope": "settle accounts.read"})
    assert effect(decide(event(theirs, resource="/settlements/{proxy+}", path="/bank-a/settlements/2026/11"))) == "Allow"
    assert effect(decide(event(theirs))) == "Deny"


CLAIM_FAULTS: dict[str, dict[str, Any]] = {
    "other issuer": {"iss": "https://id.example/realms/other"},
    "issuer with a slash": {"iss": f"{TABLE['issuer']}/"},
    "issuer as list": {"iss": [TABLE["issuer"]]},
    "other audience": {"aud": "https://other.example"},
    "audience as part": {"aud": "https://api.example.evil"},
    "audience as object": {"aud": {"https://api.example": 1}},
    "expired": {"exp": NOW - 1},
    "expires now": {"exp": NOW},
    "expiry as text": {"exp": str(NOW + 100)},
    "expiry as truth": {"exp": True},
    "expiry as fraction": {"exp": NOW + 100.5},
    "lives too long": {"exp": NOW + 86_400},
    "expiry beyond all measure": {"exp": 10**400},
    "not yet": {"nbf": NOW + 60},
    "not before as text": {"nbf": "soon"},
    "issued ahead": {"iat": NOW + 60},
    "other client": {"azp": "bank-a.mobile"},
    "other tenant's client": {"azp": "bank-b.partner"},
    "client in capitals": {"azp": "BANK-A.WEB"},
    "client as list": {"azp": ["bank-a.web"]},
    "two clients": {"client_id": "bank-b.partner"},
    "no scope of the route": {"scope": "openid"},
    "scope as list": {"scope": ["accounts.read"]},
    "scope as prefix": {"scope": "accounts.read.all"},
    "scope in capitals": {"scope": "ACCOUNTS.READ"},
    "scope behind a tab": {"scope": "openid\taccounts.read"},
    "no subject": {"sub": ""},
    "subject too long": {"sub": "s" * 256},
    "ID token": {"typ": "ID"},
    "refresh token": {"typ": "Refresh"},
}


@pytest.mark.parametrize("fault", CLAIM_FAULTS)
def test_one_wrong_claim_denies(fault: str) -> None:
    answer = decide(event(token({**CLAIMS, **CLAIM_FAULTS[fault]})))
    assert effect(answer) == "Deny"
    assert "usageIdentifierKey" not in answer


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "azp", "scope", "sub"])
def test_each_claim_is_needed(claim: str) -> None:
    assert effect(decide(event(token({key: value for key, value in CLAIMS.items() if key != claim})))) == "Deny"


def test_all_scopes_of_a_route_are_needed() -> None:
    request = event(token({**CLAIMS, "scope": "accounts.read"}), method="POST", resource="/transfers", path="/bank-a/transfers")
    assert effect(decide(request)) == "Deny"


TOKENS: dict[str, str] = {
    "empty": "",
    "basic": "Basic dXNlcjpwYXNz",
    "lower-case scheme": token(CLAIMS).replace("Bearer", "bearer"),
    "two spaces": token(CLAIMS).replace("Bearer ", "Bearer  "),
    "two tokens": f"{token(CLAIMS)}, {token(CLAIMS)}",
    "line break": f"{token(CLAIMS)}\n",
    "no signature": token(CLAIMS).rsplit(".", 1)[0] + ".",
    "alg none": token(CLAIMS, {"alg": "none"}),
    "alg None in capitals": token(CLAIMS, {"alg": "NONE"}),
    "symmetric alg": token(CLAIMS, {"alg": "HS256"}),
    "alg as list": token(CLAIMS, {"alg": ["RS256"]}),
    "unknown critical extension": token(CLAIMS, {"alg": "RS256", "crit": ["b64"], "b64": False}),
    "claims as list": token([CLAIMS]),
    "claim twice": token(json.dumps(CLAIMS)[:-1] + ', "azp": "bank-a.web"}'),
    "infinite expiry": token(json.dumps({**CLAIMS, "exp": 0}).replace('"exp": 0', '"exp": Infinity')),
    "too long": token({**CLAIMS, "padding": "x" * 9000}),
    "deep nesting": token("[" * 5000),
    "no UTF-8": f"Bearer {part({'alg': 'RS256'})}.{base64.urlsafe_b64encode(bytes([255, 254, 253])).decode()}.c2ln",
}


@pytest.mark.parametrize("kind", TOKENS)
def test_a_malformed_token_denies(kind: str) -> None:
    request = event()
    request["multiValueHeaders"]["Authorization"] = [TOKENS[kind]]
    assert effect(decide(request)) == "Deny"


PATHS = {
    "encoded slash": "/bank-a/accounts/17%2f..%2fadmin",
    "encoded dots": "/bank-a/accounts/%2e%2e",
    "dot segment": "/bank-a/accounts/..",
    "single dot": "/bank-a/accounts/.",
    "double slash": "/bank-a//accounts/17",
    "double slash inside": "/bank-a/accounts//17",
    "trailing slash": "/bank-a/accounts/17/",
    "one segment more": "/bank-a/accounts/17/close",
    "one segment fewer": "/bank-a/accounts",
    "other case": "/bank-a/Accounts/17",
    "tenant in other case": "/Bank-A/accounts/17",
    "other tenant": "/bank-b/accounts/17",
    "longer tenant": "/bank-ab/accounts/17",
    "backslash": "/bank-a/accounts/17\\..",
    "matrix parameter": "/bank-a/accounts/17;a=b",
    "question mark": "/bank-a/accounts/17?x=1",
    "star": "/bank-a/accounts/*",
    "null byte": "/bank-a/accounts/17\x00",
    "line break": "/bank-a/accounts/17\n",
    "fullwidth letters": "/bank-a/\uff41ccounts/17",
    "no slash": "bank-a/accounts/17",
    "empty": "",
}


@pytest.mark.parametrize("trick", PATHS)
def test_a_path_that_another_hop_could_read_otherwise_denies(trick: str) -> None:
    assert effect(decide(event(path=PATHS[trick]))) == "Deny"
    clean = event()
    clean["path"] = PATHS[trick]
    assert effect(decide(clean)) == "Deny", "the path alone must deny, whatever the ARN says"


@pytest.mark.parametrize("rest", ["", "/", "/2026//11", "/2026/../11", "/2026/%2e%2e"])
def test_a_greedy_resource_takes_whole_plain_segments_only(rest: str) -> None:
    theirs = token({**CLAIMS, "azp": "bank-b.partner", "scope": "settle"})
    request = event(theirs, resource="/settlements/{proxy+}", path=f"/bank-a/settlements{rest}")
    assert effect(decide(request)) == "Deny"


@pytest.mark.parametrize(
    "header", ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override", "X-Original-URL", "X-Rewrite-Url"]
)
def test_a_method_or_path_override_denies(header: str) -> None:
    request = event()
    request["multiValueHeaders"][header] = ["DELETE"]
    assert effect(decide(request)) == "Deny"


def test_a_second_authorization_header_denies() -> None:
    twice, cased = event(), event()
    twice["multiValueHeaders"]["Authorization"] *= 2
    cased["multiValueHeaders"]["authorization"] = cased["multiValueHeaders"]["Authorization"]
    assert effect(decide(twice)) == "Deny"
    assert effect(decide(cased)) == "Deny"


def _set(*keys: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(request: dict[str, Any]) -> None:
        target = request
        for key in keys[:-1]:
            target = target[key]
        target[keys[-1]] = to

    return change


DISAGREEMENTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "method": _set("httpMethod", to="POST"),
    "method of context": _set("requestContext", "httpMethod", to="POST"),
    "undeclared resource": _set("resource", to="/admin"),
    "resource of context": _set("requestContext", "resourcePath", to="/accounts"),
    "stage of context": _set("requestContext", "stage", to="bank-b"),
    "API of context": _set("requestContext", "apiId", to="zzz999"),
    "ARN of everything": _set("methodArn", to="arn:aws:execute-api:eu-west-1:111122223333:abc123/bank-a/*/*"),
    "ARN with a star at the end": _set("methodArn", to="arn:aws:execute-api:eu-west-1:111122223333:abc123/bank-a/GET/*"),
    "ARN with a policy variable": _set(
        "methodArn", to="arn:aws:execute-api:eu-west-1:111122223333:abc123/bank-a/GET/accounts/${x}"
    ),
    "ARN of another service": _set("methodArn", to="arn:aws:s3:::bucket/bank-a/GET/accounts/17"),
    "ARN of another stage": _set("methodArn", to="arn:aws:execute-api:eu-west-1:111122223333:abc123/bank-b/GET/accounts/17"),
    "TOKEN event": _set("type", to="TOKEN"),
    "no headers": _set("multiValueHeaders", to=None),
    "header value no list": _set("multiValueHeaders", "Authorization", to=token(CLAIMS)),
    "header value an object": _set("multiValueHeaders", "Authorization", to={token(CLAIMS): 1}),
    "ARN of another resource": _set("methodArn", to="arn:aws:execute-api:eu-west-1:111122223333:abc123/bank-a/GET/transfers"),
}


@pytest.mark.parametrize("where", DISAGREEMENTS)
def test_an_event_that_disagrees_with_itself_denies(where: str) -> None:
    request = event()
    DISAGREEMENTS[where](request)
    assert effect(decide(request)) == "Deny"


def test_another_tenants_stage_denies() -> None:
    assert effect(decide(event(stage="bank-b"))) == "Deny"


@pytest.mark.parametrize("table", [None, {}, [], "x", {**TABLE, "operations": None}, {**TABLE, "usage_key": None}])
def test_a_broken_table_denies_everything(table: object) -> None:
    assert effect(decide(event(), table)) == "Deny"


def test_an_operation_without_scopes_or_declared_twice_denies() -> None:
    bare, twice = copy.deepcopy(TABLE), copy.deepcopy(TABLE)
    bare["operations"][2]["scopes"] = []
    twice["operations"].append(twice["operations"][2])
    assert effect(decide(event(), bare)) == "Deny"
    assert effect(decide(event(), twice)) == "Deny"


def test_without_its_table_the_entry_point_denies() -> None:
    assert HANDLER.TABLE is None
    assert effect(HANDLER.handler(event(), None)) == "Deny"


def test_a_denial_names_no_value_of_the_token() -> None:
    answer = decide(event(token({**CLAIMS, "sub": "secret-subject", "azp": "secret-client"})))
    assert "secret" not in json.dumps(answer)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(sorted(event()))


@given(request=ANYTHING, table=ANYTHING, now=st.floats())
def test_no_input_makes_it_raise_or_allow(request: object, table: object, now: float) -> None:
    assert effect(decide(request, table, now)) == "Deny"


@given(key=KEYS, value=ANYTHING)
def test_no_change_of_one_part_of_the_event_allows(key: str, value: object) -> None:
    request = event()
    if key == "headers" or request[key] == value:
        return  # the single-value headers are not read
    request[key] = value
    assert effect(decide(request)) == "Deny"


@given(claims=st.dictionaries(st.sampled_from(sorted(CLAIMS)), ANYTHING, min_size=1, max_size=3))
def test_claims_allow_only_when_all_of_them_hold(claims: dict[str, Any]) -> None:
    merged = {**CLAIMS, **claims}
    audiences = merged["aud"] if isinstance(merged["aud"], list) else [merged["aud"]]
    holds = (
        merged["iss"] == TABLE["issuer"]
        and TABLE["audience"] in audiences
        and type(merged["exp"]) is int
        and NOW < merged["exp"] <= NOW + 305
        and type(merged["iat"]) is int
        and 0 <= merged["iat"] <= NOW + 5
        and merged["azp"] == "bank-a.web"
        and isinstance(merged["sub"], str)
        and 0 < len(merged["sub"]) <= 255
        and isinstance(merged["scope"], str)
        and "accounts.read" in merged["scope"].split(" ")
        and merged["typ"] == "Bearer"
    )
    assert effect(decide(event(token(merged)))) == ("Allow" if holds else "Deny")


@given(path=st.text(alphabet="ab/.%2fFeE\\;?*-_~ \n", max_size=12))
def test_whatever_path_is_allowed_is_one_plain_segment(path: str) -> None:
    request = event()
    request["path"] = f"/bank-a/accounts/{path}"
    if effect(decide(request)) == "Allow":
        assert path
        assert path.strip(".")
        assert not set(path) & set("/%\\;?* \n")
