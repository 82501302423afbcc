"""Attacks against admission: weakened pods of somebody who may make pods, asked of the real API server."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final

from sandbox.live.client import Object
from sandbox.proof.attacks import apiserver, rules
from sandbox.proof.attacks.apiserver import ATTACKERS, CORE, TENANT, Asked, account, ask, attacker, attempted, home, rights
from sandbox.proof.attacks.registry import Attempted, Planned, Switch
from sandbox.proof.attacks.weakened import AROUND_THE_PROXY, WEAKNESSES, Weakness
from sandbox.proof.refusals import stopped_by
from sandbox.proof.world import Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_FAMILY: Final = "admission"
_TARGET, _TARGET_PATH = "bank-b/trans-ms", "/transfer"
_MAKES_PODS: Final = ({"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]},)
_START_SECONDS: Final = 40.0


def weakened(world: World, one: Weakness) -> Object:
    """The tenant's real pod, weakened."""
    pod = apiserver.live_copy(home(world), attacker(world), f"proof-{one.key}")
    one.weaken(pod)
    return pod


def judged(world: World, one: Weakness) -> Attempted:
    """The pod asked for by somebody who may make pods here, and kept by nobody.

    Raises:
        ProofError: an unchanged copy is refused too: then the refusal would say nothing of the weakness.
    """
    user, cluster = f"{ATTACKERS}editor-{one.key}", home(world)
    path = f"{CORE}/namespaces/{TENANT}/pods"
    with rights(cluster, user, f"proof-{one.key}", TENANT, _MAKES_PODS):
        unchanged = ask(cluster, Asked("POST", path, apiserver.live_copy(cluster, attacker(world), f"proof-{one.key}")), user)
        if not unchanged.is_allowed:
            msg = f"the same pod, not weakened, is refused as well: {unchanged.words}"
            raise ProofError(msg)
        return attempted(ask(cluster, Asked("POST", path, weakened(world, one)), user), user)


def run_past_the_proxy(world: World, one: Weakness) -> Attempted:
    """The pod asked for; where nobody refuses it, it runs, and calls another tenant's service without the mesh's handshake."""
    seen = judged(world, one)
    if seen.stopped:
        return seen
    with running(world, weakened(world, one)) as pod:
        target = world.graph.workloads[_TARGET]
        callee = world.pod(pod.region, target)
        answer = world.call(pod, f"http://{callee.address}:{target.port}{_TARGET_PATH}", "-method=POST", "-body={}")
        by, evidence = stopped_by(world, callee, answer, path=_TARGET_PATH)
        return Attempted(stopped=not answer.is_allowed, by=by, evidence=evidence)


@contextmanager
def running(world: World, wanted: Object) -> Iterator[Pod]:
    """A pod that runs for this time: what the API server makes of it under an attacker's name.

    Raises:
        ProofError: it is refused, or does not come up.
    """
    cluster, user = home(world), f"{ATTACKERS}editor-runs"
    name = wanted["metadata"]["name"]
    path = f"{CORE}/namespaces/{TENANT}/pods"
    # never ready, so that its Service sends nobody to it; and where its image is already
    wanted["spec"]["readinessGates"] = [{"conditionType": "zerotrust.dev/proof"}]
    node = world.pod(world.home_region, attacker(world)).node
    wanted["spec"]["nodeSelector"] = {**wanted["spec"].get("nodeSelector", {}), "kubernetes.io/hostname": node}
    with rights(cluster, user, f"{name}-runs", TENANT, _MAKES_PODS):
        made = ask(cluster, Asked("POST", path, wanted), user, kept=True)
    if not made.is_allowed:
        raise ProofError(made.words)
    try:
        found: list[Pod] = []

        def is_up() -> bool:
            found[:] = [pod for pod in world.pods(world.home_region, TENANT) if pod.name == name and pod.processes]
            return bool(found) and wanted["spec"]["containers"][0]["name"] in found[0].processes

        world.wait(f"{name} to run", is_up, _START_SECONDS)
        yield found[0]
    finally:
        cluster.request("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0})


def _by_editor(one: Weakness, made: Callable[[World, Weakness], Attempted]) -> Callable[[World, "Tokens"], Attempted]:
    return lambda world, _tokens: made(world, one)


def _planned(one: Weakness, made: Callable[[World, Weakness], Attempted]) -> Planned:
    return Planned(
        key=f"{_FAMILY}-{one.key}",
        title=f"a tenant's pod with {one.title}",
        family=_FAMILY,
        techniques=one.techniques,
        case=one.case,
        expected=one.expected,
        single=one.single,
        control=one.control,
        behind=one.behind,
        make=_by_editor(one, made),
    )


ATTACKS: Final = (
    *(_planned(one, judged) for one in WEAKNESSES),
    *(_planned(one, run_past_the_proxy) for one in AROUND_THE_PROXY),
    *rules.ATTACKS,
)


def _every_right(world: World) -> AbstractContextManager[None]:
    return apiserver.every_right(home(world), account(attacker(world)), "proof-every-right")


SWITCHES: Final = (
    Switch(layer="kubernetes-rbac", off=_every_right),
    Switch(layer="pod-security", off=lambda world: apiserver.without_pod_security(home(world), TENANT)),
    Switch(layer="admission-policy", off=lambda world: apiserver.without_floor(home(world))),
    Switch(layer="gatekeeper", off=lambda world: apiserver.without_gatekeeper(home(world))),
)
