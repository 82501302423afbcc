"""The objects of detection at run time, judged by the real API server: definitions, and Pod Security where the pods stand.

Falco's own objects are its chart's, which no module carries: they are not judged here.
"""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.graph.model import Graph
from components.runtime.certificates import authority, certificates
from components.runtime.responder import responder_objects
from components.runtime.sidekick import SecretDelivery, sidekick_objects
from components.settings import CONFIG_KEY, load
from components.tenancy.namespace import platform_namespaces
from sandbox.apiclient import ApiServer
from tests.support.objects import pods_of, refusal, settled

ROOT = Path(__file__).parents[2]
OUTPUTS: dict[str, dict[str, Any]] = {
    "none": {},
    "all": {
        "slack": {},
        "pagerduty": {},
        "responder": {"image": f"registry.example/platform/risk-responder@sha256:{'0' * 64}"},
    },
}


@cache
def objects(outputs: str) -> tuple[dict[str, Any], ...]:
    document = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"][CONFIG_KEY]
    graph = Graph.of(load({**document, "runtime": OUTPUTS[outputs]}))
    brought = SecretDelivery(
        volumes=({"name": "secrets", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},),
        volume_mounts=({"name": "secrets", "mountPath": "/var/run/secrets/vault", "readOnly": True},),
    )
    return (
        *platform_namespaces(graph.settings),
        *authority(),
        *certificates(),
        *sidekick_objects(graph, brought if outputs == "all" else None),
        *responder_objects(graph, "eu-west-1"),
    )


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_the_server_accepts_every_object(api_server: ApiServer, outputs):
    settled(api_server, objects(outputs))
    assert [said for one in objects(outputs) if (said := refusal(api_server, one))] == []


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_the_pods_are_admitted_where_nothing_privileged_is(api_server: ApiServer, outputs):
    settled(api_server, objects(outputs))
    pods = list(pods_of(objects(outputs)))
    assert len(pods) == (2 if outputs == "all" else 1)
    for pod in pods:
        assert refusal(api_server, pod) == ""
        weakened = copy.deepcopy(pod)
        weakened["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        assert "restricted" in refusal(api_server, weakened)


@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "Certificate", "ClusterIssuer", "PodMonitor", "Sidecar"])
def test_a_misspelt_field_would_be_refused(api_server: ApiServer, kind):
    settled(api_server, objects("none"))
    wrong = copy.deepcopy(next(one for one in objects("none") if one["kind"] == kind and one["spec"]))
    wrong["spec"]["misspelt"] = True
    assert "misspelt" in refusal(api_server, wrong)
