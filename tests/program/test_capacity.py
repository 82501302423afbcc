"""The nodes of the shipped stacks carry what the platform and its tenants ask of them, at the smallest size.

Not proven: that the scheduler finds a place for each pod, and what pods use beyond what they ask for.
"""

from typing import Any

import pytest

from docs.capacity import RELEASE, claimed, fits, millicores, of_release, usable
from tests.support.monitor import Recording
from tests.support.program import STACKS, changed, record_settings, record_stack

REGION = "eu-west-1"


@pytest.mark.parametrize("stack", STACKS)
def test_the_smallest_node_groups_carry_every_request(stack):
    recording = record_stack(stack)
    for region in sorted(each.name for each in recording.of("zerotrust:region:Region")):
        short = {role: fit for role, fit in fits(recording, region).items() if not fit.holds}
        assert not short, f"{region}: raise cluster.node_groups in Pulumi.{stack}.yaml"


def test_nodes_too_small_are_noticed():
    settings = changed("dev")
    for group in settings["cluster"]["node_groups"].values():
        group.update(instance_types=["m7g.large"], min_size=3)
    found = fits(record_settings(settings, "dev"), REGION)
    assert {role for role, fit in found.items() if not fit.holds} == {"system", "workload"}


@pytest.mark.parametrize("stack", STACKS)
def test_each_server_of_vault_finds_a_node_of_its_own(stack):
    """The chart's own rule puts no two of them on one node."""
    recording = record_stack(stack)
    servers = [each for each in _charts(recording, "vault") if each["server"].get("affinity") != ""]
    assert servers
    nodes = fits(recording, REGION)["system"].nodes
    assert all(int(each["server"]["ha"]["replicas"]) <= nodes for each in servers)


def _charts(recording: Recording, name: str) -> list[dict[str, Any]]:
    return [each.inputs["values"] for each in recording.of(RELEASE) if each.inputs["chart"].rsplit("/", 1)[-1] == name]


def test_every_release_that_runs_pods_is_counted():
    recording = record_stack("prod")
    silent = {each.inputs["chart"].rsplit("/", 1)[-1] for each in recording.of(RELEASE) if not any(of_release(each, (0, 0)))}
    assert silent == {"base", "prometheus-operator-crds", "spire", "spire-crds"}


def test_replicas_and_claims_are_multiplied():
    requests = {"requests": {"cpu": "1", "memory": "1Gi"}}
    values = {"server": {"ha": {"replicas": 3}, "resources": requests, "dataStorage": {"size": "2Gi"}}}
    assert claimed(values) == 3 * 2048
    assert claimed({"a": {"replicas": 2, "claim": {"resources": {"requests": {"storage": "512Mi"}}}}}) == 1024


def test_quantities_of_processors_are_read_in_every_spelling():
    assert [millicores(text) for text in ("250m", "0.5", "2")] == [250, 500, 2000]


def test_a_node_keeps_some_of_itself():
    cpu, memory = usable("m7g.xlarge")
    assert 3900 <= cpu < 4000
    assert 14 * 1024 < memory < 15 * 1024
