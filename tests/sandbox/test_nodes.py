"""Real nodes on this machine: what two regions' clusters can do before anything of the platform is on them.

Needs root, and what `.ci/run` installs. Regions, ranges and home are of the test alone, so a sandbox that runs is not met.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.apiclient import ApiServer, RefusedError
from sandbox.local import host, nodes
from sandbox.local.control_plane import ControlPlane
from sandbox.local.images.prepare import prepare, write_table
from sandbox.local.images.store import store
from sandbox.local.network import entering
from sandbox.local.plan import Plan, plan
from sandbox.local.processes import Processes
from sandbox.toolchain import build

pytestmark = pytest.mark.timeout(1800)  # the first case builds what the nodes run
HERE, THERE = "eu-south-1", "eu-south-2"
RANGES = {HERE: ("10.211.0.0/16", "172.31.0.0/20"), THERE: ("10.212.0.0/16", "172.31.16.0/20")}
IMAGE = "registry.example/tenants/app@sha256:" + "a" * 64
PORT = 8080


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan(RANGES, home=tmp_path_factory.mktemp("sandbox") / "home")


@pytest.fixture(scope="module")
def clusters(where: Plan) -> Iterator[dict[str, ControlPlane]]:
    host.check(where)
    programs = {name: build(name, lambda _line: None) for name in nodes.PROGRAMS}
    archives = prepare(["pause", "app"], lambda _line: None)
    where.home.mkdir(parents=True)
    write_table(where.images, archives)
    patterns = json.loads(where.images.read_text())
    patterns["patterns"].append({"repository": "registry.example/tenants/*", "archive": str(archives["app"])})
    where.images.write_text(json.dumps(patterns))
    try:
        yield nodes.start(where, programs, store(archives, lambda _line: None), lambda _line: None)
    finally:
        nodes.end(where)


def deployment(name: str, *, role: str, replicas: int = 1, **pod: Any) -> dict[str, Any]:
    container = {
        "name": "app",
        "image": IMAGE,
        "env": [{"name": "PORT", "value": str(PORT)}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 1},
        "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {
        "nodeSelector": {"zerotrust.role": role},
        "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
        "containers": [container],
        **pod,
    }
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def service(name: str) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": PORT}]
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": {"app": name}, "ports": ports}}


def pods(client: ApiServer, name: str) -> list[dict[str, Any]]:
    found = client.request("GET", "/api/v1/namespaces/default/pods", query={"labelSelector": f"app={name}"})["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def ready(client: ApiServer, name: str, count: int = 1) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 120
    while True:
        found = pods(client, name)
        up = [
            pod
            for pod in found
            if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
        ]
        if len(up) >= count:
            return up
        assert time.monotonic() < deadline, [pod["status"] for pod in found]
        time.sleep(0.2)


def answer(namespace: str, url: str) -> str:
    command = [
        *entering(namespace),
        "curl",
        "--silent",
        "--max-time",
        "5",
        "--retry",
        "8",
        "--retry-all-errors",
        "--retry-delay",
        "1",
        "--noproxy",
        "*",
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def workloads(clusters: dict[str, ControlPlane]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found = {}
    for cluster in clusters.values():
        for role in ("system", "workload"):
            cluster.administrator.apply(deployment(role, role=role))
            cluster.administrator.apply(service(role))
    for code, cluster in clusters.items():
        for role in ("system", "workload"):
            found[code, role] = ready(cluster.administrator, role)
    return found


def test_every_node_has_its_zone_and_role(clusters: dict[str, ControlPlane]):
    for cluster in clusters.values():
        found = cluster.administrator.request("GET", "/api/v1/nodes")["items"]
        labels = {node["metadata"]["name"]: node["metadata"]["labels"] for node in found}
        for one in cluster.region.nodes:
            assert labels[one.name]["topology.kubernetes.io/zone"] == one.zone
            assert labels[one.name]["zerotrust.role"] == one.role


def test_a_pod_runs_the_local_build_of_whatever_digest_it_asks_for(workloads: dict[tuple[str, str], list[dict[str, Any]]]):
    for found in workloads.values():
        assert found[0]["spec"]["containers"][0]["image"] == IMAGE
        assert "running" in found[0]["status"]["containerStatuses"][0]["state"]


def test_an_image_that_nobody_builds_is_not_pulled(clusters: dict[str, ControlPlane]):
    client = clusters[HERE].administrator
    wanted = deployment("unknown", role="workload")
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/nobody/builds:1"
    client.apply(wanted)
    deadline = time.monotonic() + 60
    said = ""
    while "ErrImagePull" not in said and "ImagePullBackOff" not in said:
        assert time.monotonic() < deadline, said
        said = json.dumps([pod["status"] for pod in pods(client, "unknown")])
        time.sleep(0.2)
    client.request("DELETE", "/apis/apps/v1/namespaces/default/deployments/unknown")


def test_pods_reach_pods_of_every_node_and_region_and_their_own_regions_services(
    where: Plan, clusters: dict[str, ControlPlane], workloads: dict[tuple[str, str], list[dict[str, Any]]]
):
    for region in where.regions:
        for other in where.regions:
            for role in ("system", "workload"):
                address = workloads[other.code, role][0]["status"]["podIP"]
                for node in region.nodes:
                    assert '"path":"/hello"' in answer(node.name, f"http://{address}:{PORT}/hello"), (node.name, other.code, role)
        served = clusters[region.code].administrator.request("GET", "/api/v1/namespaces/default/services/workload")["spec"][
            "clusterIP"
        ]
        for node in region.nodes:
            assert '"path":"/hello"' in answer(node.name, f"http://{served}/hello")


@pytest.mark.usefixtures("workloads")
def test_a_killed_program_is_started_again_by_its_node(clusters: dict[str, ControlPlane]):
    client = clusters[HERE].administrator
    name = pods(client, "workload")[0]["metadata"]["name"]
    uid = pods(client, "workload")[0]["metadata"]["uid"]
    groups = [group for group in host.CGROUPS.rglob(f"pod{uid}") if group.is_dir()]
    assert groups
    running = {int(pid) for group in groups for file in group.rglob("cgroup.procs") for pid in file.read_text().split()}
    killed = [pid for pid in running if "app" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]]
    assert len(killed) == 1
    subprocess.run(["kill", "-9", str(killed[0])], check=True)
    deadline = time.monotonic() + 60
    while client.request("GET", f"/api/v1/namespaces/default/pods/{name}")["status"]["containerStatuses"][0]["restartCount"] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_pod_security_holds_on_a_namespace_that_asks_for_it(clusters: dict[str, ControlPlane]):
    client = clusters[HERE].administrator
    client.namespace("strict", {"pod-security.kubernetes.io/enforce": "restricted"})
    privileged = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "strict"},
        "spec": {"containers": [{"name": "c", "image": IMAGE, "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(RefusedError, match="violates PodSecurity"):
        client.apply(privileged)


def test_an_end_leaves_nothing_also_of_a_start_that_was_killed(tmp_path: Path):
    """One region of its own, because tests come in any order."""
    alone = plan({"eu-south-3": ("10.213.0.0/16", "172.31.32.0/20")}, home=tmp_path / "home")
    archives = prepare(["pause"], lambda _line: None)
    alone.home.mkdir()
    write_table(alone.images, archives)
    unpacked = store(archives, lambda _line: None)
    nodes.start(alone, {name: build(name, lambda _line: None) for name in nodes.PROGRAMS}, unpacked, lambda _line: None)
    started = Processes(alone.home).recorded()
    first = next(one for one in started if one.name.endswith("kube-apiserver"))
    subprocess.run(["kill", "-9", str(first.pid)], check=True)
    assert nodes.end(alone) > 0
    assert not [one for one in started if one.alive()]
    assert not alone.home.exists()
    links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for region in alone.regions:
        assert region.link not in links
        assert region.code not in names
        for node in region.nodes:
            assert not list(host.CGROUPS.glob(f"*/{node.name}"))
    assert str(alone.home) not in Path("/proc/self/mounts").read_text()
    assert nodes.end(alone) == 0


def test_the_named_packages_bring_the_named_commands():
    """Asked of Debian's own package database; two commands are of every Debian (util-linux)."""
    installed = subprocess.run(["dpkg-query", "-L", *host.PACKAGES], capture_output=True, text=True, check=True).stdout.split()
    names = {path.rsplit("/", 1)[1] for path in installed if "/" in path}
    assert {*host.COMMANDS, *host.PLUGINS} - names == {"nsenter", "unshare"}
