"""The pods that Gatekeeper refuses, asked of Pod Security in the real API server: what stands when Gatekeeper does not.

Not proven: ephemeral containers, which no new pod may have.
"""

import copy

import pytest

from sandbox.apiclient import ApiServer
from tests.manifests.test_guardrails import CONTAINERS, PODS, REGION, weakened
from tests.support.objects import objects_of, refusal, settled

REFUSED_CONTAINERS = {
    "privileged",
    "unmasked proc",
    "escalation",
    "escalation unsaid",
    "host port",
    "capability",
    "capabilities kept",
    "unconfined",
    "root",
    "may be root",
    "a probe of metadata",
}
REFUSED_PODS = {"host network", "host processes", "host memory", "SPIRE's sockets", "a sysctl"}
"""What `restricted` refuses by itself; the other weakenings are Gatekeeper's alone to find."""


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    settled(api_server, [one for one in objects_of("prod")[REGION] if one["kind"] in {"Namespace", "ServiceAccount"}])
    return api_server


INVALID = {
    "privileged": "`allowPrivilegeEscalation` to false and `privileged` to true",
    "unmasked proc": "hostUsers",
}
"""Of those, the ones that are no pod at all, so that Pod Security is not asked."""


def refused(server: ApiServer, name: str) -> bool:
    pod = copy.deepcopy(weakened()[name])
    for one in pod["spec"].get("initContainers", ()):
        one.setdefault("restartPolicy", "Always")  # only what lasts may have probes
    said = refusal(server, pod)
    expected = INVALID.get(name.partition(" of ")[0], "violates PodSecurity")
    return expected in said


def test_the_pod_that_is_weakened_is_admitted(server):
    assert refusal(server, weakened()["plain"]) == ""


@pytest.mark.parametrize("name", PODS)
def test_pod_security_refuses_a_weaker_pod_or_leaves_it_to_gatekeeper(server, name):
    assert refused(server, name) == (name in REFUSED_PODS)


@pytest.mark.parametrize("place", ["containers", "initContainers"])
@pytest.mark.parametrize("name", CONTAINERS)
def test_pod_security_refuses_a_weaker_container_or_leaves_it_to_gatekeeper(server, name, place):
    if place in CONTAINERS[name][2]:
        assert f"{name} of {place}" not in weakened()
    else:
        assert refused(server, f"{name} of {place}") == (name in REFUSED_CONTAINERS)
