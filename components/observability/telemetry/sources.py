"""The seven sources of audit records: how each is known by its origin, and where the schema's fields are in it.

Sources: Istio (access log, `mesh.telemetry`), OPA decision logs, Hubble's flow.proto as exported, Vault's audit device, Falco's
JSON output, audit.k8s.io/v1, CloudTrail's record contents. Falco's events come by two ways: its own output, whole, and its
side-kick's OTLP (falcosidekick 2.34, outputs/otlp_logs.go), which has the text, the rule and the priority and no other field.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from components.graph.model import Graph
from components.graph.names import (
    PLATFORM_NAMESPACES,
    RUNTIME_NAMESPACE,
    SECURITY_NAMESPACE,
    VAULT_NAMESPACE,
)
from components.observability.telemetry.ottl import every, join, key, matches, put, replace, text

ACTOR, TARGET, TENANT = "zerotrust.actor.spiffe_id", "zerotrust.target.spiffe_id", "zerotrust.tenant"
DATASET: Final = "event.dataset"
ORIGIN: Final = "zerotrust.origin"
"""Of the resource, set by the agents' and the reader's own configuration: `pods`, `flows`, `kubernetes-audit`, `cloudtrail`."""
SERVICE: Final = "zerotrust.service"
"""Of the resource: the pod's SERVICE_LABEL, as the API server tells the agent."""
JSON: Final = 'log.cache["json"]'
_SUGGESTED: Final = (
    r" container_id=(?P<container>\S+) container_name=(?P<name>\S+) container_image_repository=\S+ container_image_tag=\S+"
    r" k8s_pod_name=(?P<pod>\S+) k8s_ns_name=(?P<namespace>\S+)$"
)
"""What Falco puts last into an event's text (`append_output.suggested_output`), in the order of the container plugin's fields.

Held to the end: whatever a command line says of these names stands before.
"""
_FROM_TEXT: Final = {
    "container.id": "container",
    "container.name": "name",
    "k8s.pod.name": "pod",
    "k8s.ns.name": "namespace",
}
_ACCOUNT: Final = r"^system:serviceaccount:([a-z0-9\-]+):([a-z0-9\-.]+)$"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One source: its dataset, how its records are known by their origin, and where each field of the schema is in them."""

    dataset: str
    origin: str
    """A condition on the resource."""
    shape: str
    """A condition on the parsed record."""
    fields: Mapping[str, tuple[str, ...]]
    """By field: a path in the parsed record, the first one that is there."""
    more: tuple[str, ...] = ()
    """Statements that need more than a copy."""


def attribute(name: str) -> str:
    """A field of the record."""
    return key("log.attributes", name)


def at(*path: str) -> str:
    """An entry of the parsed record."""
    return JSON + "".join(f"[{part}]" if part.isdigit() else f"[{text(part)}]" for part in path)


def _pods(namespace: str | None, container: str) -> str:
    conditions = [f'resource.attributes["{ORIGIN}"] == "pods"', f'resource.attributes["k8s.container.name"] == "{container}"']
    if namespace:
        conditions.append(f'resource.attributes["k8s.namespace.name"] == "{namespace}"')
    return every(*conditions)


def _account(domain: str, source: str, into: str) -> Iterator[str]:
    """A Kubernetes service account's user name as a SPIFFE id."""
    there = f"{source} != nil and IsString({source})"
    known = every(there, matches(source, _ACCOUNT))
    yield put(attribute(into), source, where=known)
    yield replace(attribute(into), _ACCOUNT, f"spiffe://{domain}/ns/${{1}}/sa/${{2}}", where=known)


def _outcome(success: str, failure: str) -> Iterator[str]:
    yield put(attribute("event.outcome"), '"success"', where=success)
    yield put(attribute("event.outcome"), '"failure"', where=failure)


