"""Istio's releases, the gateways and the rate limiter as the program registers them."""

import pulumi_kubernetes as k8s
import pytest
import yaml

from components.graph.names import GATEWAYS, RATE_LIMIT_NAMESPACE
from components.helm import pins
from components.mesh.gateways import MeshGateway, MeshGatewayArgs
from components.mesh.istio import Istio, IstioArgs, MeshIdentity
from components.mesh.ratelimit import Counters, RateLimiter, RateLimiterArgs, environment, rate_limit_objects
from tests.support.monitor import Recording, record

RELEASE = "kubernetes:helm.sh/v3:Release"
IDENTITY = MeshIdentity(mesh="clearing", cluster="clearing-dev-eu-west-1", network="eu-west-1")
CONFIG = {"trustDomain": "eu-west-1.example.internal", "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
COUNTERS = Counters(host="counters-0.counters.rate-limit.svc.cluster.local", client_secret="ratelimit-counters")  # noqa: S106 - a name
IMAGE = "registry.example/ratelimit@sha256:" + "a" * 64
LIMITS = "domain: edge\ndescriptors: []\n"


def mesh() -> None:
    after = [k8s.core.v1.Namespace("first")]
    istio = Istio("mesh", IstioArgs(identity=IDENTITY, mesh_config=CONFIG, after=after))
    for gateway in GATEWAYS:
        MeshGateway(f"mesh-{gateway.name}", MeshGatewayArgs(gateway=gateway, after=istio.ready))
    RateLimiter("limits", RateLimiterArgs(image=IMAGE, config=LIMITS, counters=COUNTERS, after=after))


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record(mesh)


def waits_for(recording: Recording, name: str) -> set[str]:
    names = {one.urn: one.name for one in recording.resources}
    return {names[urn] for urn in recording.one(RELEASE, name).dependencies}


def test_istio_stands_kinds_first_then_istiod_and_the_node_agent_then_gateways(recording):
    assert waits_for(recording, "mesh-base") == {"first"}
    assert waits_for(recording, "mesh-istiod") == waits_for(recording, "mesh-cni") == {"mesh-base", "first"}
    for gateway in GATEWAYS:
        assert waits_for(recording, f"mesh-{gateway.name}-release") == {"mesh-istiod", "mesh-cni"}


def test_every_release_of_the_mesh_is_named_pinned_and_waited_for(recording):
    releases = {one.inputs["name"]: one.inputs for one in recording.of(RELEASE)}
    wanted = {"istio-base": "istio-base", "istiod": "istiod", "istio-cni": "istio-cni"}
    wanted |= {gateway.name: "istio-gateway" for gateway in GATEWAYS}
    assert set(releases) == set(wanted)
    for name, pinned in wanted.items():
        assert (releases[name]["chart"], releases[name]["version"]) == (pins()[pinned].chart, pins()[pinned].version)
        assert not releases[name]["skipAwait"]
        assert not releases[name]["createNamespace"]
    assert {gateway.name: releases[gateway.name]["namespace"] for gateway in GATEWAYS} == {
        gateway.name: gateway.namespace for gateway in GATEWAYS
    }


def test_the_mesh_configuration_reaches_istiod_as_it_was_compiled(recording):
    values = recording.one(RELEASE, "mesh-istiod").inputs["values"]
    assert values["meshConfig"] == CONFIG
    assert values["global"]["multiCluster"] == {"clusterName": IDENTITY.cluster}
    assert (values["global"]["meshID"], values["global"]["network"]) == (IDENTITY.mesh, IDENTITY.network)


def test_the_rate_limiters_objects_wait_for_what_they_need_and_lie_in_its_namespace(recording):
    objects = [one for one in recording.resources if one.name.startswith("limits-objects-")]
    assert len(objects) == 5
    first = recording.one("kubernetes:core/v1:Namespace", "first").urn
    assert all(first in one.dependencies for one in objects)
    assert {one.inputs["metadata"]["namespace"] for one in objects} == {RATE_LIMIT_NAMESPACE}


def pod() -> dict:
    (deployment,) = [one for one in rate_limit_objects(IMAGE, LIMITS, COUNTERS) if one["kind"] == "Deployment"]
    return deployment["spec"]["template"]


def test_the_rate_limiter_counts_over_verified_tls_or_is_not_healthy():
    env = environment(COUNTERS)
    assert env["REDIS_URL"] == f"{COUNTERS.host}:6379"
    assert (env["REDIS_TLS"], env["REDIS_TLS_SKIP_HOSTNAME_VERIFICATION"]) == ("true", "false")
    mounted = {one["name"]: one["mountPath"] for one in pod()["spec"]["containers"][0]["volumeMounts"]}
    for key, file in (("CACERT", "ca.crt"), ("CLIENT_CERT", "tls.crt"), ("CLIENT_KEY", "tls.key")):
        assert env[f"REDIS_TLS_{key}"] == f"{mounted['counters']}/{file}"
    assert env["REDIS_HEALTH_CHECK_ACTIVE_CONNECTION"] == "true"
    assert env["SHADOW_MODE"] == "false"
    probes = [pod()["spec"]["containers"][0][probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")]
    assert probes == ["/healthcheck", "/healthcheck"]


def test_the_configuration_is_mounted_where_the_service_reads_and_a_change_restarts_it():
    env = environment(COUNTERS)
    folder = f"{env['RUNTIME_ROOT']}/{env['RUNTIME_SUBDIRECTORY']}/{env['RUNTIME_APPDIRECTORY']}"
    assert folder in {one["mountPath"] for one in pod()["spec"]["containers"][0]["volumeMounts"]}
    (config,) = [one for one in rate_limit_objects(IMAGE, LIMITS, COUNTERS) if one["kind"] == "ConfigMap"]
    assert [yaml.safe_load(text) for text in config["data"].values()] == [yaml.safe_load(LIMITS)]
    other = next(one for one in rate_limit_objects(IMAGE, LIMITS + "#", COUNTERS) if one["kind"] == "Deployment")
    assert other["spec"]["template"]["metadata"]["annotations"] != pod()["metadata"]["annotations"]


def test_the_rate_limiters_pod_has_no_rights():
    spec = pod()["spec"]
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] > 0
    security = container["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert not security["privileged"]
