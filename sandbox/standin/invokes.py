"""The provider functions a program may call offline: they answer from their arguments alone."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

Answer = Callable[[Mapping[str, Any], str, str], dict[str, Any]]
_STATEMENT_FIELDS: Final = {
    "sid": "Sid",
    "effect": "Effect",
    "actions": "Action",
    "notActions": "NotAction",
    "resources": "Resource",
    "notResources": "NotResource",
}
_LISTS: Final = frozenset({"actions", "notActions", "resources", "notResources"})
POLICY_VERSION: Final = "2012-10-17"


class RefusedError(Exception):
    """A function whose answer only a real provider knows."""


def _one_or_many(values: list[str]) -> str | list[str]:
    ordered = sorted(set(values))
    return ordered[0] if len(ordered) == 1 else ordered


def _principals(entries: list[Mapping[str, Any]]) -> Any:
    if any(entry["type"] == "*" for entry in entries):
        return "*"
    grouped: dict[str, list[str]] = {}
    for entry in entries:
        grouped.setdefault(entry["type"], []).extend(entry["identifiers"])
    return {kind: _one_or_many(names) for kind, names in grouped.items()}


def _statement(entry: Mapping[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow"}
    for source, target in _STATEMENT_FIELDS.items():
        if entry.get(source):
            statement[target] = _one_or_many(entry[source]) if source in _LISTS else entry[source]
    for source, target in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if entry.get(source):
            statement[target] = _principals(entry[source])
    for condition in entry.get("conditions") or []:
        group = statement.setdefault("Condition", {}).setdefault(condition["test"], {})
        before = group.get(condition["variable"], [])
        before = [before] if isinstance(before, str) else before
        values = [*before, *condition["values"]]
        group[condition["variable"]] = values[0] if len(values) == 1 else values
    return statement


def policy_document(arguments: Mapping[str, Any], *_: str) -> dict[str, Any]:
    """An IAM policy document as JSON; statements of source documents come first, overrides replace by Sid."""
    statements = [
        statement for text in arguments.get("sourcePolicyDocuments") or [] for statement in json.loads(text).get("Statement", [])
    ]
    statements += [_statement(entry) for entry in arguments.get("statements") or []]
    for text in arguments.get("overridePolicyDocuments") or []:
        for new in json.loads(text).get("Statement", []):
            statements = [old for old in statements if not new.get("Sid") or old.get("Sid") != new["Sid"]] + [new]
    document: dict[str, Any] = {"Version": arguments.get("version") or POLICY_VERSION}
    if arguments.get("policyId"):
        document["Id"] = arguments["policyId"]
    document["Statement"] = statements
    return {
        **arguments,
        "id": "stand-in",
        "json": json.dumps(document, indent=2),
        "minifiedJson": json.dumps(document, separators=(",", ":")),
    }


def _partition(region: str) -> tuple[str, str]:
    if region.startswith("cn-"):
        return "aws-cn", "amazonaws.com.cn"
    return ("aws-us-gov", "amazonaws.com") if region.startswith("us-gov-") else ("aws", "amazonaws.com")


def _caller(_: Mapping[str, Any], region: str, account: str) -> dict[str, Any]:
    arn = f"arn:{_partition(region)[0]}:sts::{account}:assumed-role/stand-in/preview"
    return {"accountId": account, "arn": arn, "id": account, "userId": "AROASTANDIN:preview"}


def _region(arguments: Mapping[str, Any], region: str, _: str) -> dict[str, Any]:
    name = arguments.get("name") or region
    endpoint = f"ec2.{name}.{_partition(name)[1]}"
    return {"id": name, "name": name, "region": name, "endpoint": endpoint, "description": name}


def _get_partition(_: Mapping[str, Any], region: str, __: str) -> dict[str, Any]:
    name, suffix = _partition(region)
    return {"partition": name, "id": name, "dnsSuffix": suffix, "reverseDnsPrefix": ".".join(suffix.split(".")[::-1])}


def _zones(arguments: Mapping[str, Any], region: str, _: str) -> dict[str, Any]:
    names = [f"{region}{letter}" for letter in "abc"]
    excluded = arguments.get("excludeNames") or []
    names = [name for name in names if name not in excluded]
    ids = [f"{region}-az{i + 1}" for i in range(len(names))]
    return {"id": region, "region": region, "names": names, "zoneIds": ids, "groupNames": [region]}


def _parameter(arguments: Mapping[str, Any], region: str, account: str) -> dict[str, Any]:
    name = str(arguments.get("name", ""))
    if not name.startswith("/aws/service/"):
        msg = f"aws:ssm/getParameter: the parameter {name!r} is an account's own; a stand-in knows only /aws/service/…"
        raise RefusedError(msg)
    return {
        **arguments,
        "id": name,
        "arn": f"arn:aws:ssm:{region}:{account}:parameter{name}",
        "type": "String",
        "value": "ami-0123456789abcdef0",
        "insecureValue": "ami-0123456789abcdef0",
        "version": 1,
    }


def _addon_version(arguments: Mapping[str, Any], *_: str) -> dict[str, Any]:
    return {**arguments, "id": arguments.get("addonName", ""), "version": "v1.0.0-eksbuild.1"}


ANSWERS: Final[Mapping[str, Answer]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _get_partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:iam/getPolicyDocument:getPolicyDocument": policy_document,
    "aws:ssm/getParameter:getParameter": _parameter,
    "aws:eks/getAddonVersion:getAddonVersion": _addon_version,
}


def invoke(token: str, arguments: Mapping[str, Any], *, region: str, account: str) -> dict[str, Any]:
    """The answer of a provider function.

    Raises:
        RefusedError: for every function but those of `ANSWERS`.
    """
    answer = ANSWERS.get(token)
    if answer is None:
        msg = (
            f"{token}: a stand-in cannot answer this function, only the real provider knows. "
            "Pass the value in the stack's settings, or run with the real plugin."
        )
        raise RefusedError(msg)
    return answer(arguments, region, account)
