"""What a cluster's objects make the local cloud do, and the add-ons it begins with, at a real API server.

No controller runs there: what the volume controller writes, the cases write. Not proven: that a kubelet mounts a volume.
"""

import ipaddress
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from components.edge.region_balancer import SERVICES
from components.network.addresses import eastwest_address
from components.operators.aws_load_balancer import target_group_binding
from components.operators.external_dns import dns_record
from components.settings import load_file
from sandbox.apiclient import ApiServer
from sandbox.apiserver import control_plane
from sandbox.local import addons, cloud, volumes
from sandbox.local.balancer import Balancer, Target
from sandbox.local.dns import Names
from sandbox.local.network import entering
from sandbox.local.plan import plan

SETTINGS = load_file(cloud.SETTINGS)
RANGES = {code: (one.vpc_cidr, one.service_cidr) for code, one in SETTINGS.regions.items()}
HERE, THERE = "eu-west-1", "eu-central-1"
SECONDS_WITH_A_BUILD = 1800
pytestmark = pytest.mark.timeout(SECONDS_WITH_A_BUILD)
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[ApiServer]:
    with control_plane(tmp_path_factory.mktemp("cloud")) as client:
        client.install(_definition(*kind) for kind in KINDS)
        for name in ("vault", "istio-ingress", "external-dns", "elsewhere"):
            client.namespace(name)
        yield client


KINDS = (("elbv2.k8s.aws", "v1beta1", "TargetGroupBinding"), ("externaldns.k8s.io", "v1alpha1", "DNSEndpoint"))


def _definition(group: str, version: str, kind: str) -> dict:
    names = {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": ANYTHING}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{names['plural']}.{group}",
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes/enhancements"},
        },
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
    }


def _object(api_version: str, kind: str, name: str, namespace: str | None = None, **body) -> dict:
    about = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": about, **body}


def _bound(client: ApiServer, name: str, namespace: str, service: str, ready: dict[str, bool]) -> None:
    """A Service of two ports, its endpoints at other numbers, and the program's binding for port 8200."""
    ports = [{"name": "http", "port": 8200, "targetPort": "api"}, {"name": "internal", "port": 8201}]
    client.apply(_object("v1", "Service", service, namespace, spec={"selector": {"app": service}, "ports": ports}))
    part = _object("discovery.k8s.io/v1", "EndpointSlice", f"{service}-1", namespace)
    part["metadata"]["labels"] = {"kubernetes.io/service-name": service}
    part["addressType"] = "IPv4"
    part["ports"] = [{"name": "http", "port": 18200, "protocol": "TCP"}, {"name": "internal", "port": 8201, "protocol": "TCP"}]
    part["endpoints"] = [{"addresses": [address], "conditions": {"ready": good}} for address, good in sorted(ready.items())]
    client.apply(part)
    arn = f"arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/{name}/1"
    client.apply(
        target_group_binding(name, namespace=namespace, service=service, port=8200, target_group_arn=arn, vpc_id="vpc-1")
    )


def test_a_binding_leads_to_the_pods_that_are_ready_at_the_port_behind_its_service(server):
    _bound(server, "vault", "vault", "vault", {"10.201.128.9": True, "10.201.144.9": True, "10.201.160.9": False})
    assert cloud.targets(server)["vault"] == (("10.201.128.9", 18200), ("10.201.144.9", 18200))


def test_records_come_from_the_name_keepers_own_namespace_alone(server):
    host = "vault.eu-west-1.local.mycompany.internal"
    server.apply(dns_record("vault", host=host, targets=["10.201.224.11", "10.201.228.11"]))
    foreign = dns_record("vault", host="id.api.local.clearing.example", targets=["10.6.6.6"])
    foreign["metadata"]["namespace"] = "elsewhere"
    server.apply(foreign)
    records = cloud.private_records(server)
    assert records[host] == ("10.201.224.11", "10.201.228.11")
    assert "id.api.local.clearing.example" not in records


def test_a_kind_that_is_not_there_yet_is_nothing(server):
    assert volumes.listed(server, "/apis/none.example/v1/nothings") == []


