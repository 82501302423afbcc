"""One node: a real kubelet, containerd and kube-proxy in namespaces of their own, of this machine's size each.

Every node says it has all of this machine's processors: three of them are more than there is, which is what lets a platform
that asks for a small cluster run here. What differs from a node of EKS is in `kubelet_configuration` and
`containerd_configuration`, each with its reason.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from components.pods import SYSTEM_NODES, SYSTEM_TOLERATION
from sandbox.apiclient import RefusedError
from sandbox.local import host, volumes
from sandbox.local.control_plane import ControlPlane
from sandbox.local.images import store
from sandbox.local.network import entering
from sandbox.local.plan import CLUSTER_DOMAIN, NodePlan, Plan
from sandbox.local.processes import Process, ProcessError, Processes
from sandbox.toolchain import ROOT, cache_root

PROGRAMS: Final = ("image-service", "kubelet", "kube-proxy", "registrar", "volumes")
_SYSTEM_TAINT: Final = {key: SYSTEM_TOLERATION[key] for key in ("key", "value", "effect")}
"""Of a node of the system role, as its node group has it on EKS; the label is `SYSTEM_NODES`' too."""
PAUSE: Final = "sandbox.local/pause:1"
_KUBELET: Final = Path("/var/lib/kubelet")
_REGISTRY: Final = _KUBELET / "plugins_registry"
_CONTAINERD, _IMAGES = "/run/containerd/containerd.sock", "/run/image-service.sock"
_SETTINGS: Final = Path("/var/lib/node")
_READY_SECONDS: Final = 180.0
_TICK: Final = 0.5


