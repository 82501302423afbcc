"""Plausible outputs of a stand-in's resource, derived from its URN and inputs: the same every time.

During a preview what a provider would only learn by creating is unknown, as with the real one. What a service fills in
is told from what it leaves absent by the SDK's own annotation of the output (`Output[str]` or `Output[Optional[str]]`).
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pulumi import _types

from sandbox.standin import evidence, wire
from sandbox.standin.schema import Schema
from sandbox.standin.shapes import is_optional, shapes
from sandbox.standin.special import special_outputs

ACCOUNT: Final = "123456789012"  # AWS's own documentation account
DEFAULT_REGION: Final = "us-east-1"
_DEPTH: Final = 6


def digest(*parts: str, length: int = 17) -> str:
    """A stable lowercase hexadecimal string of `length` characters made from the parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:length]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who a resource is: its URN, type, region and the given name, from which ids and ARNs are made."""

    urn: str
    token: str
    inputs: Mapping[str, Any]
    region: str
    account: str = ACCOUNT

    @functools.cached_property
    def seed(self) -> str:
        """What generated values come from: a replaced resource gets other ids than the one before it."""
        fixed = {key: wire.plain(self.inputs[key]) for key in sorted(self.inputs) if self._is_fixed(key)}
        return f"{self.urn}\0{json.dumps(fixed, sort_keys=True, default=str)}"

    def _is_fixed(self, key: str) -> bool:
        return evidence.forces_replacement(self.token, key)

    @property
    def logical_name(self) -> str:
        """The name the program gave it."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def name(self) -> str:
        """The physical name as far as the inputs tell, else the logical one."""
        for key in evidence.NAME_INPUTS:
            value = wire.plain(self.inputs.get(key))
            if isinstance(value, str) and value and not wire.is_unknown(value):
                return value
        return self.logical_name

    @property
    def service(self) -> str:
        """The AWS service of the type token (`ec2` of `aws:ec2/vpc:Vpc`)."""
        return self.token.split(":")[1].split("/")[0]

    @property
    def arn(self) -> str:
        """An ARN with the service, region and account a real one would have; its resource part is approximate."""
        kind = self.token.rsplit(":", 1)[-1]
        kind = "-".join(_words(kind))
        region = "" if self.service in evidence.GLOBAL_SERVICES else self.region
        service = {"lb": "elasticloadbalancing", "cloudwatch": "logs", "msk": "kafka"}.get(self.service, self.service)
        prefix = evidence.ID_PREFIX.get(self.token)
        tail = self.hashed_id(prefix) if prefix else self.name
        if self.service == "s3":
            return f"arn:aws:s3:::{self.name}"
        return f"arn:aws:{service}:{region}:{self.account}:{kind}/{tail}"

    def hashed_id(self, prefix: str) -> str:
        """An id such as `vpc-0a1b…`."""
        return f"{prefix}-0{digest(self.seed, length=16)}"

    @property
    def id(self) -> str:
        """The id the provider would assign."""
        if self.token in evidence.ID_PREFIX:
            return self.hashed_id(evidence.ID_PREFIX[self.token])
        if self.token in evidence.ARN_ID:
            return self.arn
        if self.token.startswith("kubernetes:"):
            return _kubernetes_id(self.inputs)
        if any(isinstance(wire.plain(self.inputs.get(key)), str) for key in evidence.NAME_INPUTS):
            return self.name
        return digest(self.seed, length=20)


def _words(camel: str) -> list[str]:
    words, word = [], ""
    for letter in camel:
        if letter.isupper() and word:
            words.append(word.lower())
            word = ""
        word += letter
    return [*words, word.lower()]


def _kubernetes_id(inputs: Mapping[str, Any]) -> str:
    meta = wire.plain(inputs.get("metadata"))
    meta = meta if isinstance(meta, dict) else {}
    name = meta.get("name") or wire.plain(inputs.get("name")) or "unnamed"
    namespace = meta.get("namespace") or wire.plain(inputs.get("namespace"))
    return f"{namespace}/{name}" if namespace else str(name)


