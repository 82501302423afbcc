"""One region's control plane: etcd, the API server, its controllers and the scheduler, in the region's namespace."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.apiclient import ApiServer
from sandbox.apiserver import etcd_flags, server_flags
from sandbox.certificates import Authority
from sandbox.local.network import entering
from sandbox.local.plan import API_PORT, CLUSTER_DOMAIN, RegionPlan
from sandbox.local.processes import Process, ProcessError, Processes

PROGRAMS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""What `start` needs of the toolchain."""
_STORE, _PEER = "https://127.0.0.1:2379", "https://127.0.0.1:2380"
_START_SECONDS: Final = 180.0
_TICK: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """A running control plane: who administers it, and what its nodes need."""

    region: RegionPlan
    authority: Authority
    administrator: ApiServer

    def kubeconfig(self, user: str, group: str = "") -> Path:
        """A kubeconfig for a user that the authority vouches for, in the region's home."""
        certificate, key = self.authority.client(user, group)
        client = ApiServer(self.region.api, authority=self.authority.certificate, certificate=certificate, key=key)
        path = self.region.home / f"{user.replace(':', '-')}.kubeconfig"
        client.write_kubeconfig(path)
        path.chmod(0o600)
        return path


def start(region: RegionPlan, programs: Mapping[str, Path], processes: Processes) -> ControlPlane:
    """Starts a region's control plane and returns when its API server answers.

    Args:
        region: its place.
        programs: PROGRAMS → the binaries.
        processes: where they are recorded.

    Raises:
        ProcessError: one of them ended, or does not answer within three minutes.
        CertificateError: openssl is missing or refuses.
    """
    region.home.mkdir(parents=True, exist_ok=True)
    authority = Authority(region.home / "pki")
    served = authority.server("kube-apiserver", also=_names(region))
    client, signing = authority.client("etcd-client"), authority.signing_key("service-accounts")
    etcd = etcd_flags(region.home / "etcd", authority, authority.server("etcd"), _STORE, _PEER)
    flags = [*server_flags(authority, (served, client, signing), _STORE), *_api_flags(region, authority)]
    begun = [
        _begin(region, processes, programs, "etcd", etcd),
        _begin(region, processes, programs, "kube-apiserver", flags),
    ]
    certificate, key = authority.client("admin", group="system:masters")
    administrator = ApiServer(region.api, authority=authority.certificate, certificate=certificate, key=key)
    made = ControlPlane(region=region, authority=authority, administrator=administrator)
    _wait(made, begun, processes)
    administrator.write_kubeconfig(region.kubeconfig)
    region.kubeconfig.chmod(0o600)
    controllers = [
        f"--kubeconfig={made.kubeconfig('system:kube-controller-manager')}",
        f"--root-ca-file={authority.certificate}",
        f"--service-account-private-key-file={signing[1]}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        # the nodes' addresses are the plan's, and a service gets its load balancer from the sandbox's cloud
        "--controllers=*,-nodeipam,-node-route-controller,-service-lb-controller,-cloud-node-lifecycle-controller",
        "--node-monitor-grace-period=40s",
    ]
    scheduler = [f"--kubeconfig={made.kubeconfig('system:kube-scheduler')}", "--leader-elect=false"]
    _begin(region, processes, programs, "kube-controller-manager", controllers)
    _begin(region, processes, programs, "kube-scheduler", scheduler)
    return made


def _names(region: RegionPlan) -> tuple[str, ...]:
    cluster = (f"DNS:kubernetes.default.svc.{CLUSTER_DOMAIN}", "DNS:kubernetes.default", "DNS:kubernetes")
    return (*cluster, f"IP:{region.router}", f"IP:{region.services[1]}")


def _api_flags(region: RegionPlan, authority: Authority) -> list[str]:
    certificate, key = authority.client("kube-apiserver-kubelet-client", group="system:masters")
    return [
        f"--bind-address={region.router}",
        f"--advertise-address={region.router}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={region.services}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-client-certificate={certificate}",
        f"--kubelet-client-key={key}",
        f"--kubelet-certificate-authority={authority.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
        # no proxy of services runs beside the API server: a webhook is asked at its pod's address
        "--enable-aggregator-routing=true",
    ]


def _begin(region: RegionPlan, processes: Processes, programs: Mapping[str, Path], name: str, flags: Sequence[str]) -> Process:
    return processes.start(f"{region.code}-{name}", [*entering(region.namespace), str(programs[name]), *flags])


def _wait(made: ControlPlane, begun: Sequence[Process], processes: Processes) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not made.administrator.ready():
        for process in begun:
            processes.check(process)
        if time.monotonic() > deadline:
            name = begun[-1].name
            msg = f"{name} does not answer after {_START_SECONDS:.0f} s: {processes.last_words(name)}"
            raise ProcessError(msg)
        time.sleep(_TICK)