def _endpoint(domain: str, side: str, into: str) -> Iterator[str]:
    """Of a flow: a pod's service account, which Cilium has among its labels."""
    label = "k8s:io.cilium.k8s.policy.serviceaccount="
    labels, namespace = at(side, "labels"), at(side, "namespace")
    held, there = (
        'log.cache["labels"]',
        f"{at(side)} != nil and {at(side, 'labels')} != nil and {at(side, 'namespace')} != nil",
    )
    yield put(held, '""')
    yield put(held, join('"\\n"', f"String({labels})", '"\\n"'), where=there)
    account = f'ExtractPatterns({held}, {text(label + "(?P<sa>[a-z0-9.-]+)")})["sa"]'
    found = every(there, matches(held, label))
    yield put(attribute(into), join(text(f"spiffe://{domain}/ns/"), namespace, '"/sa/"', account), where=found)


def _vault_actor() -> Iterator[str]:
    """A workload's login carries its own id; a login by Kubernetes carries namespace and account."""
    subject, alias = at("auth", "metadata", "spiffe_id"), at("auth", "display_name")
    yield put(attribute(ACTOR), subject, where=f"{at('auth', 'metadata')} != nil and {subject} != nil")
    inside = every(f"{alias} != nil", matches(alias, r"spiffe://"))
    empty = f"{attribute(ACTOR)} == nil"
    yield put(attribute(ACTOR), alias, where=every(empty, inside))
    yield replace(
        attribute(ACTOR), r"^.*(spiffe://[A-Za-z0-9.\-]+/[A-Za-z0-9._\-/]+).*$", "${1}", where=f"{attribute(ACTOR)} != nil"
    )


