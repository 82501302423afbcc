"""What a responder does with an event of Falco's, as the program lets one: it writes the caller's risk where OPA reads it.

No responder is part of the platform. The program has its places: the side-kick's webhook (`runtime.responder` in the settings), a
ConfigMap `workload-risk` in every tenant's namespace, and an account that alone may write it. This is the least that fills them,
for the proof: it takes an event in the side-kick's shape and raises the risk of the workload that the event names.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from components.graph.identity import spiffe_id
from components.graph.model import Graph
from components.graph.names import RESPONDER, RISK_CONFIG_MAP, RISK_FILE, SECURITY_NAMESPACE
from components.runtime.configuration import at_least
from sandbox.live.client import Cluster
from sandbox.proof.attacks.apiserver import MERGE, Asked, ask, rights
from sandbox.proof.world import ProofError

ACCOUNT: Final = f"system:serviceaccount:{SECURITY_NAMESPACE}:{RESPONDER}"
_HIGH, _MEDIUM = "error", "warning"
"""From which priority on a workload is at that risk; Falco's own words, in small letters."""
_WRITES: Final = ({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"], "resourceNames": [RISK_CONFIG_MAP]},)


def risk(event: Mapping[str, Any]) -> str:
    """The level that an event puts its workload at: `high`, `medium` or `low`."""
    priority = str(event.get("priority", "")).lower()
    return "high" if priority in at_least(_HIGH) else "medium" if priority in at_least(_MEDIUM) else "low"


def caller(event: Mapping[str, Any], graph: Graph, region: str) -> str:
    """The key of the workload in OPA's data: its SPIFFE id without the scheme.

    Raises:
        ProofError: the event names nobody of the region's.
    """
    told = str(event.get("output_fields", {}).get("spiffe_id", ""))
    domain = graph.trust_domain(region)
    for workload in graph.workloads.values():
        if region in workload.regions and told == spiffe_id(domain, workload.tenant, workload.name):
            return told.removeprefix("spiffe://")
    msg = f"an event of {told or 'nobody'}: no workload of {region}"
    raise ProofError(msg)


def raised(before: Mapping[str, str], who: str, level: str) -> dict[str, str]:
    """The risks with one of them at least at a level: an event never makes anybody trusted again."""
    order = ("low", "medium", "high")
    return {**before, who: max(level, before.get(who, "low"), key=order.index)}


@contextmanager
def responded(cluster: Cluster, graph: Graph, event: Mapping[str, Any]) -> Iterator[None]:
    """An event is acted on, in the namespace of every tenant; afterwards the risks are what they were.

    The program gives the account no right; it has one for this time, to these objects alone.

    Raises:
        ProofError: the event names nobody, or the API server refuses what the responder writes.
    """
    region = cluster.access.region
    who, level = caller(event, graph, region), risk(event)
    with ExitStack() as stack:
        for tenant in graph.tenants:
            stack.enter_context(rights(cluster, ACCOUNT, "proof-responder", tenant, _WRITES, named=RISK_CONFIG_MAP))
            before = _read(cluster, tenant)
            stack.callback(_write, cluster, tenant, before)
            _write(cluster, tenant, json.dumps(raised(json.loads(before), who, level)) + "\n")
        yield


def _read(cluster: Cluster, tenant: str) -> str:
    found = cluster.get("v1", "ConfigMap", tenant, RISK_CONFIG_MAP)
    if found is None:
        msg = f"there is no {RISK_CONFIG_MAP} of {tenant}"
        raise ProofError(msg)
    return str(found["data"][RISK_FILE])


def _write(cluster: Cluster, tenant: str, text: str) -> None:
    path = f"/api/v1/namespaces/{tenant}/configmaps/{RISK_CONFIG_MAP}"
    said = ask(cluster, Asked("PATCH", path, {"data": {RISK_FILE: text}}, MERGE), ACCOUNT, kept=True)
    if not said.is_allowed:
        msg = f"the responder is refused: {said.words}"
        raise ProofError(msg)
