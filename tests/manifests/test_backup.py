"""Backups and game days before the real judges: the API server takes every object, Prometheus's own engine every condition.

Not proven here: what Velero, the archive's plug-in and Chaos Mesh do with an object that the server takes.
"""

import copy
import subprocess
from pathlib import Path

import pytest
import yaml

from components.backup import objects
from components.chaos.game_days import every_game_day
from components.chaos.workflow import gate, violated, workflow
from components.graph.model import Graph
from components.settings import load
from components.tenancy.postgres import Archive, Postgres, postgres_cluster
from sandbox.apiclient import ApiServer
from sandbox.toolchain import build
from tests.support.objects import refusal
from tests.support.program import stack_settings

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph.of(load(stack_settings("prod")))


@pytest.fixture(scope="module")
def server(api_server: ApiServer, graph: Graph) -> ApiServer:
    for name in ("velero", "chaos-mesh", *graph.tenants):
        api_server.namespace(name)
    return api_server


def test_the_server_takes_every_object_of_backups(server, graph):
    wanted = [*objects.region_objects(graph, REGION)]
    wanted += [each for tenant in graph.tenants for each in objects.tenant_objects(graph, REGION, tenant)]
    server.prepare(wanted)
    assert {each["kind"] for each in wanted} >= {"Schedule", "ScheduledBackup", "ObjectStore", "ClusterRole"}
    assert [said for each in wanted if (said := refusal(server, each))] == []


def test_the_server_takes_a_database_that_archives(server):
    database = Postgres(
        namespace="bank-a",
        name="ledger",
        major="18",
        image="registry.example/postgres@sha256:" + "0" * 64,
        instances=3,
        storage="10Gi",
        cpu="250m",
        memory="1Gi",
        archive=Archive(timeout_seconds=60),
    )
    [cluster] = [each for each in postgres_cluster(database) if each["kind"] == "Cluster"]
    server.prepare([cluster])
    assert cluster["spec"]["postgresql"]["parameters"]["archive_timeout"] == "60s"
    assert refusal(server, cluster) == ""
    wrong = copy.deepcopy(cluster)
    wrong["spec"]["plugins"][0]["isWalArchiver"] = True
    assert "isWalArchiver" in refusal(server, wrong)


def test_the_server_takes_every_game_day_and_refuses_a_misspelt_one(server, graph):
    days = every_game_day(graph, REGION)
    server.prepare([workflow(days[0])])
    assert [said for day in days if (said := refusal(server, workflow(day)))] == []
    wrong = workflow(days[0])
    wrong["spec"]["templates"][1]["statusCheck"]["interval"] = 5
    assert "interval" in refusal(server, wrong)


def verdict(folder: Path, expression: str, series: dict[str, str]) -> tuple[bool, str]:
    """Whether Prometheus's engine evaluates an expression to nothing, two minutes into the series, and what it says if not."""
    question = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": "2m", "exp_samples": []}],
    }
    (folder / "rules.yaml").write_text("groups: []\n")
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [question]}))
    command = [str(build("promtool", lambda _line: None)), "test", "rules", str(folder / "test.yaml")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.returncode == 0, run.stdout + run.stderr


SERVED = (
    'istio_requests_total{{reporter="source",source_workload="ingress-gateway",'
    'destination_workload_namespace="other",response_code="{}"}}'
)
WELL = {SERVED.format("200"): "0+100x10", SERVED.format("503"): "0x10"}
BURNING = {SERVED.format("200"): "0+100x10", SERVED.format("503"): "0+50x10"}


def test_a_game_day_goes_on_while_all_is_well_and_ends_when_it_is_not_or_nothing_is_known(tmp_path, graph):
    for query in {gate(day.abort) for day in every_game_day(graph, REGION)}:
        assert verdict(tmp_path, query, WELL)[0], query
        evaluated, said = verdict(tmp_path, query, BURNING)
        assert not evaluated
        assert "duplicate series for the match group" in said
    for query in {gate(violated(day.steady)) for day in every_game_day(graph, REGION)}:
        assert verdict(tmp_path, query, WELL)[0], query
        for unsteady in (BURNING, {"up": "1x10"}):
            assert "duplicate series for the match group" in verdict(tmp_path, query, unsteady)[1]