def begin(
    plan: Plan, cluster: ControlPlane, node: NodePlan, *, programs: Mapping[str, Path], images: Path, processes: Processes
) -> Process:
    """Starts a node; it registers by itself.

    Args:
        plan: of the whole sandbox.
        cluster: the control plane it joins.
        node: its place.
        programs: PROGRAMS → the binaries.
        images: what its containerd begins with.
        processes: where it is recorded.
    """
    _control_groups(node)
    settings = node.home / "disk" / _SETTINGS.relative_to("/")
    settings.mkdir(parents=True, exist_ok=True)
    served = cluster.authority.server(node.name, also=(f"IP:{node.address}", f"DNS:{node.name}"))
    written = {
        "containerd.toml": containerd_configuration(),
        "kubelet.json": json.dumps(kubelet_configuration(cluster, node, served)),
        "kube-proxy.json": json.dumps(_proxy_configuration(cluster, node)),
    }
    for name, text in written.items():
        (settings / name).write_text(text, encoding="utf-8")
    conflist = node.home / "disk/etc/cni/net.d/10-sandbox.conflist"
    conflist.parent.mkdir(parents=True, exist_ok=True)
    conflist.write_text(json.dumps(network_configuration(node)), encoding="utf-8")
    _plugins(node)
    store.copy(images, node.home / "disk/var/lib/containerd")
    (node.home / "disk" / _REGISTRY.relative_to("/")).mkdir(parents=True, exist_ok=True)
    wanted = {
        "name": node.name,
        "home": str(node.home),
        "seen": [str(plan.home), str(cache_root())],
        "files": {"/etc/resolv.conf": "", "/etc/hosts": f"127.0.0.1 localhost\n{node.address} {node.name}\n"},
        "services": _services(plan, cluster, node, programs),
    }
    file = node.home / "machine.json"
    file.write_text(json.dumps(wanted), encoding="utf-8")
    apart = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
    command = [*entering(node.name), *apart, sys.executable, "-m", "sandbox.local.machine", str(file)]
    return processes.start(
        node.name, command, environment={"PYTHONPATH": str(ROOT), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    )


def await_ready(
    cluster: ControlPlane, begun: Mapping[str, Process], processes: Processes, progress: Callable[[str], None]
) -> None:
    """Returns when every node of these names is Ready.

    Raises:
        ProcessError: a node ended, or is not ready within three minutes.
    """
    deadline = time.monotonic() + _READY_SECONDS
    waiting = set(begun)
    while waiting:
        for name in sorted(waiting):
            processes.check(begun[name])
            if _is_ready(cluster, name):
                waiting.discard(name)
                progress(f"{name} is ready")
        if waiting and time.monotonic() > deadline:
            logs = f"{cluster.region.home}/node-*/disk/var/log/node"
            msg = f"{', '.join(sorted(waiting))} not ready after {_READY_SECONDS:.0f} s: read {logs}"
            raise ProcessError(msg)
        time.sleep(_TICK if waiting else 0)


def _is_ready(cluster: ControlPlane, name: str) -> bool:
    try:
        found = cluster.administrator.request("GET", f"/api/v1/nodes/{name}")
    except RefusedError:
        return False
    conditions = {one["type"]: one["status"] for one in found["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"


def _plugins(node: NodePlan) -> None:
    """The node's own copies: a mesh adds a plugin of its own beside them."""
    given, own = host.plugin_folder(), node.home / "disk/opt/cni/bin"
    own.mkdir(parents=True, exist_ok=True)
    if given:
        for name in host.PLUGINS:
            shutil.copy2(given / name, own / name)


def _control_groups(node: NodePlan) -> None:
    roots = [host.CGROUPS] if host.unified() else sorted(one for one in host.CGROUPS.iterdir() if (one / "tasks").is_file())
    for root in roots:
        own = root / node.name
        own.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            # of the first version: a group without processors of its own can hold no process
            if (own / name).is_file() and not host.unified():
                (own / name).write_text((root / name).read_text(encoding="utf-8"), encoding="utf-8")
    if host.unified():
        controllers = (host.CGROUPS / "cgroup.controllers").read_text(encoding="utf-8").split()
        enabled = " ".join(f"+{name}" for name in controllers)
        for group in (host.CGROUPS, host.CGROUPS / node.name):
            (group / "cgroup.subtree_control").write_text(enabled, encoding="utf-8")


def control_groups(node: NodePlan) -> list[Path]:
    """The node's control groups that exist, the innermost first."""
    roots = [host.CGROUPS] if host.unified() else sorted(host.CGROUPS.iterdir())
    found = [root / node.name for root in roots if (root / node.name).is_dir()]
    return [group for own in found for group in (*sorted((p for p in own.rglob("*") if p.is_dir()), reverse=True), own)]


def _services(plan: Plan, cluster: ControlPlane, node: NodePlan, programs: Mapping[str, Path]) -> list[dict[str, Any]]:
    joined = cluster.kubeconfig(f"system:node:{node.name}", "system:nodes")
    labels = {
        "topology.kubernetes.io/region": cluster.region.code,
        "topology.kubernetes.io/zone": node.zone,
        **dict.fromkeys(SYSTEM_NODES, node.role),
    }
    kubelet = [
        str(programs["kubelet"]),
        f"--config={_SETTINGS / 'kubelet.json'}",
        f"--kubeconfig={joined}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
    ]
    images = [
        str(programs["image-service"]),
        f"--listen=unix://{_IMAGES}",
        f"--containerd={_CONTAINERD}",
        f"--table={plan.images}",
    ]
    proxy = [str(programs["kube-proxy"]), f"--config={_SETTINGS / 'kube-proxy.json'}"]
    driven = str(_KUBELET / "plugins" / volumes.PROVISIONER / "csi.sock")
    driver = [str(programs["volumes"]), f"--driver={volumes.PROVISIONER}", f"--node={node.name}", f"--listen={driven}"]
    offer = [str(programs["registrar"]), f"--csi-address={driven}", f"--kubelet-registration-path={driven}"]
    return [
        {"name": "containerd", "command": ["containerd", "-c", str(_SETTINGS / "containerd.toml")], "socket": _CONTAINERD},
        {"name": "image-service", "command": images, "socket": _IMAGES},
        {"name": "volumes", "command": [*driver, f"--root={volumes.root(node)}"], "socket": driven},
        {"name": "registrar", "command": [*offer, f"--plugin-registration-path={_REGISTRY}"]},
        {"name": "kubelet", "command": kubelet},
        {"name": "kube-proxy", "command": proxy},
    ]


def containerd_configuration() -> str:
    """Its settings: the usual places, which are the node's own here."""
    # without the capability to raise a process's priority runc fails a pod that asks for it
    restricted = str(not host.may_raise_priority()).lower()
    return f"""version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = {restricted}
  # as containerd 2, which EKS has: a name server is not root and listens on port 53
  enable_unprivileged_ports = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def network_configuration(node: NodePlan) -> dict[str, Any]:
    """The pods' network: a link of its own per pod, an address of the node's range, all ways through the node."""
    address = {"type": "host-local", "ranges": [[{"subnet": str(node.pods)}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "cniVersion": "0.4.0",
        "name": "sandbox",
        "plugins": [
            {"type": "ptp", "ipam": {**address, "dataDir": "/run/cni-addresses"}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet_configuration(cluster: ControlPlane, node: NodePlan, served: tuple[Path, Path]) -> dict[str, Any]:
    """The kubelet's settings; `served` is its certificate and key."""
    unlimited = {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%"}
    authority = str(cluster.authority.certificate)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"x509": {"clientCAFile": authority}, "anonymous": {"enabled": False}, "webhook": {"enabled": True}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(served[0]),
        "tlsPrivateKeyFile": str(served[1]),
        "containerRuntimeEndpoint": f"unix://{_CONTAINERD}",
        "imageServiceEndpoint": f"unix://{_IMAGES}",
        "clusterDomain": CLUSTER_DOMAIN,
        "clusterDNS": [str(cluster.region.dns)],
        "resolvConf": "/etc/resolv.conf",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.name}",
        # EKS's nodes have the second version of control groups; a machine with the first is still a machine
        "failCgroupV1": False,
        # the disk is this machine's and shared: how full it is says nothing of a node
        "evictionHard": unlimited,
        "imageGCHighThresholdPercent": 100,
        "failSwapOn": False,
        "maxPods": 250,
        "serializeImagePulls": False,
        "registerWithTaints": [_SYSTEM_TAINT] if node.role == "system" else [],
        "nodeStatusUpdateFrequency": "10s",
        "volumeStatsAggPeriod": "-1m",
    }


def _proxy_configuration(cluster: ControlPlane, node: NodePlan) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": str(cluster.kubeconfig("system:kube-proxy"))},
        "clusterCIDR": str(cluster.region.pods),
        # the table of connections is this machine's, not a node's to size
        "conntrack": {"maxPerCore": 0, "min": 0},
    }
