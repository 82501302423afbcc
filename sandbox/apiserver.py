"""A Kubernetes control plane on loopback: etcd and kube-apiserver in the minor that EKS runs, and a client that applies.

What it judges is what EKS's server would judge: schemas, defaults, validation, RBAC and Pod Security by namespace label.
No controller runs here: a namespace gets no `default` service account by itself (`ApiServer.namespace` makes it), nothing
schedules, and an object that is applied stays as it was written.
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from sandbox.apiclient import ApiServer
from sandbox.certificates import Authority
from sandbox.toolchain import build

KUBECONFIG: Final = "admin.kubeconfig"
SERVICE_CIDR: Final = "10.96.0.0/16"
ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
Pair = tuple[Path, Path]
_START_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 10.0
_ATTEMPTS: Final = 3
_TAKEN: Final = "address already in use"


class ControlPlaneError(Exception):
    """The control plane does not start; the message has the last lines of the process that failed."""

    user_facing = True


@contextlib.contextmanager
def control_plane(workdir: Path, progress: Callable[[str], None] = lambda _line: None) -> Iterator[ApiServer]:
    """A running control plane; both processes end with the context, also when the start fails.

    Keys, data, logs and `KUBECONFIG` lie in `workdir`, which only this user may enter. Nothing is kept in sync with
    the disk: after a crash the data is gone.

    Raises:
        ControlPlaneError: when a process ends or does not become ready in three minutes.
        ToolError: when a binary cannot be built.
    """
    etcd, server = build("etcd", progress), build("kube-apiserver", progress)
    workdir.mkdir(parents=True, exist_ok=True)
    workdir.chmod(0o700)
    for attempt in range(1, _ATTEMPTS + 1):
        with contextlib.ExitStack() as running:
            home = workdir / f"start-{attempt}"
            try:
                client = _start(home, etcd, server, running)
            except ControlPlaneError as error:
                # a port that was free a moment ago: somebody else's, take others
                if _TAKEN in str(error) and attempt < _ATTEMPTS:
                    continue
                raise
            yield client
            return


def _start(home: Path, etcd: Path, server: Path, running: contextlib.ExitStack) -> ApiServer:
    home.mkdir()
    pki = Authority(home / "pki")
    store, peer, api = _free_ports(3)
    served, client = pki.server("etcd"), pki.client("etcd-client")
    store_url, peer_url = f"https://127.0.0.1:{store}", f"https://127.0.0.1:{peer}"
    etcd_process = _spawn(home, running, "etcd", [str(etcd), *etcd_flags(home / "etcd", pki, served, store_url, peer_url)])
    keys = pki.server("kube-apiserver"), client, pki.signing_key("service-accounts")
    server_process = _spawn(home, running, "kube-apiserver", [str(server), *_server_flags(pki, keys, store_url, api)])
    admin = pki.client("admin", group="system:masters")
    made = ApiServer(f"https://127.0.0.1:{api}", authority=pki.certificate, certificate=admin[0], key=admin[1])
    running.callback(made.close)
    deadline = time.monotonic() + _START_SECONDS
    while not made.ready():
        for process, name in ((etcd_process, "etcd"), (server_process, "kube-apiserver")):
            if process.poll() is not None:
                _give_up(home, name, f"ended with code {process.returncode}")
        if time.monotonic() > deadline:
            _give_up(home, "kube-apiserver", f"is not ready after {_START_SECONDS:.0f} s")
        time.sleep(0.1)
    made.write_kubeconfig(home.parent / KUBECONFIG)
    return made


def _give_up(home: Path, name: str, what: str) -> None:
    said = (home / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
    msg = f"{name} {what}: " + " | ".join(said)
    raise ControlPlaneError(msg)


def _free_ports(count: int) -> list[int]:
    """Loopback ports that were free together a moment ago."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            listener = held.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


def _spawn(home: Path, running: contextlib.ExitStack, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = {key: value for key, value in os.environ.items() if not key.upper().endswith("_PROXY")}
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    running.callback(_stop, process)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def etcd_flags(data: Path, pki: Authority, served: Pair, store: str, peer: str) -> list[str]:
    """Flags of an etcd of one member that serves and asks with certificates; nothing is kept in sync with the disk."""
    trust = str(pki.certificate)
    return [
        f"--data-dir={data}",
        "--name=sandbox",
        f"--listen-client-urls={store}",
        f"--advertise-client-urls={store}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=sandbox={peer}",
        f"--cert-file={served[0]}",
        f"--key-file={served[1]}",
        f"--trusted-ca-file={trust}",
        "--client-cert-auth",
        f"--peer-cert-file={served[0]}",
        f"--peer-key-file={served[1]}",
        f"--peer-trusted-ca-file={trust}",
        "--peer-client-cert-auth",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _server_flags(pki: Authority, keys: tuple[Pair, Pair, Pair], store: str, port: int) -> list[str]:
    return [
        *server_flags(pki, keys, store),
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--advertise-address=127.0.0.1",
        # nothing routes the service network here, so nothing is to be published as its endpoint
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=RBAC",
    ]


def server_flags(pki: Authority, keys: tuple[Pair, Pair, Pair], store: str) -> list[str]:
    """Flags of a kube-apiserver but for its addresses and how it authorises.

    Args:
        pki: signs everything.
        keys: what it serves with, what it asks etcd with, and the keys (public, private) of service account tokens.
        store: etcd's URL.
    """
    served, client, signing = keys
    return [
        f"--etcd-servers={store}",
        f"--etcd-cafile={pki.certificate}",
        f"--etcd-certfile={client[0]}",
        f"--etcd-keyfile={client[1]}",
        "--anonymous-auth=false",
        # as on EKS: whether a privileged pod may run is Pod Security's to say, not this flag's
        "--allow-privileged=true",
        f"--client-ca-file={pki.certificate}",
        f"--tls-cert-file={served[0]}",
        f"--tls-private-key-file={served[1]}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={signing[0]}",
        f"--service-account-signing-key-file={signing[1]}",
        "--profiling=false",
    ]


def main() -> int:
    """Command line entry: a control plane until the input ends; prints where the administrator's kubeconfig lies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="for keys, data and logs; made if it is not there")
    folder = parser.parse_args().folder.resolve()
    with control_plane(folder, lambda line: print(line, file=sys.stderr)):  # noqa: T201
        sys.stdout.write(f"{folder / KUBECONFIG}\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
