"""A token of a service account, stolen from a running pod and shown to the API server.

A tenant's application has none at all. Its proxy has one, for istiod alone: the API server is not its audience.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sandbox.proof.attacks.admission import attacker, home
from sandbox.proof.attacks.registry import Attempted, Planned, Switch
from sandbox.proof.refusals import by_words
from sandbox.proof.results import Evidence
from sandbox.proof.world import MESH_USER, SIDECAR, Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_OF_A_POD: Final = "var/run/secrets/kubernetes.io/serviceaccount/token"
_OF_A_PROXY: Final = "var/run/secrets/tokens/istio-token"
_SECONDS: Final = 600
_FITTING: Final = threading.Event()
"""Set while the attacker has a token that is for the API server."""


def _stolen(pod: Pod) -> str:
    """The only token in the pod.

    Raises:
        ProofError: the application has one of its own, or the proxy has none.
    """
    for name, process in sorted(pod.processes.items()):
        if (Path(f"/proc/{process}/root") / _OF_A_POD).exists():
            msg = f"{name} of {pod} has a token of the API server"
            raise ProofError(msg)
    file = Path(f"/proc/{pod.processes[SIDECAR]}/root") / _OF_A_PROXY
    if not file.is_file():
        msg = f"the proxy of {pod} has no token to steal"
        raise ProofError(msg)
    return file.read_text(encoding="utf-8").strip()


def _fitting(world: World) -> str:
    """A token of the same account that the API server takes; only a kubelet and the administrator get one."""
    mine = attacker(world)
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": _SECONDS}}
    path = f"/api/v1/namespaces/{mine.tenant}/serviceaccounts/{mine.name}/token"
    return str(home(world).request("POST", path, wanted)["status"]["token"])


def _shown(world: World, _tokens: "Tokens") -> Attempted:
    mine = attacker(world)
    pod = world.pod(world.home_region, mine)
    token = _stolen(pod)
    if _FITTING.is_set():
        token = _fitting(world)
    service = home(world).get("v1", "Service", "default", "kubernetes")
    if service is None:
        msg = "the API server has no Service"
        raise ProofError(msg)
    where = f"https://{service['spec']['clusterIP']}/api/v1/namespaces/{mine.tenant}/secrets"
    answer = world.call(pod, where, "-any-server", f"-header=Authorization: Bearer {token}", user=MESH_USER)
    if not answer.status:
        msg = f"{pod} does not reach the API server: {answer.error}"
        raise ProofError(msg)
    words = f"{answer.status} {' '.join(answer.body.split())[:400]}" if not answer.is_allowed else "the Secrets were told"
    return Attempted(
        stopped=not answer.is_allowed,
        by=by_words(answer.body.replace('\\"', '"')),
        evidence=Evidence(source=f"API server, to {pod}; past its proxy, with the only token in it", words=words),
    )


@contextmanager
def _audience_fits(_world: World) -> Iterator[None]:
    _FITTING.set()
    try:
        yield
    finally:
        _FITTING.clear()


ATTACKS: Final = (
    Planned(
        key="secrets-stolen-token",
        title="the only token in a tenant's pod, shown to the API server",
        family="secrets",
        techniques=("T1528",),
        case="A10",
        expected="kubernetes-authentication",
        make=_shown,
        switch=Switch(layer="kubernetes-authentication", part="audience", off=_audience_fits),
    ),
)
SWITCHES: Final[tuple[Switch, ...]] = ()
"""Each attack has its own."""