class Noted(Balancer):
    """Notes what it is pointed at; it is never entered."""

    def __init__(self) -> None:
        super().__init__([])
        self.noted: dict[str, tuple[Target, ...]] = {}

    def point(self, group: str, targets: Sequence[Target]) -> None:
        self.noted[group] = tuple(targets)


def test_a_region_is_looked_at_and_its_listeners_and_names_follow(server, tmp_path):
    whole, balancer, names = plan(RANGES, home=tmp_path), Noted(), Names()
    here, there = whole.region(HERE), whole.region(THERE)
    known, domain = "spire.eu-west-1.local.mycompany.internal", SETTINGS.edge.domain
    one = cloud.Cloud(whole=whole, region=here, settings=SETTINGS, names=names, balancer=balancer, serving={THERE: True})
    one.look(here, server)
    assert balancer.noted["ingress"] == ()
    assert names.targets(domain) == (cloud.public_address(there),)
    _bound(server, "ingress", "istio-ingress", "gateway", {"10.201.128.7": True})
    server.apply(dns_record("kept", host=known, targets=["10.201.224.11"]))
    one.look(here, server)
    assert balancer.noted["ingress"] == (("10.201.128.7", 18200),)
    assert names.targets(domain) == (cloud.public_address(here),)
    assert names.targets(known) == ("10.201.224.11",)
    gone = ApiServer("https://127.0.0.1:1", authority=server.authority, certificate=server.certificate, key=server.key)
    with pytest.raises(OSError, match="refused"):
        one.look(here, gone)
    assert names.targets(domain) == (cloud.public_address(there),)
    assert names.targets(known) == ("10.201.224.11",)
    assert balancer.noted["ingress"] == (("10.201.128.7", 18200),)


def test_another_regions_pods_are_no_targets_here(server, tmp_path):
    whole, balancer = plan(RANGES, home=tmp_path), Noted()
    one = cloud.Cloud(whole=whole, region=whole.region(HERE), settings=SETTINGS, names=Names(), balancer=balancer, serving={})
    one.look(whole.region(THERE), server)
    assert balancer.noted == {}
    assert set(one.serving) == {THERE}


def test_a_service_of_type_load_balancer_gets_one_address_of_its_own_and_keeps_it(server, tmp_path):
    region = plan(RANGES, home=tmp_path).region(HERE)
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    for name in ("first", "second"):
        server.apply(_object("v1", "Service", name, "elsewhere", spec=spec))
    server.apply(_object("v1", "Service", "inner", "elsewhere", spec={"ports": [{"port": 80}]}))
    cloud.give_addresses(server, region)
    given = {name: _addresses(server, name) for name in ("first", "second", "inner")}
    assert given["inner"] == []
    assert len(given["first"]) == len(given["second"]) == 1
    assert given["first"] != given["second"]
    assert all(ipaddress.ip_address(given[name][0]) in region.balancers for name in ("first", "second"))
    server.request("DELETE", "/api/v1/namespaces/elsewhere/services/first")
    server.apply(_object("v1", "Service", "first", "elsewhere", spec=spec))
    cloud.give_addresses(server, region)
    assert {name: _addresses(server, name) for name in given} == given


def test_no_two_services_share_an_address_though_few_are_left(server, tmp_path, monkeypatch):
    monkeypatch.setattr(cloud, "_FIRST_SERVICE", 253)
    region = plan({HERE: ("10.203.0.0/16", RANGES[HERE][1])}, home=tmp_path).region(HERE)
    for one in volumes.listed(server, "/api/v1/services"):
        if one["spec"]["type"] == "LoadBalancer":
            server.request("DELETE", f"/api/v1/namespaces/{one['metadata']['namespace']}/services/{one['metadata']['name']}")
    # two names that would have the same one of two addresses
    odd = [name for name in (f"late-{number}" for number in range(16)) if zlib.crc32(f"elsewhere/{name}".encode()) % 2][:2]
    assert len(odd) == 2
    for name in odd:
        server.apply(_object("v1", "Service", name, "elsewhere", spec={"type": "LoadBalancer", "ports": [{"port": 80}]}))
        cloud.give_addresses(server, region)
    assert {address for name in odd for address in _addresses(server, name)} == {"10.203.1.253", "10.203.1.254"}


