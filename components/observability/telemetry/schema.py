"""The audit schema: records of seven sources under one set of names, keyed by SPIFFE id. docs/audit-schema.md is its table.

A record's origin decides which source it is of, and the origin is what an agent read from a file's path or the audit reader
from its log group, never what the record says of itself: a tenant's pod that prints another source's JSON stays an ordinary line.
Names are the Elastic Common Schema's where it has one, `zerotrust.*` otherwise. Kubernetes' service accounts and the roles of pod
identities become SPIFFE ids by the one mapping there is (`graph.identity`). Ids of people go by `user.*`.
"""

from collections.abc import Sequence
from typing import Any

from components.graph.model import Graph
from components.graph.names import GATEWAYS
from components.observability.telemetry.ottl import every, join, key, matches, put, replace, text
from components.observability.telemetry.sources import (
    ACTOR,
    DATASET,
    JSON,
    SERVICE,
    TARGET,
    TENANT,
    Source,
    at,
    attribute,
    sidekick_record,
    sources,
)


def _source(one: Source) -> list[str]:
    mine = f'{attribute(DATASET)} == "{one.dataset}"'
    held = [
        put(
            attribute(DATASET),
            text(one.dataset),
            where=every(f"({one.origin})", f"{JSON} != nil", f"IsMap({JSON})", f"({one.shape})"),
        )
    ]
    for field, paths in one.fields.items():
        for path in reversed(paths):
            parts = path.split("/")
            above = [f"{at(*parts[:end])} != nil" for end in range(1, len(parts) + 1)]
            held.append(put(attribute(field), at(*parts), where=every(mine, *above)))
    held += [f"{line} and ({mine})" if " where " in line else f"{line} where {mine}" for line in map(_bracketed, one.more)]
    return held


def _bracketed(line: str) -> str:
    """The statement with its condition in brackets, so that another can be added to it."""
    statement, where, condition = line.partition(" where ")
    return f"{statement} where ({condition})" if where else line


def statements(graph: Graph, region: str) -> list[str]:
    """Of the `log` context, after redaction. What a record of another origin claims of the schema's names is removed first."""
    domain = graph.trust_domain(region)
    lines = [
        f"delete_matching_keys(log.attributes, {text('^(?:event|zerotrust)[.]')})",
        'delete_key(log.cache, "json")',
        put(JSON, "ParseJSON(log.body)", where='IsString(log.body) and HasPrefix(log.body, "{")'),
        put(JSON, "log.body", where="IsMap(log.body)"),
        *sidekick_record(),
    ]
    for one in sources(graph, region):
        lines += _source(one)
    audit = f"{attribute(DATASET)} != nil"
    lines.append(put(attribute("event.hash"), "SHA256(String(log.body))", where=audit))
    lines.append(put(attribute("cloud.region"), text(region), where=f"{audit} and {attribute('cloud.region')} == nil"))
    for field, side in ((ACTOR, "actor"), (TARGET, "target")):
        there, short = f"{audit} and {attribute(field)} != nil", attribute(f"zerotrust.{side}.name")
        # OPA's input has principals without their scheme in some versions, and empty ones for callers without a certificate.
        lines.append(put(attribute(field), join('"spiffe://"', attribute(field)), where=f"{there} and {_unschemed(field)}"))
        lines.append(
            f'delete_key(log.attributes, "{field}") where {there} and ({attribute(field)} == "" or {attribute(field)} == "-")'
        )
        lines.append(put(short, attribute(field), where=f"{audit} and {attribute(field)} != nil"))
        lines.append(replace(short, r"^spiffe://[^/]+/ns/([^/]+)/sa/([^/]+)$", "spiffe://${1}/${2}", where=f"{short} != nil"))
    for tenant in graph.tenants:
        inside = matches(attribute(ACTOR), f"^spiffe://{domain}/ns/{tenant}/".replace(".", "[.]"))
        lines.append(put(attribute(TENANT), text(tenant), where=every(audit, f"{attribute(ACTOR)} != nil", inside)))
    return lines


def _unschemed(field: str) -> str:
    return matches(attribute(field), "^[a-z0-9.-]+/ns/")


def identity(graph: Graph, region: str) -> list[str]:
    """Of the `resource` context: whose log this is. Who is not in the graph has no identity."""
    domain = graph.trust_domain(region)
    namespace, service = 'resource.attributes["k8s.namespace.name"]', f'resource.attributes["{SERVICE}"]'
    known: list[tuple[str, Sequence[str]]] = [
        (tenant, [workload.name for workload in graph.workloads_of(tenant, region)]) for tenant in graph.tenants
    ]
    lines = [f"delete_matching_keys(resource.attributes, {text('^zerotrust[.](?:spiffe_id|tenant)$')})"]
    for tenant, names in known:
        mine = f'{namespace} == "{tenant}"'
        lines.append(put(key("resource.attributes", TENANT), text(tenant), where=mine))
        if names:
            one_of = matches(service, f"^(?:{'|'.join(sorted(names))})$")
            found = every(mine, f"{service} != nil", one_of)
            lines.append(
                put(
                    key("resource.attributes", "zerotrust.spiffe_id"),
                    join(text(f"spiffe://{domain}/ns/{tenant}/sa/"), service),
                    where=found,
                )
            )
    return lines + [
        put(
            key("resource.attributes", "zerotrust.spiffe_id"),
            text(f"spiffe://{domain}/ns/{gateway.namespace}/sa/{gateway.name}"),
            where=f'{namespace} == "{gateway.namespace}"',
        )
        for gateway in GATEWAYS
    ]


def processor(graph: Graph, region: str) -> dict[str, Any]:
    """The `transform` processor that names whose log it is, and makes audit records of the sources' lines."""

    def group(context: str, lines: Sequence[str]) -> dict[str, Any]:
        return {"context": context, "error_mode": "ignore", "statements": list(lines)}

    return {
        "error_mode": "ignore",
        "log_statements": [group("resource", identity(graph, region)), group("log", statements(graph, region))],
    }
