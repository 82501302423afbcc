"""A workload that does what it was not declared to do: Falco's event raises its risk, and its next call is refused.

Falco watches the kernel and does not run here; the event has the shape in which the side-kick posts it. What follows is real: the
mesh lets the side-kick's identity post it, the responder writes the risk and labels the pod past admission, kubelets bring the
risk into the pods, OPA decides by it.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from components.decision.objects import RULES_CONFIG_MAP
from components.graph.identity import spiffe_id
from components.graph.model import Workload
from components.graph.names import (
    QUARANTINE_LABEL,
    RESPONDER,
    RESPONDER_PATH,
    RESPONDER_PORT,
    SECURITY_NAMESPACE,
    SERVICE_LABEL,
    service_host,
)
from sandbox.proof import events
from sandbox.proof.attacks import apiserver, raw
from sandbox.proof.attacks.apiserver import CORE, MERGE, Asked, ask, attempted, home
from sandbox.proof.attacks.ground import ATTACKER, pod, stolen
from sandbox.proof.attacks.mesh import settled
from sandbox.proof.attacks.raw import Handshake
from sandbox.proof.attacks.registry import Attempted, Planned, Sent, Switch
from sandbox.proof.attacks.switches import OFF, Where, added, changed
from sandbox.proof.refusals import stopped_by
from sandbox.proof.results import Evidence
from sandbox.proof.world import Answer, Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

FAMILY: Final = "runtime"
CALLER, CALLEE, PATH = "bank-a/trans-ms", "shared/notifications", "/events"
"""An edge that no other attack needs: while it is at risk the caller is refused."""
NEIGHBOUR, NEIGHBOURS_PATH = "bank-a/auth-ms", "/authorize"
"""Who may call the caller, and what."""
_PATIENCE_SECONDS: Final = 150.0
"""A kubelet looks at what a pod mounts every minute to minute and a half."""
_BETWEEN_SECONDS: Final = 1.0
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
    source, target = world.pod(world.home_region, caller), world.pod(world.home_region, callee)

    def call() -> Answer:
        return world.call(source, world.url(callee, PATH), "-method=POST", "-body={}")

    # a risk that was put back is read as late as one that was raised
    before = _until(call, allowed=True)
    if not before.is_allowed:
        msg = f"{caller.ref} is refused before there is an event: {before}"
        raise ProofError(msg)
    with events.sidekick(world) as sidekick, events.restored(world):
        began = time.monotonic()
        try:
            events.post(world, sidekick, event(world, caller, source.name))
        except ProofError as error:
            answer = call()
            seen = Evidence(source=caller.ref, words=f"{error}; then {answer}")
            return Attempted(stopped=False, by="", evidence=seen, failed=not answer.is_allowed)
        found = home(world).get("v1", "Pod", caller.tenant, source.name) or {"metadata": {}}
        if found["metadata"].get("labels", {}).get(QUARANTINE_LABEL) != "true":
            msg = f"{source} is not in quarantine after the event"
            raise ProofError(msg)
        answer = _until(call, allowed=False)
        took = time.monotonic() - began
        _nobody_reaches(world, source)
    by, seen = stopped_by(world, target, answer, source, path=PATH)
    words = f"{took:.0f} s after the event, its pod in quarantine and called by nobody: {seen.words}"
    return Attempted(stopped=bool(by), by=by, evidence=Evidence(source=seen.source, words=words))


def _nobody_reaches(world: World, quarantined: Pod) -> None:
    """A declared call to a pod in quarantine; what its proxy had open before is drained first.

    Raises:
        ProofError: it is answered, or refused by another than Istio's rules.
    """
    called = world.graph.workloads[CALLER]
    caller = world.pod(world.home_region, world.graph.workloads[NEIGHBOUR])
    answer = _until(
        lambda: world.call(caller, world.url(called, NEIGHBOURS_PATH), "-method=POST", "-body={}"),
        allowed=False,
    )
    by, seen = stopped_by(world, quarantined, answer, caller, path=NEIGHBOURS_PATH)
    if by != "mesh-authorization":
        msg = f"{quarantined} is in quarantine, and a call to it is stopped by {by or 'nobody'}: {seen.words}"
        raise ProofError(msg)


def _until(call: Callable[[], Answer], *, allowed: bool) -> Answer:
    """The first answer that is as it should be, or the last one before patience ends."""
    began, answer = time.monotonic(), call()
    while answer.is_allowed != allowed and time.monotonic() - began < _PATIENCE_SECONDS:
        time.sleep(_BETWEEN_SECONDS)
        answer = call()
    return answer


@contextmanager
def _without_rights(world: World) -> Iterator[None]:
    """The responder may do nothing in any tenant's namespace."""
    with ExitStack() as stack:
        for tenant in world.graph.tenants:
            where = Where("rbac.authorization.k8s.io/v1", "RoleBinding", tenant, RESPONDER)
            stack.enter_context(changed(home(world), where, lambda one: one.update(subjects=[])))
        yield