def _addresses(client: ApiServer, service: str) -> list[str]:
    found = client.request("GET", f"/api/v1/namespaces/elsewhere/services/{service}")
    return [each["ip"] for each in found["status"]["loadBalancer"].get("ingress", [])]


def _class(name: str, reclaim: str, provisioner: str = volumes.PROVISIONER, binding: str = "WaitForFirstConsumer") -> dict:
    kept = {"provisioner": provisioner, "reclaimPolicy": reclaim, "volumeBindingMode": binding}
    return _object("storage.k8s.io/v1", "StorageClass", name, **kept)


def _claim(client: ApiServer, name: str, kind: str, node: str | None = None) -> str:
    claim = _object(
        "v1",
        "PersistentVolumeClaim",
        name,
        "elsewhere",
        spec={"storageClassName": kind, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    )
    if node:
        claim["metadata"]["annotations"] = {"volume.kubernetes.io/selected-node": node}
    client.apply(claim)
    uid: str = client.request("GET", f"/api/v1/namespaces/elsewhere/persistentvolumeclaims/{name}")["metadata"]["uid"]
    return f"pvc-{uid}"


def _volumes(client: ApiServer) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in client.request("GET", "/api/v1/persistentvolumes")["items"]}


def test_a_claim_gets_its_volume_on_the_node_its_pod_was_placed_on_and_not_before(server, tmp_path):
    region = plan(RANGES, home=tmp_path).region(HERE)
    node = region.nodes[1]
    server.apply(_class("gp3", "Retain"))
    server.apply(_class("others", "Delete", provisioner="efs.csi.aws.com"))
    volume, foreign = _claim(server, "data", "gp3"), _claim(server, "shared", "others", node.name)
    volumes.reconcile(server, region)
    assert not {volume, foreign} & set(_volumes(server))
    _claim(server, "data", "gp3", node.name)
    volumes.reconcile(server, region)
    volumes.reconcile(server, region)
    made = _volumes(server)
    assert foreign not in made
    spec = made[volume]["spec"]
    assert spec["csi"]["driver"] == volumes.PROVISIONER
    assert volumes.folder(node, spec["csi"]["volumeHandle"]).is_dir()
    terms = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert [one["values"] for term in terms for one in term["matchExpressions"]] == [[node.name]]
    assert (spec["claimRef"]["name"], spec["capacity"]["storage"]) == ("data", "1Gi")
    assert spec["persistentVolumeReclaimPolicy"] == "Retain"


def test_without_waiting_a_claim_gets_its_volume_at_once(server, tmp_path):
    region = plan(RANGES, home=tmp_path).region(HERE)
    server.apply(_class("at-once", "Delete", binding="Immediate"))
    volume = _claim(server, "immediate", "at-once")
    volumes.reconcile(server, region)
    assert volume in _volumes(server)


@pytest.mark.parametrize("reclaim", ["Retain", "Delete"])
def test_what_a_released_volume_becomes_its_class_says(server, tmp_path, reclaim):
    region = plan(RANGES, home=tmp_path).region(HERE)
    kind = f"kept-{reclaim.lower()}"
    server.apply(_class(kind, reclaim))
    volume = _claim(server, f"old-{reclaim.lower()}", kind, region.nodes[0].name)
    volumes.reconcile(server, region)
    folder = volumes.folder(region.nodes[0], volume)
    (folder / "data").write_text("x", encoding="utf-8")
    path = f"/api/v1/persistentvolumes/{volume}"
    about = _object("v1", "PersistentVolume", volume, status={"phase": "Released"})
    server.request("PATCH", f"{path}/status", about, query={"fieldManager": "controller", "force": "true"})
    volumes.reconcile(server, region)
    assert folder.exists() == (reclaim == "Retain")
    left = _volumes(server).get(volume)
    assert (left is None or "deletionTimestamp" in left["metadata"]) == (reclaim == "Delete")


