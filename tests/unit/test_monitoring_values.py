"""Values of Prometheus, Loki and Tempo: each key is one the pinned chart takes, and what the platform rests on is set.

Does not prove that a chart does with a key what its name says; rendering the charts needs their archives.
"""

import copy
from typing import Any

import pytest
import yaml

from components.assembly.place import Bucket, Buckets, ClusterPlace
from components.cni.policies_observability import SCRAPED, observability_policies
from components.cni.policies_telemetry import telemetry_policies
from components.context import RegionContext
from components.graph.names import (
    NAMESPACE_LABEL,
    NODE_TELEMETRY_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    PROXY_METRICS_PORT,
    SERVICE_LABEL,
)
from components.identity import registration
from components.identity.spire import METRICS_PORT, Datastore, TrustDomainArgs, chart_values
from components.observability import alert_routing, grafana, loki, prometheus, tempo
from components.observability.stores import CREDENTIAL_AGENT, bucket_policy
from tests.support.charts import unknown
from tests.unit.test_network_policies import shipped

GRAPH = shipped("prod")
REGION = GRAPH.regions[0]
WANTED = GRAPH.settings.observability


def stack() -> dict[str, Any]:
    """The stack as the assembly makes it."""
    return prometheus.chart_values(
        prometheus=prometheus.prometheus_values(WANTED.metrics, cluster="c", region=REGION, storage_class="encrypted"),
        alertmanager=alert_routing.alertmanager_values(
            WANTED.alerts, alert_routing.Delivery(), environment="prod", region=REGION, storage_class="encrypted"
        ),
        grafana=grafana.grafana_values(GRAPH),
    )


VALUES = {
    "kube-prometheus-stack": stack(),
    "loki": loki.chart_values(GRAPH, region=REGION, bucket="b", storage_class="encrypted"),
    "tempo": tempo.chart_values(WANTED.traces, region=REGION, bucket="b", storage_class="encrypted"),
}


@pytest.mark.parametrize("chart", VALUES)
def test_every_value_is_one_that_the_pinned_chart_takes(chart):
    assert unknown(chart, VALUES[chart]) == []
    wrong = copy.deepcopy(VALUES[chart])
    wrong["serviceAcount"] = {"name": "x"}
    assert unknown(chart, wrong) == ["serviceAcount.name"]


def test_every_monitor_and_rule_is_read_and_no_password_is_made():
    spec = VALUES["kube-prometheus-stack"]["prometheus"]["prometheusSpec"]
    kinds = ("podMonitor", "probe", "rule", "scrapeConfig", "serviceMonitor")
    assert [spec[f"{kind}SelectorNilUsesHelmValues"] for kind in kinds] == [False] * 5
    pages = VALUES["kube-prometheus-stack"]["grafana"]
    assert pages["grafana.ini"]["security"]["disable_initial_admin_creation"]
    assert not {"adminPassword", "adminUser", "admin"} & pages.keys()
    assert not VALUES["kube-prometheus-stack"]["crds"]["enabled"]


def test_what_is_replicated_stands_in_different_zones_and_survives_a_drain():
    values = VALUES["kube-prometheus-stack"]
    for part, spec, instances in (("prometheus", "prometheusSpec", 2), ("alertmanager", "alertmanagerSpec", 3)):
        assert values[part][spec]["replicas"] == instances
        assert values[part][spec]["podAntiAffinity"] == "hard"
        assert values[part][spec]["podAntiAffinityTopologyKey"] == "topology.kubernetes.io/zone"
        assert values[part]["podDisruptionBudget"] == {"enabled": True, "minAvailable": instances - 1}


def test_only_the_node_exporter_sees_the_host_and_it_stands_apart():
    values = VALUES["kube-prometheus-stack"]
    assert values["prometheus-node-exporter"]["namespaceOverride"] == NODE_TELEMETRY_NAMESPACE
    assert values["kubeStateMetrics"]["enabled"]
    assert "secrets" in values["kube-state-metrics"]["collectorsExclude"]
    assert not values["grafana"]["initChownData"]["enabled"]


def test_prometheus_keeps_less_than_its_volume_holds():
    spec = VALUES["kube-prometheus-stack"]["prometheus"]["prometheusSpec"]
    assert spec["retentionSize"] == "92160MB"
    assert spec["storageSpec"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"] == "100Gi"


def consistent(values: dict[str, Any]) -> bool:
    """One way of running Loki, one number of copies, buckets named, a tenant asked for."""
    config = yaml.safe_load(values["loki"]["config"])
    instances = values["singleBinary"]["replicas"]
    return (
        values["deploymentMode"] == "Monolithic"
        and [values[part]["replicas"] for part in ("backend", "read", "write")] == [0, 0, 0]
        and instances == config["common"]["replication_factor"] == values["loki"]["commonConfig"]["replication_factor"]
        and set(values["loki"]["storage"]["bucketNames"]) == {"chunks", "ruler"}
        and config["auth_enabled"] is True
        and config["schema_config"] == values["loki"]["schemaConfig"]
        and not (values["test"]["enabled"] or values["lokiCanary"]["enabled"])
        and "minio" not in values
    )


def test_lokis_replicas_buckets_and_tenants_are_of_one_mind():
    assert consistent(VALUES["loki"])
    for path in (("read", "replicas"), ("singleBinary", "replicas"), ("loki", "commonConfig", "replication_factor")):
        wrong = copy.deepcopy(VALUES["loki"])
        place = wrong
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] += 1
        assert not consistent(wrong)


