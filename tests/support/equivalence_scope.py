"""What stands in the configuration that Istio's builder made: a sidecar's hosts, a gateway's names and who may use them.

Read, not asked: Envoy has nowhere to send such a connection on one machine.
"""

import json
from typing import Any, Final

from components.graph.names import EASTWEST, EGRESS, REGION_REACH_LABEL
from sandbox.istio_verdicts import Built
from tests.support import oracle
from tests.support.equivalence_questions import Answer, Atom
from tests.support.equivalence_world import World

NOBODY: Final = json.dumps({"notRule": {"any": True}})
"""What Istio makes of a policy that allows nothing."""


def scope(world: World, built: Built, atom: Atom) -> Answer:  # noqa: PLR0911 - a table
    """What stands in a sidecar's or a gateway's configuration."""
    values = atom.values
    if atom.what == "passes":
        return _present(
            f"outbound_.{_port(world, values[0])}_._.{oracle.service_names(values[0])[0]}" in _names(built, EASTWEST.name)
        )
    if atom.what == "egress":
        return _present(_let_out(built, world.identities.get(values[0], ""), values[2]))
    hosts = {each.rsplit(":", 1)[0] for each in built.outbound.get(values[0], ("*",))}
    match atom.what:
        case "host":
            return _present(oracle.service_names(values[2])[0] in hosts or "*" in hosts)
        case "beyond":
            return _present(oracle.service_names(values[2])[1] in hosts and _entered(world, values[2], values[3]))
        case "store":
            return _present(bool(hosts & set(oracle.store_names(world.tree, values[2]))))
        case "named":
            return _present(values[2] in hosts)
        case _:
            return _present("*" in hosts)


def _let_out(built: Built, caller: str, host: str) -> bool:
    """Whether the host has a chain at the egress gateway, and a rule of it takes this caller and this server name.

    A rule that names no caller takes any, one that names no server takes any, and so does a chain without rules.
    """
    filters = _chains(built, EGRESS.name).get(host)
    if filters is None:
        return False
    ruled = [each["typedConfig"]["rules"] for each in filters if "rules" in each["typedConfig"]]
    rules = [json.dumps(rule) for each in ruled for rule in each.get("policies", {}).values()]
    rules = [rule for rule in rules if NOBODY not in rule]
    named = ((f'"spiffe://{caller}"', "spiffe://"), (f'"{host}"', "requestedServerName"))
    return not ruled or any(all(mine in rule or kind not in rule for mine, kind in named) for rule in rules)


def _port(world: World, ref: str) -> int:
    tenant, name = ref.split("/")
    return int(world.tree["tenants"][tenant]["services"][name].get("port", 8080))


def _present(there: bool) -> Answer:  # noqa: FBT001 - the answer itself
    return Answer(there, "" if there else "absent")


def _entered(world: World, callee: str, region: str) -> bool:
    """Whether the callee has an endpoint at the other region's own address."""
    tenant, name = callee.split("/")
    return any(
        each["metadata"]["namespace"] == tenant
        and each["spec"]["labels"].get(REGION_REACH_LABEL) == name
        and each["spec"]["address"] == world.eastwest(region)
        for each in world.of("WorkloadEntry")
    )


def _chains(built: Built, gateway: str) -> dict[str, Any]:
    return {
        name: chain["filters"]
        for made in built.listeners.get(gateway, ())
        for chain in made["config"].get("filterChains", ())
        for name in chain.get("filterChainMatch", {}).get("serverNames", ())
    }


def _names(built: Built, gateway: str) -> set[str]:
    return set(_chains(built, gateway))