def test_the_name_server_is_taken_by_the_api_server_twice(server, tmp_path):
    region = plan({HERE: (RANGES[HERE][0], "10.96.0.0/16")}, home=tmp_path).region(HERE)
    addons.install(server, region)
    addons.install(server, region)
    service = server.request("GET", "/api/v1/namespaces/kube-system/services/kube-dns")
    made = server.request("GET", "/apis/apps/v1/namespaces/kube-system/deployments/coredns")
    assert service["spec"]["clusterIP"] == str(region.dns)
    assert service["spec"]["selector"].items() <= made["spec"]["template"]["metadata"]["labels"].items()
    assert cloud.resolver_address(region) in addons.corefile(region)


def test_listeners_are_those_of_the_program_at_the_addresses_of_its_plan(tmp_path):
    whole = plan(RANGES, home=tmp_path)
    assert {key: one.port for key, one in SERVICES.items()} == dict(cloud.BETWEEN_REGIONS)
    cloud.prepare(whole, SETTINGS)
    for region in whole.regions:
        taken = cloud.listeners(whole, region, SETTINGS)
        assert all(Path(file).is_file() for one in taken for pair in (one.certificates or {}).values() for file in pair)
        inner = {one.address for one in taken if one.certificates is None}
        assert inner == {eastwest_address(RANGES[region.code][0], zone) for zone in SETTINGS.regions[region.code].zones}
        own = {str(region.router), str(region.host), cloud.resolver_address(region), cloud.public_address(region)}
        assert len(own) == 4
        nodes = {str(node.address) for node in region.nodes}
        assert not (own | inner) & nodes
        assert not any(ipaddress.ip_address(address) in node.pods for address in own | inner for node in region.nodes)


def test_the_issuers_name_leads_to_the_home_region_wherever_it_is_asked_for(tmp_path):
    whole = plan(RANGES, home=tmp_path)
    for code in RANGES:
        records = cloud.public_records(whole, SETTINGS, code, [code])
        assert records[SETTINGS.identity.issuer_host] == (cloud.public_address(whole.region(SETTINGS.home_region)),)
        assert records[SETTINGS.edge.domain] == records[f"{code}.{SETTINGS.edge.domain}"]
    assert cloud.public_records(whole, SETTINGS, HERE, [])[SETTINGS.edge.domain] == (cloud.public_address(whole.region(HERE)),)


def test_a_kubeconfig_becomes_a_client(server, tmp_path):
    server.write_kubeconfig(tmp_path / "kubeconfig")
    client = cloud.client_of(tmp_path / "kubeconfig")
    assert client.ready()
    client.close()


def test_a_failure_is_said_once_until_it_is_over(capsys, monkeypatch):
    monkeypatch.setattr(cloud, "_TICK_SECONDS", 0.0)
    ended, outcomes = threading.Event(), iter([OSError("refused"), OSError("refused"), None, None, OSError("reset")])

    def work() -> None:
        outcome = next(outcomes, ended)
        if outcome is ended:
            ended.set()
        elif isinstance(outcome, OSError):
            raise outcome

    cloud.again(work, "names", ended)
    said = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert said == ["names: refused", "names: well again", "names: reset", "names: well again"]


def test_a_region_without_a_cloud_does_not_answer(tmp_path):
    region = plan({HERE: ("127.201.0.0/16", RANGES[HERE][1])}, home=tmp_path).region(HERE)
    assert not cloud.answers(region, SETTINGS)


def test_what_is_started_is_this_module_in_the_regions_namespace(tmp_path):
    whole = plan(RANGES, home=tmp_path)
    command = cloud.command(whole, whole.region(HERE))
    assert command[: command.index(sys.executable)] == entering(whole.region(HERE).namespace)
    assert command[command.index("-m") + 1] == cloud.Cloud.__module__
    assert {HERE, str(tmp_path), str(cloud.SETTINGS)} <= set(command)
