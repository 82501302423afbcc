"""The correlation rules in the real Loki's ruler: read, evaluated over the audit tenant, firing for one identity alone.

The groups are evaluated every second instead of every minute; where alerts are sent, and the ring of three, are not proven here.
"""

import copy
import time
from collections.abc import Callable, Iterator

import pytest
import yaml

from components.observability import log_rules
from components.observability.loki import RULES, chart_values, loki_config, runtime_config
from components.observability.telemetry.names import AUDIT_LOGS
from sandbox.loki import Loki, LokiError, running
from tests.support.telemetry import REGION, graph

ATTACKER = "spiffe://eu-west-1.dev.mycompany.internal/ns/bank-a/sa/api-ms"
CLUMSY = "spiffe://eu-west-1.dev.mycompany.internal/ns/bank-a/sa/trans-ms"
GRAPH = graph()
CONFIG = loki_config(region=REGION, bucket="clearing-dev-logs")
DOCUMENTS = log_rules.documents(GRAPH)
NAMES = sorted(rule["alert"] for held in DOCUMENTS.values() for group in held["groups"] for rule in group["rules"])
PATIENCE_SECONDS = 90


def quickened() -> dict[str, str]:
    held = copy.deepcopy(DOCUMENTS)
    for document in held.values():
        for group in document["groups"]:
            group["interval"] = "1s"
    return {name: yaml.safe_dump(document) for name, document in held.items()}


def told(server: Loki, who: str, dataset: str, kind: str = "denied") -> None:
    """An audit record as the gateway writes it."""
    attributes = {"service__name": AUDIT_LOGS, "event__type": kind, "event__dataset": dataset}
    assert server.push(AUDIT_LOGS, "{}", **attributes, zerotrust__actor__spiffe_id=who) == 204


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, "the ruler did not say so in time"
        time.sleep(0.2)


def fires(server: Loki) -> dict[str, set[str]]:
    """Identities by the alert that fires for them."""
    return {
        name: {one["labels"]["zerotrust_actor_spiffe_id"] for one in rule["alerts"] if one["state"] == "firing"}
        for name, rule in server.alerts(AUDIT_LOGS).items()
    }


@pytest.fixture(scope="module")
def loki() -> Iterator[Loki]:
    with running(CONFIG, runtime_config(GRAPH), rules={AUDIT_LOGS: quickened()}) as server:
        until(lambda: sorted(server.alerts(AUDIT_LOGS)) == NAMES)
        yield server


def test_the_ruler_reads_every_rule_of_the_audit_tenant_and_none_for_another(loki: Loki):
    assert sorted(loki.alerts(AUDIT_LOGS)) == NAMES
    assert loki.alerts("bank-a") == {}


def test_an_identity_refused_in_two_layers_after_a_runtime_event_is_told_and_one_refused_once_is_not(loki: Loki):
    told(loki, CLUMSY, "istio.access")
    told(loki, ATTACKER, "istio.access")
    told(loki, ATTACKER, "vault.audit")
    told(loki, ATTACKER, "falco.alert", "info")
    until(lambda: fires(loki)["DeniedInSeveralLayers"] == fires(loki)["VaultDeniedAfterRuntimeEvent"] == {ATTACKER})
    assert fires(loki)["DenialsBurst"] == set()
    for _ in range(21):
        told(loki, CLUMSY, "istio.access")
    until(lambda: fires(loki)["DenialsBurst"] == {CLUMSY})
    assert fires(loki)["DeniedInSeveralLayers"] == {ATTACKER}


def test_a_rule_that_loki_cannot_read_is_in_no_list():
    broken = copy.deepcopy(DOCUMENTS["attacks.yaml"])
    broken["groups"][0]["rules"][0]["expr"] = "sum by (x) (count_over_time({a=~} [5m])) > 1"
    with running(CONFIG, runtime_config(GRAPH), rules={AUDIT_LOGS: {"attacks.yaml": yaml.safe_dump(broken)}}) as server:
        try:
            assert server.alerts(AUDIT_LOGS) == {}
        except LokiError as refused:
            assert "attacks.yaml" in str(refused)


def test_the_chart_mounts_the_files_below_the_rulers_folder():
    values = chart_values(GRAPH, region=REGION, bucket="clearing-dev-logs", storage_class="encrypted")["singleBinary"]
    assert values["extraVolumes"] == [{"name": "rules", "configMap": {"name": log_rules.rules_object(GRAPH)["metadata"]["name"]}}]
    (mount,) = values["extraVolumeMounts"]
    assert mount["mountPath"] == f"{RULES}/{AUDIT_LOGS}"
    assert CONFIG["ruler"]["storage"]["local"]["directory"] == RULES
