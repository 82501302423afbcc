"""The running sandbox as a proof sees it: its access graph, its pods, and calls made from within them.

A call is made by a process that enters a pod's namespaces, as one started in its container would be: same network, same
socket of SPIRE's agent, same user. What a proof knows of the platform comes from the settings and the clusters alone.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from components.graph.model import Graph, Workload
from components.graph.names import SERVICE_LABEL, service_host
from components.settings import Settings, load_file
from sandbox.live.client import Cluster, client
from sandbox.live.running import running
from sandbox.local import host
from sandbox.local.plan import Plan
from sandbox.toolchain import build

RUNNING: Final = "running.json"
_APP_IN_IMAGE: Final = "/app"
MESH_USER: Final = 1337
"""Whose traffic the pod's own rules do not capture (Istio's documentation, "Application requirements")."""
SIDECAR: Final = "istio-proxy"
_SECONDS: Final = 60.0


class ProofError(Exception):
    """The sandbox is not there, or is not what a proof needs; the message says what and what to do."""

    user_facing = True


@dataclass(frozen=True, kw_only=True)
class Pod:
    """One running pod; `processes` maps its containers to the process that runs in each, as this machine numbers it."""

    region: str
    namespace: str
    name: str
    node: str
    address: str
    labels: Mapping[str, str]
    processes: Mapping[str, int]
    ready: bool

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name} in {self.region}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one request; `error` is empty when there was an answer, whatever its status. Times in seconds."""

    status: int
    body: str
    error: str
    at: str
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: Mapping[str, Any] | None = None
    local: str = ""
    """Address and port of this end of the connection; a proxy's log has them as the source's."""

    @property
    def is_allowed(self) -> bool:
        """Whether the service itself answered it with success."""
        return 200 <= self.status < 300  # noqa: PLR2004

    def json(self) -> Any:
        """The body.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.status} {self.body.strip()[:120]}" if self.status else self.error


class World:
    """The running sandbox.

    Raises:
        ProofError: it does not run.
    """

    def __init__(self, where: Plan, settings: Path) -> None:
        self.plan = where
        told = where.home / RUNNING
        if not told.is_file():
            msg = f"there is no sandbox in {where.home}: start it with `make sandbox`"
            raise ProofError(msg)
        self.settings: Settings = load_file(settings)
        self.graph: Graph = Graph.of(self.settings)
        known = running(str(told))
        self.clusters: Mapping[str, Cluster] = {code: client(access) for code, access in sorted(known.regions.items())}
        self.home_region: str = self.settings.home_region
        self.other_region: str = next(code for code in sorted(self.clusters) if code != self.home_region)

    @cached_property
    def app(self) -> Path:
        """The program that calls, as this machine has it."""
        return build("app", lambda _line: None)

    def pods(self, region: str, namespace: str, **labels: str) -> list[Pod]:
        """A namespace's running pods with these labels (`/` and `.` in a name as they are: pass `**{name: value}`)."""
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())} if labels else {}
        found = self.clusters[region].list("v1", "Pod", namespace, **query)
        return [self._pod(region, one) for one in found if one["status"].get("phase") == "Running" and _stays(one)]

    def pod(self, region: str, workload: Workload) -> Pod:
        """A ready pod of a tenant's workload.

        Raises:
            ProofError: it has none.
        """
        for pod in self.pods(region, workload.tenant, **{SERVICE_LABEL: workload.name}):
            if pod.ready:
                return pod
        msg = f"{workload.ref} has no pod that is ready in {region}: `make sandbox` says what keeps it"
        raise ProofError(msg)

    def run(
        self,
        pod: Pod,
        command: Sequence[str],
        *,
        container: str | None = None,
        user: int | None = None,
        own_files: bool = True,
        text: str = "",
        files: Sequence[int] = (),
    ) -> subprocess.CompletedProcess[str]:
        """A command in a pod, to its end or a minute long.

        Args:
            pod: whose namespaces it enters.
            command: with own files one of the container's programs, otherwise one of this machine's.
            container: the first of the pod that is not the sidecar unless said.
            user: its user and group; that of the container's process unless said.
            own_files: False to keep this machine's files and to enter the network alone.
            text: its input.
            files: open files that it is to have.
        """
        entering, environment = self.entering(pod, container=container, user=user, own_files=own_files)
        return subprocess.run(
            [*entering, *command],
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            pass_fds=files,
        )

    def entering(
        self, pod: Pod, *, container: str | None = None, user: int | None = None, own_files: bool = True
    ) -> tuple[list[str], dict[str, str]]:
        """What to put before a command so that it runs in a pod (`run` says how), and its environment."""
        chosen = container or next(name for name in pod.processes if name != SIDECAR)
        process = pod.processes[chosen]
        owner = Path(f"/proc/{process}").stat().st_uid if user is None else user
        entered = ["--net", "--mount", "--uts", "--ipc", "--pid"] if own_files else ["--net"]
        command = ["nsenter", f"--target={process}", *entered, f"--setuid={owner}", f"--setgid={owner}", "--"]
        return command, _environment(process) if own_files else dict(os.environ)

    def call(self, pod: Pod, url: str, *flags: str, user: int | None = None, own_files: bool = True) -> Answer:
        """One request from a pod; `flags` are those of `app call` (`app call -h` lists them). For several: `calls`."""
        return self.calls(pod, url, *flags, user=user, own_files=own_files)[0]

    def calls(self, pod: Pod, url: str, *flags: str, user: int | None = None, own_files: bool = True) -> list[Answer]:
        """As many requests as the flags say, one after the other.

        Raises:
            ProofError: the calling program itself failed.
        """
        return self._calls(pod, [*flags, url], user=user, own_files=own_files)

    def batch(self, pod: Pod, requests: Sequence[Mapping[str, Any]], *flags: str, user: int | None = None) -> list[Answer]:
        """Several requests of one process, one after the other, with an answer for each.

        Args:
            pod: whose namespaces they are made from.
            requests: of each its `url`, and where the flags do not say it `method`, `headers`, `body`, `address`, `server_name`.
            flags: of all of them.
            user: whose the process is; that of the container unless said.

        Raises:
            ProofError: the calling program itself failed.
        """
        if not requests:
            return []
        text = "".join(json.dumps(dict(one)) + "\n" for one in requests)
        answers = self._calls(pod, [*flags, "-list"], user=user, own_files=True, text=text)
        if len(answers) != len(requests):
            msg = f"{len(requests)} requests from {pod}, {len(answers)} answers"
            raise ProofError(msg)
        return answers

    def _calls(self, pod: Pod, arguments: Sequence[str], *, user: int | None, own_files: bool, text: str = "") -> list[Answer]:
        # The pod's image may have an older one, and most images have none: the open file is run, whatever the pod's own files.
        program = os.open(self.app, os.O_RDONLY)
        try:
            command = [f"/proc/self/fd/{program}", "call", *arguments]
            done = self.run(pod, command, user=user, own_files=own_files, text=text, files=(program,))
        finally:
            os.close(program)
        answers = [_answer(line) for line in done.stdout.splitlines()]
        if done.returncode != 0 or not answers:
            msg = f"no call from {pod} ({arguments[-1]}): {done.stderr.strip() or done.stdout.strip() or done.returncode}"
            raise ProofError(msg)
        return answers

    def identity(self, pod: Pod, *flags: str) -> dict[str, Any]:
        """What SPIRE's agent gives to a pod: `spiffe_id`, `serial`, `not_before`, `not_after`, `trust_domains`.

        With the flag `--audience=<audience>` a JWT-SVID too, as `token` and `token_expires`.

        Raises:
            ProofError: in the agent's words.
        """
        done = self.run(pod, [_APP_IN_IMAGE, "identity", *flags])
        if done.returncode != 0:
            msg = f"no identity for {pod}: {done.stderr.strip()}"
            raise ProofError(msg)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @staticmethod
    def url(workload: Workload, path: str) -> str:
        """Where a workload's service is reached inside the mesh."""
        return f"http://{service_host(workload.tenant, workload.name)}:{workload.port}{path}"

    def logs(self, pod: Pod, container: str, since: str = "") -> list[str]:
        """Lines of a container's log, at or after `since` (RFC 3339) when it is said."""
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log"
        query = {"container": container} | ({"sinceTime": since} if since else {})
        return self.clusters[pod.region].text(path, query).splitlines()

    @staticmethod
    def wait(what: str, condition: Callable[[], bool], seconds: float = _SECONDS) -> float:
        """Returns when a condition holds, with the seconds that it took.

        Raises:
            ProofError: it does not hold by then.
        """
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                msg = f"{what}: not within {seconds:.0f} s"
                raise ProofError(msg)
            time.sleep(0.1)
        return time.monotonic() - began

    def _pod(self, region: str, found: Mapping[str, Any]) -> Pod:
        about, status = found["metadata"], found["status"]
        containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        running = {one["name"]: one.get("containerID", "").removeprefix("containerd://") for one in containers}
        order = [one["name"] for one in found["spec"]["containers"]]
        order += [name for name in running if name not in order]
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
        node = next(one for one in self.plan.region(region).nodes if one.name == found["spec"]["nodeName"])
        groups = _groups(node.name, about["uid"])
        processes = {}
        for name in order:
            group = groups.get(running.get(name, ""))
            numbers = _members(group) if group else []
            if numbers:
                processes[name] = int(next(filter(_is_first, numbers), numbers[0]))
        return Pod(
            region=region,
            namespace=about["namespace"],
            name=about["name"],
            node=node.name,
            address=status.get("podIP", ""),
            labels=about.get("labels", {}),
            processes=processes,
            ready=ready,
        )


def _groups(node: str, pod: str) -> dict[str, Path]:
    """A pod's containers and their control groups, by its uid, in the first hierarchy that has it."""
    roots = [host.CGROUPS] if host.unified() else sorted(host.CGROUPS.iterdir())
    for root in roots:
        # by name alone: a walk through a node's groups takes seconds on a machine that has other things to do
        places = [*(root / node / "kubepods").glob(f"pod{pod}/*"), *(root / node / "kubepods").glob(f"*/pod{pod}/*")]
        found = {place.name: place for place in places if place.is_dir()}
        if found:
            return found
    return {}


def _members(group: Path) -> list[str]:
    try:
        return (group / "cgroup.procs").read_text(encoding="utf-8").split()
    except OSError:
        return []  # the container ended meanwhile


def _is_first(process: str) -> bool:
    """Whether it is the process that its container began with: another one may show a title where its environment was."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines())


def _stays(pod: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def _environment(process: int) -> dict[str, str]:
    entries = Path(f"/proc/{process}/environ").read_bytes().decode(errors="replace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def _answer(line: str) -> Answer:
    return Answer(**json.loads(line))