def sources(graph: Graph, region: str) -> tuple[Source, ...]:
    """Every source of a region."""
    domain = graph.trust_domain(region)
    status = at("status")
    refused = f"({status} == 401 or {status} == 403)"
    return (
        Source(
            dataset="istio.access",
            origin=_pods(None, "istio-proxy"),
            shape=every(f"{at('self')} != nil", f"{at('upstream_cluster')} != nil"),
            fields={
                "event.action": ("method",),
                "event.reason": ("details",),
                "source.address": ("source_address",),
                "destination.address": ("upstream_host",),
                "url.path": ("path",),
                "url.original": ("original_path",),
                "url.domain": ("authority",),
                "http.request.method": ("method",),
                "http.response.status_code": ("status",),
                "http.request.id": ("request_id",),
                "zerotrust.response_flags": ("flags",),
                "zerotrust.reporter.spiffe_id": ("self",),
            },
            # A proxy of the caller's names itself as the caller; one of the callee's names the caller by its certificate.
            more=(
                *(
                    statement
                    for inbound, actor, target in ((True, "source", "self"), (False, "self", "upstream"))
                    for where in (every(matches(at("upstream_cluster"), "^inbound" if inbound else "^outbound")),)
                    for statement in (
                        put(attribute(ACTOR), at(actor), where=where),
                        put(attribute(TARGET), at(target), where=where),
                    )
                ),
                put(
                    attribute("trace.id"),
                    f'ExtractPatterns({at("trace")}, {text("^[0-9a-f]{2}-(?P<id>[0-9a-f]{32})-")})["id"]',
                    where=f"{at('trace')} != nil and IsString({at('trace')})",
                ),
                *_outcome(f"{status} != nil and {status} < 400", f"{status} != nil and {status} >= 400"),
                put(attribute("event.type"), '"denied"', where=f"{status} != nil and {refused}"),
            ),
        ),
        Source(
            dataset="opa.decision",
            origin=_pods(None, "opa"),
            shape=f"{at('decision_id')} != nil and {at('input')} != nil",
            fields={
                "event.id": ("decision_id",),
                ACTOR: ("input/attributes/source/principal",),
                TARGET: ("input/attributes/destination/principal",),
                "event.action": ("input/attributes/request/http/method",),
                "url.path": ("input/attributes/request/http/path",),
                "url.domain": ("input/attributes/request/http/host",),
                "http.request.method": ("input/attributes/request/http/method",),
                "http.request.id": ("input/attributes/request/http/id",),
                "event.reason": ("result/headers/x-zerotrust-reason", "result/reason"),
            },
            more=(
                *_outcome(
                    f"{at('result')} == true or (IsMap({at('result')}) and {at('result', 'allowed')} == true)",
                    f"{at('result')} == false or (IsMap({at('result')}) and {at('result', 'allowed')} == false)",
                ),
                put(attribute("event.type"), '"denied"', where=f'{attribute("event.outcome")} == "failure"'),
            ),
        ),
        Source(
            dataset="cilium.flow",
            origin=f'resource.attributes["{ORIGIN}"] == "flows"',
            shape=f"{at('flow')} != nil",
            fields={},
            more=(
                put(JSON, at("flow")),
                put(attribute("event.action"), at("verdict")),
                put(attribute("event.reason"), at("drop_reason_desc"), where=f"{at('drop_reason_desc')} != nil"),
                put(attribute("source.ip"), at("IP", "source"), where=f"{at('IP')} != nil"),
                put(attribute("destination.ip"), at("IP", "destination"), where=f"{at('IP')} != nil"),
                put(
                    attribute("destination.port"),
                    at("l4", "TCP", "destination_port"),
                    where=f"{at('l4')} != nil and {at('l4', 'TCP')} != nil",
                ),
                *_endpoint(domain, "source", ACTOR),
                *_endpoint(domain, "destination", TARGET),
                *_outcome(f'{at("verdict")} == "FORWARDED"', f'{at("verdict")} == "DROPPED" or {at("verdict")} == "ERROR"'),
                put(attribute("event.type"), '"denied"', where=f'{at("verdict")} == "DROPPED"'),
            ),
        ),
        Source(
            dataset="vault.audit",
            origin=_pods(VAULT_NAMESPACE, "vault"),
            shape=f"{at('request')} != nil and {at('type')} != nil",
            fields={
                "event.id": ("request/id",),
                "event.action": ("request/operation",),
                "event.reason": ("error",),
                "url.path": ("request/path",),
                "source.ip": ("request/remote_address",),
                "zerotrust.vault.accessor": ("auth/accessor",),
            },
            more=(
                *_vault_actor(),
                *_outcome(f'{at("error")} == nil or {at("error")} == ""', f'{at("error")} != nil and {at("error")} != ""'),
                put(
                    attribute("event.type"),
                    '"denied"',
                    where=every(f"{at('error')} != nil", matches(at("error"), "permission denied")),
                ),
            ),
        ),
        Source(
            dataset="falco.alert",
            origin=f'({_pods(RUNTIME_NAMESPACE, "falco")}) or resource.attributes["{ORIGIN}"] == "{SECURITY_NAMESPACE}"',
            shape=f"{at('rule')} != nil and {at('output_fields')} != nil",
            fields={
                "event.action": ("rule",),
                "event.reason": ("output",),
                "event.severity": ("priority",),
                "process.name": ("output_fields/proc.name",),
                "process.command_line": ("output_fields/proc.cmdline",),
                "user.name": ("output_fields/user.name",),
                "container.id": ("output_fields/container.id",),
                "orchestrator.namespace": ("output_fields/k8s.ns.name",),
                "orchestrator.resource.name": ("output_fields/k8s.pod.name",),
            },
            more=(
                put(attribute("event.outcome"), '"unknown"'),
                put(attribute("event.type"), '"info"'),
                *_falco_actor(graph, region),
            ),
        ),
        Source(
            dataset="kubernetes.audit",
            origin=f'resource.attributes["{ORIGIN}"] == "kubernetes-audit"',
            shape=f"{at('auditID')} != nil",
            fields={
                "event.id": ("auditID",),
                "event.action": ("verb",),
                "event.reason": ("responseStatus/message",),
                "url.path": ("requestURI",),
                "http.response.status_code": ("responseStatus/code",),
                "user.name": ("user/username",),
                "source.ip": ("sourceIPs/0",),
                "orchestrator.namespace": ("objectRef/namespace",),
                "orchestrator.resource.type": ("objectRef/resource",),
                "orchestrator.resource.name": ("objectRef/name",),
            },
            more=(
                *_account(domain, at("user", "username"), ACTOR),
                *_outcome(
                    f"{at('responseStatus')} != nil and {at('responseStatus', 'code')} < 400",
                    f"{at('responseStatus')} != nil and {at('responseStatus', 'code')} >= 400",
                ),
                put(
                    attribute("event.type"),
                    '"denied"',
                    where=f"{at('responseStatus')} != nil and {at('responseStatus', 'code')} == 403",
                ),
            ),
        ),
        Source(
            dataset="aws.cloudtrail",
            origin=f'resource.attributes["{ORIGIN}"] == "cloudtrail"',
            shape=f"{at('eventSource')} != nil and {at('eventName')} != nil",
            fields={
                "event.id": ("eventID",),
                "event.action": ("eventName",),
                "event.provider": ("eventSource",),
                "event.reason": ("errorCode",),
                "source.ip": ("sourceIPAddress",),
                "user.id": ("userIdentity/arn",),
                "cloud.region": ("awsRegion",),
                "cloud.account.id": ("recipientAccountId",),
            },
            more=(
                *_pod_identity(graph, region),
                *_outcome(f"{at('errorCode')} == nil", f"{at('errorCode')} != nil"),
                put(
                    attribute("event.type"),
                    '"denied"',
                    where=every(f"{at('errorCode')} != nil", matches(at("errorCode"), "AccessDenied|UnauthorizedOperation")),
                ),
            ),
        ),
    )


