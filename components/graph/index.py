"""The edges of a graph by their ends: every question a compiler asks is one look-up, whatever the number of tenants.

Built once for a graph, in one pass over each kind of edge. Every group keeps the order of what it was made from, so what is
compiled from a group is what was compiled from a search.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from components.graph.model import Call, Data, Egress, Graph, Route, Store, Workload

Item = TypeVar("Item")
End = TypeVar("End", bound=Hashable)


def grouped(items: Iterable[Item], end: Callable[[Item], End]) -> Mapping[End, tuple[Item, ...]]:
    """The items by one of their ends, each group in the order given. Every item is looked at once."""
    found: dict[End, list[Item]] = {}
    for item in items:
        found.setdefault(end(item), []).append(item)
    return MappingProxyType({key: tuple(group) for key, group in found.items()})


@dataclass(frozen=True, kw_only=True)
class Index:
    """What a graph is asked for. Workloads and stores are named by their refs, `<tenant>/<name>`; what has no edge is absent."""

    workloads_of: "Mapping[str, tuple[Workload, ...]]"
    """By tenant, whatever the region."""
    stores_of: "Mapping[str, tuple[Store, ...]]"
    """By tenant."""
    calls_to: "Mapping[str, tuple[Call, ...]]"
    """By the callee's ref."""
    calls_from: "Mapping[str, tuple[Call, ...]]"
    """By the caller's ref."""
    calls_into: "Mapping[str, tuple[Call, ...]]"
    """By the callee's tenant."""
    calls_out_of: "Mapping[str, tuple[Call, ...]]"
    """By the caller's tenant."""
    data_of: "Mapping[str, tuple[Data, ...]]"
    """By the service's ref."""
    data_to: "Mapping[str, tuple[Data, ...]]"
    """By the store's ref."""
    data_out_of: "Mapping[str, tuple[Data, ...]]"
    """By the service's tenant."""
    egress_of: "Mapping[str, tuple[Egress, ...]]"
    """By the service's ref."""
    egress_out_of: "Mapping[str, tuple[Egress, ...]]"
    """By the service's tenant."""
    routes_to: "Mapping[str, tuple[Route, ...]]"
    """By the service's ref."""
    routes_into: "Mapping[str, tuple[Route, ...]]"
    """By the service's tenant."""

    @classmethod
    def of(cls, graph: "Graph") -> "Index":
        """The index of a graph."""
        return cls(
            workloads_of=grouped(graph.workloads.values(), lambda workload: workload.tenant),
            stores_of=grouped(graph.stores.values(), lambda store: store.tenant),
            calls_to=grouped(graph.calls, lambda call: call.callee.ref),
            calls_from=grouped(graph.calls, lambda call: call.caller.ref),
            calls_into=grouped(graph.calls, lambda call: call.callee.tenant),
            calls_out_of=grouped(graph.calls, lambda call: call.caller.tenant),
            data_of=grouped(graph.data, lambda edge: edge.service.ref),
            data_to=grouped(graph.data, lambda edge: edge.store.ref),
            data_out_of=grouped(graph.data, lambda edge: edge.service.tenant),
            egress_of=grouped(graph.egress, lambda edge: edge.service.ref),
            egress_out_of=grouped(graph.egress, lambda edge: edge.service.tenant),
            routes_to=grouped(graph.routes, lambda route: route.service.ref),
            routes_into=grouped(graph.routes, lambda route: route.service.tenant),
        )
