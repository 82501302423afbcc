"""What an update waits for comes without what only a later step of the same update brings."""

import pytest

from tests.support.order import reached
from tests.support.program import STACKS, record_stack

WITHOUT_AWAIT = "pulumi.com/skipAwait"
PODS = ("kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet", "kubernetes:apps/v1:DaemonSet")


def _awaited(resource):
    return WITHOUT_AWAIT not in resource.inputs["metadata"].get("annotations", {})


def _waits_for_pods(resource):
    spec = resource.inputs.get("spec", {}) if resource.type == "kubernetes:core/v1:Service" else {}
    return spec.get("selector") and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName"


def _answers(workload, service):
    same = workload.inputs["metadata"]["namespace"] == service.inputs["metadata"]["namespace"]
    labels = workload.inputs["spec"]["template"]["metadata"]["labels"]
    return same and service.inputs["spec"]["selector"].items() <= labels.items()


@pytest.mark.parametrize("stack", STACKS)
def test_a_service_that_is_waited_for_has_pods_that_wait_for_nothing_of_its(stack):
    recording = record_stack(stack)
    before = reached(recording)
    workloads = [resource for resource in recording.resources if resource.type in PODS and _awaited(resource)]
    services = [resource for resource in recording.resources if _waits_for_pods(resource)]
    assert services
    for service in filter(_awaited, services):
        pods = [workload for workload in workloads if _answers(workload, service)]
        assert pods, f"{service.urn} is waited for, and no declared pod answers to it"
        for workload in pods:
            assert service.urn not in before[workload.urn], f"{workload.urn} waits for {service.urn}, which waits for it"