def sidekick_record() -> Iterator[str]:
    """The side-kick's record in the form of Falco's own."""
    come, rule = f'resource.attributes["{ORIGIN}"] == "{SECURITY_NAMESPACE}"', 'log.attributes["rule"]'
    event = f'{{"rule": {rule}, "priority": log.attributes["priority"], "output": log.body, "output_fields": {{}}}}'
    made = every(come, f"{rule} != nil", "IsString(log.body)", f"{JSON} == nil")
    yield put(JSON, event, where=made)
    told = every(come, f"{JSON} != nil", "IsString(log.body)", matches("log.body", _SUGGESTED))
    found = 'log.cache["suggested"]'
    yield 'delete_key(log.cache, "suggested")'
    yield put(found, f"ExtractPatterns(log.body, {text(_SUGGESTED)})", where=told)
    for field, group in _FROM_TEXT.items():
        named = f"{found}[{text(group)}]"
        yield put(at("output_fields", field), named, where=every(f"{found} != nil", f'{named} != "<NA>"'))


def _falco_actor(graph: Graph, region: str) -> Iterator[str]:
    """The pod's service: by the id that Falco makes of the pod's labels, else by the container, which has the service's name."""
    fields = [at("output_fields", name) for name in ("k8s.ns.name", "spiffe_id", "container.name")]
    namespace, by_label, container = fields
    for tenant in graph.tenants:
        names = "|".join(workload.name for workload in graph.workloads_of(tenant, region))
        if names:
            prefix = f"spiffe://{graph.trust_domain(region)}/ns/{tenant}/sa/"
            mine = every(f"{namespace} != nil", f'{namespace} == "{tenant}"')
            labelled = matches(by_label, f"^{prefix}(?:{names})$".replace(".", "[.]"))
            called = every(f"{attribute(ACTOR)} == nil", f"{container} != nil", matches(container, f"^(?:{names})$"))
            yield put(attribute(ACTOR), by_label, where=every(mine, f"{by_label} != nil", labelled))
            yield put(attribute(ACTOR), join(text(prefix), container), where=every(mine, called))


def _pod_identity(graph: Graph, region: str) -> Iterator[str]:
    """The role of a pod identity has the namespace and the account in its name (`cluster.pod_identity`)."""
    arn = at("userIdentity", "arn")
    before = f"{graph.settings.organization}-{graph.settings.environment}-{region}"
    spaces = "|".join(sorted(PLATFORM_NAMESPACES))
    role = rf"^arn:aws:sts::[0-9]{{12}}:assumed-role/{before}-({spaces})-([a-z0-9.\-]+)/.*$"
    found = every(f"{at('userIdentity')} != nil", f"{arn} != nil", matches(arn, role))
    yield put(attribute(ACTOR), arn, where=found)
    yield replace(attribute(ACTOR), role, f"spiffe://{graph.trust_domain(region)}/ns/${{1}}/sa/${{2}}", where=found)
