"""What compiling costs, counted and not timed: how often the whole graph is gone through does not depend on its size."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from bench.compiling import compiled, growth
from bench.synthetic import SERVICES, names, tree
from components.edge.api_routes import operations, routes_by_tenant
from components.graph.index import grouped
from components.graph.model import Graph
from components.settings import load
from components.tenant import tenant_layers

SEARCHED = ("calls", "data", "egress", "routes", "workloads", "stores", "clients")


class Watched(tuple[Any, ...]):  # noqa: SLOT001 - it carries what it counts, and a tuple takes no slots with content
    """A sequence that counts how often somebody goes through it."""

    passes: Counter[str]
    name: str

    @classmethod
    def of(cls, items: Iterable[Any], passes: Counter[str], name: str) -> "Watched":
        made = cls(items)
        made.passes, made.name = passes, name
        return made

    def __iter__(self) -> Iterator[Any]:
        self.passes[self.name] += 1
        return super().__iter__()


class WatchedMapping(dict[str, Any]):
    """A mapping that counts how often somebody goes through it; a look-up is none."""

    passes: Counter[str]
    name: str

    def _seen(self) -> None:
        self.passes[self.name] += 1

    def __iter__(self) -> Iterator[str]:
        self._seen()
        return super().__iter__()

    def values(self) -> Any:
        self._seen()
        return super().values()

    def items(self) -> Any:
        self._seen()
        return super().items()


def watched(graph: Graph, passes: Counter[str]) -> Graph:
    """The graph with everything in it that could be searched counting."""
    found: dict[str, Any] = {}
    for name in SEARCHED:
        value = getattr(graph, name)
        if isinstance(value, tuple):
            found[name] = Watched.of(value, passes, name)
        else:
            found[name] = WatchedMapping(value)
            found[name].passes, found[name].name = passes, name
    return dataclasses.replace(graph, **found)


def passes_of(count: int) -> Counter[str]:
    """How often compiling every tenant of a region goes through each part of a graph of `count` tenants."""
    passes: Counter[str] = Counter()
    graph = watched(Graph.of(load(tree(count, regions=1))), passes)
    for region in graph.regions:
        for tenant in graph.tenants:
            tenant_layers(graph, region, tenant)
    return passes


def test_ten_times_the_tenants_go_through_the_graph_no_more_often() -> None:
    few, many = passes_of(2), passes_of(20)
    assert few == many
    # Each kind of edge twice or thrice, by its ends; nobody asks for the clients.
    assert set(few) == set(SEARCHED) - {"clients"}
    assert max(few.values()) <= 4


def test_a_search_for_one_tenant_is_seen_by_the_count() -> None:
    passes: Counter[str] = Counter()
    graph = watched(Graph.of(load(tree(3, regions=1))), passes)
    for tenant in graph.tenants:
        assert [call for call in graph.calls if call.callee.tenant == tenant]
        assert [workload for workload in graph.workloads.values() if workload.tenant == tenant]
    assert passes == {"calls": 4, "workloads": 4}


def test_the_index_answers_what_a_search_finds() -> None:
    graph = Graph.of(load(tree(4)))
    for tenant in graph.tenants:
        assert graph.index.calls_into.get(tenant, ()) == tuple(c for c in graph.calls if c.callee.tenant == tenant)
        assert graph.index.calls_out_of.get(tenant, ()) == tuple(c for c in graph.calls if c.caller.tenant == tenant)
        assert graph.index.data_out_of.get(tenant, ()) == tuple(e for e in graph.data if e.service.tenant == tenant)
        assert graph.index.egress_out_of.get(tenant, ()) == tuple(e for e in graph.egress if e.service.tenant == tenant)
        assert graph.index.routes_into.get(tenant, ()) == tuple(r for r in graph.routes if r.service.tenant == tenant)
        assert graph.stores_of(tenant) == tuple(s for s in graph.stores.values() if s.tenant == tenant)
    for workload in graph.workloads.values():
        assert graph.calls_to(workload, "eu-west-1") == tuple(c for c in graph.calls if c.callee == workload)
        assert graph.calls_from(workload, "eu-west-1") == tuple(c for c in graph.calls if c.caller == workload)
        assert graph.data_of(workload) == tuple(e for e in graph.data if e.service == workload)
        assert graph.egress_of(workload) == tuple(e for e in graph.egress if e.service == workload)
        assert graph.routes_to(workload) == tuple(r for r in graph.routes if r.service == workload)
    for store in graph.stores.values():
        assert graph.data_to(store) == tuple(e for e in graph.data if e.store == store)


def test_a_group_keeps_the_order_it_was_given() -> None:
    assert grouped(("bb", "a", "cc", "d"), len) == {2: ("bb", "cc"), 1: ("a", "d")}


def test_routes_are_compiled_from_the_tenants_own_as_from_all() -> None:
    routes = load(tree(3)).access.routes
    assert {tenant: operations(tenant, own) for tenant, own in routes_by_tenant(routes).items()} == {
        tenant: operations(tenant, routes) for tenant in names(3)
    }


@pytest.mark.parametrize("regions", [1, 2])
def test_the_benchs_settings_load_and_compile(regions: int) -> None:
    settings = load(tree(2, regions=regions))
    graph = Graph.of(settings)
    assert len(graph.regions) == regions
    assert set(graph.tenants) == {*names(2), "shared"}
    for tenant in names(2):
        assert sorted(w.name for w in graph.index.workloads_of[tenant]) == sorted(SERVICES)
        assert len(graph.index.calls_into[tenant]) + len(graph.index.data_out_of[tenant]) == 5
        assert len(graph.index.routes_into[tenant]) == 1
        assert [c.callee.tenant for c in graph.index.calls_out_of[tenant]].count("shared") == 1
    assert compiled(settings) > 100 * regions


def test_more_regions_than_the_stack_has_are_refused() -> None:
    with pytest.raises(ValueError, match="2 regions, not 3"):
        tree(2, regions=3)


def test_each_tenant_adds_as_many_objects_as_the_one_before() -> None:
    one, two, three = (compiled(load(tree(count, regions=1))) for count in (1, 2, 3))
    assert three - two == two - one > 0


def test_growth_is_one_where_cost_is_proportional_and_above_where_it_is_not() -> None:
    assert growth({2: 2.0, 20: 20.0, 200: 200.0}, 2, 20, 200) == {"per_tenant": 1.0, "marginal": 1.0}
    assert growth({2: 12.0, 20: 30.0, 200: 210.0}, 2, 20, 200) == {"per_tenant": 0.7, "marginal": 1.0}
    assert growth({2: 4.0, 20: 400.0, 200: 40000.0}, 2, 20, 200)["marginal"] == pytest.approx(10.0)
