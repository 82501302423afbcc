"""A workload that does what it was not declared to do: Falco's event raises its risk, and its next call is refused.

Falco watches the kernel and does not run here; the event has the shape in which the side-kick posts it. What follows is real: the
responder's account writes the risk past admission, kubelets bring it into the pods, OPA decides by it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from components.decision.objects import RULES_CONFIG_MAP
from components.graph.identity import spiffe_id
from components.graph.model import Workload
from sandbox.proof import responder
from sandbox.proof.attacks import apiserver
from sandbox.proof.attacks.admission import home
from sandbox.proof.attacks.apiserver import MERGE, Asked, ask, attempted
from sandbox.proof.attacks.registry import Attempted, Planned, Switch
from sandbox.proof.refusals import stopped_by
from sandbox.proof.results import Evidence
from sandbox.proof.world import Answer, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

FAMILY: Final = "runtime"
CALLER, CALLEE, PATH = "bank-a/trans-ms", "shared/notifications", "/events"
"""An edge that no other attack needs: while it is at risk the caller is refused."""
_PATIENCE_SECONDS: Final = 150.0
"""A kubelet looks at what a pod mounts every minute to minute and a half."""
_BETWEEN_SECONDS: Final = 1.0
_ABSENT: Final = threading.Event()
"""Set while nobody responds to events."""
_ALONE: Final = (
    "OPA alone reads the risk: without an answer to the event the caller keeps what its edges allow, and no more; Falco's event "
    "is an alert to people all the same"
)


def event(world: World, workload: Workload, pod: str) -> dict[str, Any]:
    """What the side-kick posts when a shell was started in a service's container."""
    domain = world.graph.trust_domain(world.home_region)
    rule = f"Unexpected process in {workload.ref}"
    return {
        "uuid": "00000000-0000-4000-8000-000000000000",
        "hostname": "proof",
        "source": "syscall",
        "rule": rule,
        "priority": "Error",
        "time": time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime()),
        "output": f"Process that {workload.ref} does not declare | process=sh",
        "tags": ["container", "mitre_execution", "T1204", f"tenant_{workload.tenant}", "zerotrust"],
        "output_fields": {
            "spiffe_id": spiffe_id(domain, workload.tenant, workload.name),
            "k8s.ns.name": workload.tenant,
            "k8s.pod.name": pod,
            "container.name": workload.name,
            "proc.name": "sh",
        },
    }


def _after_an_event(world: World, _tokens: "Tokens") -> Attempted:
    caller, callee = (world.graph.workloads[ref] for ref in (CALLER, CALLEE))
    pod, target = world.pod(world.home_region, caller), world.pod(world.home_region, callee)

    def call() -> Answer:
        return world.call(pod, world.url(callee, PATH), "-method=POST", "-body={}")

    # a risk that was put back is read as late as one that was raised
    before = _until(call, allowed=True)
    if not before.is_allowed:
        msg = f"{caller.ref} is refused before there is an event: {before}"
        raise ProofError(msg)
    if _ABSENT.is_set():
        return Attempted(stopped=False, by="", evidence=Evidence(source=f"{caller.ref}, nobody responds", words=str(before)))
    began = time.monotonic()
    with responder.responded(home(world), world.graph, event(world, caller, pod.name)):
        answer = _until(call, allowed=False)
        took = time.monotonic() - began
    by, seen = stopped_by(world, target, answer, pod, path=PATH)
    words = f"{took:.0f} s after the event: {seen.words}"
    return Attempted(stopped=bool(by), by=by, evidence=Evidence(source=seen.source, words=words))


def _until(call: Callable[[], Answer], *, allowed: bool) -> Answer:
    """The first answer that is as it should be, or the last one before patience ends."""
    began, answer = time.monotonic(), call()
    while answer.is_allowed != allowed and time.monotonic() - began < _PATIENCE_SECONDS:
        time.sleep(_BETWEEN_SECONDS)
        answer = call()
    return answer


@contextmanager
def _nobody_responds(_world: World) -> Iterator[None]:
    _ABSENT.set()
    try:
        yield
    finally:
        _ABSENT.clear()


def _rules_by_responder(world: World, _tokens: "Tokens") -> Attempted:
    """Whoever takes the responder over wants more than risks."""
    namespace = world.graph.workloads[CALLEE].tenant
    path = f"/api/v1/namespaces/{namespace}/configmaps/{RULES_CONFIG_MAP}"
    asked = Asked("PATCH", path, {"data": {"authz.rego": ""}}, MERGE)
    return attempted(ask(home(world), asked, responder.ACCOUNT), responder.ACCOUNT)


def _every_right(world: World) -> AbstractContextManager[None]:
    return apiserver.every_right(home(world), responder.ACCOUNT, "proof-responder-every-right")


ATTACKS: Final = (
    Planned(
        key=f"{FAMILY}-shell",
        title="calls of a service in which a shell was started, after Falco's event",
        family=FAMILY,
        techniques=("T1059",),
        expected="opa",
        make=_after_an_event,
        single=_ALONE,
        switch=Switch(layer="opa", part="an answer to events", off=_nobody_responds),
    ),
    Planned(
        key=f"{FAMILY}-responder",
        title="decision rules replaced by the responder's own account",
        family=FAMILY,
        techniques=("T1562.001",),
        expected="kubernetes-rbac",
        make=_rules_by_responder,
        switch=Switch(layer="kubernetes-rbac", part="the responder's", off=_every_right),
    ),
)
SWITCHES: Final[tuple[Switch, ...]] = ()
"""Each attack has its own."""
