"""The configuration that the chart is given, in the real Loki: accepted whole, and a tenant reads its own lines alone.

It runs with a folder in place of the bucket and as one instance; S3, the ring of three and the mesh's rules are not proven here.
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from components.observability.loki import chart_values, loki_config, runtime_config
from components.observability.stores import telemetry_tenants
from sandbox.loki import Loki, running, verify
from tests.support.program import changed
from tests.unit.test_network_policies import graph_of

DATA = changed("prod")
DATA["observability"] = {**DATA.get("observability", {}), "logs": {"tenants": {"audit": {"retention_days": 366}}}}
GRAPH = graph_of(DATA)
REGION = GRAPH.regions[0]
CONFIG = loki_config(region=REGION, bucket="clearing-prod-logs")


@pytest.fixture(scope="module")
def loki() -> Iterator[Loki]:
    with running(CONFIG, runtime_config(GRAPH)) as server:
        yield server


def without_runtime(config: dict[str, Any]) -> dict[str, Any]:
    """The file of the tenants' limits is another object of the chart; the check reads it where it lies."""
    return {key: value for key, value in copy.deepcopy(config).items() if key != "runtime_config"}


def test_loki_accepts_the_configuration_as_the_chart_is_given_it():
    values = chart_values(GRAPH, region=REGION, bucket="clearing-prod-logs", storage_class="encrypted")
    given = yaml.safe_load(values["loki"]["config"])
    assert given == CONFIG
    good, said = verify(without_runtime(given))
    assert good, said


@pytest.mark.parametrize(
    "wrong",
    [
        {"limits_config": {"retention": "1d"}},
        {"compactor": {**CONFIG["compactor"], "delete_request_store": ""}},
        {"server": {"port": 1}},
    ],
    ids=["unknown-limit", "retention-without-a-store", "unknown-server-key"],
)
def test_a_configuration_with_one_thing_wrong_is_refused(wrong):
    good, _ = verify({**without_runtime(CONFIG), **wrong})
    assert not good


def test_a_tenant_sees_its_own_lines_and_nobody_elses(loki):
    for tenant in ("bank-a", "bank-b"):
        assert loki.push(tenant, f"a line of {tenant}", k8s__namespace__name=tenant, service__name="api-ms") == 204
    query = '{service_name="api-ms"}'
    assert loki.lines("bank-a", query) == ["a line of bank-a"]
    assert loki.lines("bank-b", query) == ["a line of bank-b"]
    assert loki.lines("shared", query) == []


def test_who_names_no_tenant_neither_writes_nor_reads(loki):
    assert loki.push(None, "whose is this", service__name="api-ms") == 401
    assert loki.ask("/loki/api/v1/query_range", tenant=None, query='{service_name="api-ms"}')[0] == 401


def test_no_two_tenants_are_read_with_one_request(loki):
    status, text = loki.ask("/loki/api/v1/query_range", tenant="bank-a|bank-b", query='{service_name="api-ms"}')
    assert status != 200, text


def test_what_is_no_label_stays_with_its_line(loki):
    assert loki.push("shared", "paid", service__name="notifications", spiffe__id="spiffe://x/ns/shared/sa/notifications") == 204
    assert loki.lines("shared", '{service_name="notifications"} | spiffe_id="spiffe://x/ns/shared/sa/notifications"') == ["paid"]
    assert loki.lines("shared", '{service_name="notifications"} | spiffe_id="another"') == []
    assert '"spiffe_id"' not in loki.ask("/loki/api/v1/labels", tenant="shared")[1]


def test_every_tenant_and_the_platforms_own_names_have_limits(loki):
    limits = runtime_config(GRAPH)["overrides"]
    assert set(limits) == set(telemetry_tenants(GRAPH)) == {*GRAPH.tenants, "audit", "platform", "security"}
    for tenant, wanted in limits.items():
        status, text = loki.ask("/config/tenant/v1/limits", tenant=tenant)
        assert status == 200, text
        # Loki tells some of a tenant's limits and not its rates.
        days = yaml.safe_load(text)["retention_period"]
        assert days == ("366d" if tenant == "audit" else "30d")
        assert wanted["retention_period"] == f"{int(days[:-1]) * 24}h"


def test_a_query_that_loki_cannot_read_is_told(loki):
    assert loki.refuses('{service_name="a"} | json | status >= 500') is None
    assert loki.refuses('{service_name="a" | json')
