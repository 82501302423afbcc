"""Random graphs: every layer that sees a question answers as the settings do, and two layers refuse what is refused.

Two sizes: many graphs for the network and the decisions, few for all layers with Envoy. Drawn in one order, so a failure comes
again; the settings that fail are printed.
"""

from functools import cache

from hypothesis import HealthCheck, Phase, given, settings

from tests.support.equivalence import check
from tests.support.equivalence_engines import Engines
from tests.support.graphs import trees

MESH = frozenset({"istio-inbound", "istio-outbound", "ingress-gateway", "egress-gateway", "eastwest-gateway"})
USUAL = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.generate],  # shrinking would ask the engines hundreds of times
}


@cache
def engines():
    return Engines()


@given(tree=trees(tenants=3, services=6))
@settings(max_examples=12, **USUAL)
def test_network_and_decisions_follow_a_random_graph(tree):
    report = check(tree, engines=engines(), region="eu-west-1", without=MESH)
    assert [str(each) for each in report.disagreements[:10]] == []


@given(tree=trees(tenants=3, services=5))
@settings(max_examples=4, **USUAL)
def test_every_layer_follows_a_random_graph(tree):
    report = check(tree, engines=engines(), region="eu-west-1")
    assert [str(each) for each in report.disagreements[:10]] == []