def _false_event(world: World, _tokens: "Tokens") -> Sent:
    """A tenant's service would have another one shut out. Of a priority that nothing is done about, should it be taken."""
    number, target = f"attack-{uuid.uuid4()}", events.responder(world)
    told = {**event(world, world.graph.workloads[CALLER], "any"), "priority": "Debug"}
    host = f"{service_host(SECURITY_NAMESPACE, RESPONDER)}:{RESPONDER_PORT}"
    headers = (("Host", host), ("Content-Type", "application/json"), ("X-Request-Id", number))
    sent = raw.request("POST", RESPONDER_PATH, headers, json.dumps(told))
    shown = Handshake(shown=stolen(world, ATTACKER))
    answer = raw.send(pod(world, ATTACKER), (target.address, RESPONDER_PORT), sent, shown)
    return Sent(answer=answer, callee=target, request=number, note=f"an event posted as {ATTACKER}")


@contextmanager
def _anybody_posts(world: World) -> Iterator[None]:
    about = {"name": f"{OFF}-callers", "namespace": SECURITY_NAMESPACE}
    spec = {"action": "ALLOW", "selector": {"matchLabels": {SERVICE_LABEL: RESPONDER}}, "rules": [{}]}
    manifest = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": about, "spec": spec}
    with settled([events.responder(world)]) as differ, added(home(world), manifest):
        differ()
        yield


def _rules_by_responder(world: World, _tokens: "Tokens") -> Attempted:
    """Whoever takes the responder over wants more than risks."""
    namespace = world.graph.workloads[CALLEE].tenant
    path = f"{CORE}/namespaces/{namespace}/configmaps/{RULES_CONFIG_MAP}"
    asked = Asked("PATCH", path, {"data": {"authz.rego": ""}}, MERGE)
    return attempted(ask(home(world), asked, events.ACCOUNT), events.ACCOUNT)


def _every_right(world: World) -> AbstractContextManager[None]:
    return apiserver.every_right(home(world), events.ACCOUNT, "proof-responder-every-right")


ATTACKS: Final = (
    Planned(
        key=f"{FAMILY}-shell",
        title="calls of a service in which a shell was started, after Falco's event",
        family=FAMILY,
        techniques=("T1059",),
        expected="opa",
        make=_after_an_event,
        single=_ALONE,
        switch=Switch(layer="opa", part="an answer to events", off=_without_rights),
    ),
    Planned(
        key=f"{FAMILY}-false-event",
        title="an event about another service, posted to the responder by a tenant's",
        family=FAMILY,
        techniques=("T1562.011",),
        expected="mesh-authorization",
        make=_false_event,
        single="Istio's rules alone tell callers apart here; on a cluster with Cilium its rules do too",
        switch=Switch(layer="mesh-authorization", part="the responder's callers", off=_anybody_posts),
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