def test_tempo_is_the_single_program_and_needs_no_queue():
    values = VALUES["tempo"]
    config = yaml.safe_load(values["config"])
    assert values["replicas"] == 1
    assert "{{" not in values["config"]
    assert config["multitenancy_enabled"] is True
    assert "ingest" not in config
    assert set(config["distributor"]["receivers"]) == {"otlp"}
    assert config["compactor"]["compaction"]["block_retention"] == "336h"


def test_the_chart_hands_the_configurations_on_as_they_are():
    for text in (VALUES["loki"]["loki"]["config"], VALUES["tempo"]["config"]):
        assert "{{" not in text
        assert "accessKey" not in text
        assert "secret" not in text.lower()


@pytest.mark.parametrize(
    "annotations",
    [VALUES["loki"]["singleBinary"]["podAnnotations"], VALUES["tempo"]["podAnnotations"]],
    ids=["loki", "tempo"],
)
def test_a_store_gets_its_credentials_past_its_proxy(annotations):
    assert annotations["traffic.sidecar.istio.io/excludeOutboundIPRanges"] == CREDENTIAL_AGENT
    assert "443" in annotations["traffic.sidecar.istio.io/excludeOutboundPorts"].split(",")
    assert "3100" not in annotations.get("traffic.sidecar.istio.io/excludeInboundPorts", "").split(",")


def test_a_store_has_rights_on_its_own_bucket_and_its_key_by_s3_alone():
    document = bucket_policy("arn:aws:s3:::b", "arn:aws:kms:eu-west-1:1:key/k", region="eu-west-1")
    assert {one["Resource"] for one in document["Statement"]} == {
        "arn:aws:s3:::b",
        "arn:aws:s3:::b/*",
        "arn:aws:kms:eu-west-1:1:key/k",
    }
    actions = [one["Action"] for one in document["Statement"]]
    assert not [action for action in str(actions).split("'") if "*" in action]
    assert document["Statement"][-1]["Condition"] == {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}


def test_the_assembly_gives_the_same_values():
    from components.assembly.monitoring import stack_values  # noqa: PLC0415 - the only test of the assembly here

    context = RegionContext(organization="clearing", environment="prod", region=REGION, account="444455556666", tags={})
    bucket = Bucket(name="b", arn="arn:aws:s3:::b")
    place = ClusterPlace.__new__(ClusterPlace)
    for key, value in {
        "graph": GRAPH,
        "context": context,
        "cluster": "c",
        "buckets": Buckets(backups=bucket, logs=bucket, traces=bucket),
    }.items():
        object.__setattr__(place, key, value)
    assert stack_values(place, alert_routing.Delivery()) == VALUES["kube-prometheus-stack"]


def monitors() -> dict[str, dict[str, Any]]:
    """What scrapes the parts without a monitor of their chart's, by name."""
    return {each["metadata"]["name"]: each["spec"] for each in prometheus.core_monitors(GRAPH)}


def test_every_meshed_part_of_the_telemetry_is_scraped_at_its_proxy():
    accounts = {
        each["spec"]["podSelector"]["matchLabels"][SERVICE_LABEL]
        for each in registration.region_objects(GRAPH, REGION)
        if each["spec"]["namespaceSelector"]["matchLabels"] == {NAMESPACE_LABEL: OBSERVABILITY_NAMESPACE}
    }
    [chosen] = monitors()["telemetry"]["selector"]["matchExpressions"]
    # Alertmanager has an identity for Vault alone: it stands outside the mesh.
    assert set(chosen["values"]) == accounts - {"alertmanager"}
    opened = {name for name, pods, ports in SCRAPED if pods.namespace == OBSERVABILITY_NAMESPACE and PROXY_METRICS_PORT in ports}
    collectors = {"collectors", "audit-reader"}
    own = {each.name.removeprefix("scraped-") for each in telemetry_policies(GRAPH, REGION) if each.name.startswith("scraped-")}
    assert opened == {"grafana", "loki", "prometheus"}
    assert collectors <= own
    assert "scraped-tempo" in {each.name for each in observability_policies(GRAPH, REGION)}


@pytest.mark.parametrize("part", ["server", "agent"])
def test_spire_is_asked_at_the_port_that_its_chart_declares(part):
    [endpoint] = monitors()[f"spire-{part}"]["podMetricsEndpoints"]
    values = chart_values(
        TrustDomainArgs(
            context=RegionContext(organization="o", environment="prod", region=REGION, account="444455556666", tags={}),
            settings=GRAPH.settings.identity,
            trust_domain=GRAPH.trust_domain(REGION),
            cluster_name="c",
            federated=True,
            datastore=Datastore(host="h", database="d", user="u", client_secret="s"),  # noqa: S106 - a name
            storage_class="encrypted",
            after=(),
        )
    )
    # Both templates of the chart: `name: prom`, with either of the two switches.
    assert endpoint["port"] == "prom"
    assert values[f"spire-{part}"]["telemetry"]["prometheus"]["enabled"] is True
    assert values["spire-agent"]["telemetry"]["prometheus"]["port"] == METRICS_PORT
    assert {ports for name, _, ports in SCRAPED if name == f"spire-{part}"} == {(METRICS_PORT,)}
