"""A token of a service account, stolen from a running pod and shown to the API server.

A tenant's application has none at all. Its proxy has one, for istiod alone: the API server is not its audience.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sandbox.proof.attacks.apiserver import attacker, home
from sandbox.proof.attacks.registry import Attempted, Planned
from sandbox.proof.refusals import by_words
from sandbox.proof.results import Evidence
from sandbox.proof.world import MESH_USER, SIDECAR, Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_OF_A_POD: Final = "var/run/secrets/kubernetes.io/serviceaccount/token"
_OF_A_PROXY: Final = "var/run/secrets/tokens/istio-token"
_STARTED_WITH: Final = (
    "which audiences the API server takes is said when it is started; what the account may do with a token that fits is another "
    "attack (secrets-read)"
)


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


def _shown(world: World, _tokens: "Tokens") -> Attempted:
    mine = attacker(world)
    pod = world.pod(world.home_region, mine)
    token = _stolen(pod)
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
        by=by_words(answer.body),
        evidence=Evidence(source=f"API server, to {pod}; past its proxy, with its proxy's token for istiod", words=words),
    )


ATTACKS: Final = (
    Planned(
        key="secrets-stolen-token",
        title="the only token in a tenant's pod, shown to the API server",
        family="secrets",
        techniques=("T1528",),
        case="A10",
        expected="kubernetes-authentication",
        make=_shown,
        unswitchable=_STARTED_WITH,
    ),
)