def _made(kind: Any, name: str, who: Identity, depth: int = 0) -> Any:
    """A plausible value of an annotated type for an output called `name`."""
    shape = shapes(kind)[0]
    if shape.form == "object" and shape.cls is not None and depth < _DEPTH:
        fields = _types._raw_return_hints(shape.cls)  # noqa: SLF001  no public reader exists
        return {key: _made(inner, key, who, depth + 1) for key, inner in fields.items() if not is_optional(inner)}
    if shape.form == "list":
        inner = shapes(shape.items)[0]
        item = _made(shape.items, name, who, depth + 1) if inner.form == "object" and depth < _DEPTH else None
        # an object of which nothing is certain (a role's inline policies) is one the service would not list
        return [item] if item else []
    if shape.form == "enum":
        return shape.values[0]
    simple = {"bool": False, "int": 0, "float": 0, "map": {}, "object": {}}
    if shape.form in simple:
        return simple[shape.form]
    return _text(name, who)


def _text(name: str, who: Identity) -> str:
    exact = {
        "ownerId": who.account,
        "accountId": who.account,
        "registryId": who.account,
        "region": who.region,
        "name": who.name,
    }
    if name in exact:
        return exact[name]
    host = f"{digest(who.seed, name, length=10)}.{who.service}.{who.region}.amazonaws.com"
    by_ending = (
        (("arn",), who.arn),
        (("endpoint", "url"), f"https://{host}"),
        (("dnsname", "domainname", "fqdn"), host),
        (("id",), digest(who.seed, name, length=20)),
    )
    for endings, value in by_ending:
        if name.lower().endswith(endings):
            return value
    return f"{name}-{digest(who.seed, name, length=8)}"


def _filled(kind: Any, given: Any, who: Identity, *, preview: bool, depth: int = 0) -> Any:
    """A given input with the fields of its object that only the service knows."""
    shape = shapes(kind)[0]
    if not isinstance(given, dict) or wire.SIGNATURE in given or shape.form != "object" or depth > _DEPTH:
        return given
    fields = _types._raw_return_hints(shape.cls) if shape.cls is not None else {}  # noqa: SLF001
    result = dict(given)
    for key, inner in fields.items():
        if key in given:
            result[key] = _filled(inner, given[key], who, preview=preview, depth=depth + 1)
        elif not is_optional(inner):
            result[key] = wire.UNKNOWN if preview else _made(inner, key, who)
    return result


def kubernetes_outputs(schema: Schema, who: Identity, *, preview: bool) -> dict[str, Any]:
    """Kubernetes objects come back as sent; the server adds metadata and, later, a status."""
    result = dict(who.inputs)
    known = special_outputs(who.token, who.seed, who.region, who.inputs)
    for name in set(schema.outputs) - set(schema.inputs) - {"id", "urn"}:
        result[name] = wire.UNKNOWN if preview else known.get(name, _made(schema.outputs[name], name, who))
    meta = result.get("metadata")
    if not preview and isinstance(meta, dict) and wire.SIGNATURE not in meta:
        result["metadata"] = {**meta, "uid": digest(who.seed, "uid", length=32), "generation": 1}
    return result


def outputs(schema: Schema, who: Identity, *, preview: bool) -> dict[str, Any]:
    """All outputs of a created (or, in preview, planned) resource."""
    if who.token.startswith("kubernetes:"):
        return kubernetes_outputs(schema, who, preview=preview)
    result: dict[str, Any] = {}
    for name, value in who.inputs.items():
        result[name] = _filled(schema.outputs.get(name, Any), value, who, preview=preview)
    for name, fields in evidence.COMPUTED_FIELDS.get(who.token, {}).items():
        if isinstance(result.get(name), dict) and wire.SIGNATURE not in result[name]:
            made = {field: wire.UNKNOWN if preview else _text(field, who) for field in fields}
            result[name] = {**made, **{key: value for key, value in result[name].items() if value is not None}}
    known = {} if preview else special_outputs(who.token, who.seed, who.region, who.inputs)
    for name, kind in schema.outputs.items():
        if name in result or name in ("id", "urn"):
            continue
        if name == "tagsAll":
            result[name] = result.get("tags", {})
        elif name == "region" and who.token.startswith("aws:"):
            result[name] = who.region
        elif name not in schema.inputs or not is_optional(kind):
            result[name] = wire.UNKNOWN if preview else known.get(name, _made(kind, name, who))
    return result
