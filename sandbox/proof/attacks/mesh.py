"""The mesh's layers turned off in the home region, by an object of their own kind or of Envoy's that stands for that time alone.

A layer is off when the proxies that attacks go to have another configuration than before, and on again when they have the very
same as before. Connections that were open before are drained by Envoy; attacks come with new ones.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from components.graph.names import INGRESS, MESH_NAMESPACE, SERVICE_LABEL
from sandbox.live.client import Object, ServerError
from sandbox.proof.attacks import raw
from sandbox.proof.attacks.apiserver import GATEKEEPER
from sandbox.proof.attacks.registry import Switch
from sandbox.proof.attacks.switches import OFF, added, changed
from sandbox.proof.world import Pod, ProofError, World

CALLEE: Final = "bank-b/trans-ms"
"""The workload that most attacks go to."""
BEHIND_GATEWAY: Final = "bank-b/api-ms"
"""The one that the bank's route leads to."""
_ADMIN: Final = ("127.0.0.1", 15000)
_LISTENERS: Final = "/config_dump?resource=dynamic_listeners"
_SETTLE_SECONDS: Final = 30.0
AT_SIDECAR, AT_GATEWAY = "SIDECAR_INBOUND", "GATEWAY"
"""Where a patch of Envoy's configuration goes, by Istio's names."""
_LAST: Final = 1000
"""Priority of a patch that goes over all others."""
_FILTERS: Final = "type.googleapis.com/envoy.extensions.filters.http"
_TLS: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_MANAGER: Final = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_NOTHING: Final = {"name": "proof.nothing", "typed_config": {"@type": f"{_FILTERS}.cors.v3.Cors"}}
"""A filter that does nothing to a request without a policy of origins."""


def gateway(world: World) -> Pod:
    """The pod of the home region's ingress gateway.

    Raises:
        ProofError: it has none that is ready.
    """
    for pod in world.pods(world.home_region, INGRESS.namespace, **INGRESS.selector):
        if pod.ready:
            return pod
    msg = f"no ingress gateway is ready in {world.home_region}"
    raise ProofError(msg)


def watched(world: World) -> tuple[Pod, Pod, Pod]:
    """The pods whose proxies say whether a layer is off: the callee, what the gateway leads to, the gateway."""
    called, behind = (world.pod(world.home_region, world.graph.workloads[ref]) for ref in (CALLEE, BEHIND_GATEWAY))
    return called, behind, gateway(world)


def configuration(pod: Pod) -> str:
    """What a pod's proxy listens for and how, by its own account; the same text for the same configuration.

    Raises:
        ProofError: it does not say.
    """
    said = raw.send(pod, _ADMIN, raw.request("GET", _LISTENERS, {"Host": "localhost"}))
    _, _, body = said.body.partition("\r\n\r\n")
    try:
        found = json.loads(raw.unchunked(body))["configs"]
    except (ValueError, KeyError) as error:
        msg = f"the proxy of {pod} does not show its configuration: {said}"
        raise ProofError(msg) from error
    states = {one["name"]: one.get("active_state", {}).get("listener") for one in found if not one["name"].startswith("172.")}
    return json.dumps(states, sort_keys=True)


@contextmanager
def settled(pods: Sequence[Pod]) -> Iterator[Callable[[], None]]:
    """The proxies of these pods have what they had before when the context ends; what is given waits until all differ.

    Raises:
        ProofError: they do not come to differ, or do not come back.
    """
    before = [configuration(pod) for pod in pods]
    names = ", ".join(pod.name for pod in pods)

    def differ() -> None:
        World.wait(
            f"the layer to be off in {names}",
            lambda: all(configuration(pod) != then for pod, then in zip(pods, before, strict=True)),
            _SETTLE_SECONDS,
        )

    yield differ
    World.wait(f"the layer to be on again in {names}", lambda: [configuration(pod) for pod in pods] == before, _SETTLE_SECONDS)


def standing(manifest: Object, pods: Sequence[int]) -> Callable[[World], Any]:
    """A switch's context: an object that stands for the time, and changes the proxies with these numbers in `watched`."""

    @contextmanager
    def off(world: World) -> Iterator[None]:
        cluster = world.clusters[world.home_region]
        seen = watched(world)
        with settled([seen[number] for number in pods]) as differ, added(cluster, manifest):
            differ()
            yield

    return off


def envoy_filter(layer: str, patches: Sequence[dict[str, Any]], service: str = "") -> Object:
    """An EnvoyFilter of the mesh's root namespace, for the pods of one service name or for all."""
    selector = {"workloadSelector": {"labels": {SERVICE_LABEL: service}}} if service else {}
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": f"{OFF}-{layer}", "namespace": MESH_NAMESPACE},
        "spec": {"priority": _LAST, **selector, "configPatches": list(patches)},
    }


def without_filter(name: str, context: str) -> dict[str, Any]:
    """A patch that puts nothing in the place of an HTTP filter; `context` is Istio's name of where."""
    manager = {"name": "envoy.filters.network.http_connection_manager", "subFilter": {"name": name}}
    match = {"context": context, "listener": {"filterChain": {"filter": manager}}}
    return {"applyTo": "HTTP_FILTER", "match": match, "patch": {"operation": "REPLACE", "value": _NOTHING}}


def other_tls(changes: dict[str, Any], context: str, port: int) -> dict[str, Any]:
    """A patch that changes how TLS is ended on a port."""
    match: dict[str, Any] = {"context": context, "listener": {"portNumber": port}}
    if context == "SIDECAR_INBOUND":
        match["listener"] = {"filterChain": {"destinationPort": port}}
    socket = {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": _TLS, **changes}}
    return {
        "applyTo": "FILTER_CHAIN",
        "match": match,
        "patch": {"operation": "MERGE", "value": {"transport_socket": socket}},
    }


@contextmanager
def _permissive(world: World) -> Iterator[None]:
    """Plain text admitted by the callee. Gatekeeper refuses that, and is asked not to look at this one object."""
    cluster = world.clusters[world.home_region]
    called = watched(world)[:1]
    name = f"{OFF}-mesh-mtls"
    tenant, service = CALLEE.split("/")
    wanted: Object = {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": name, "namespace": tenant},
        "spec": {"selector": {"matchLabels": {SERVICE_LABEL: service}}, "mtls": {"mode": "PERMISSIVE"}},
    }
    with settled(called) as differ, ExitStack() as stack:
        with changed(cluster, GATEKEEPER, lambda found: _overlooked(found, name)):
            stack.enter_context(_when_admitted(cluster, wanted))
        differ()
        yield


def _overlooked(found: Object, name: str) -> None:
    condition = {"name": "proof", "expression": f"request.name != '{name}'"}
    for webhook in found["webhooks"]:
        webhook["matchConditions"] = [*webhook.get("matchConditions", []), condition]


@contextmanager
def _when_admitted(cluster: Any, manifest: Object) -> Iterator[None]:
    deadline = time.monotonic() + _SETTLE_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(added(cluster, manifest))
                break
            except ServerError:
                # API servers take a changed webhook up within a second or two
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.25)
        yield


_ANY_AUTHORITY: Final = {
    "require_client_certificate": False,
    "common_tls_context": {"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}},
}
_OLD: Final = {"common_tls_context": {"tls_params": {"tls_minimum_protocol_version": "TLSv1_2"}}}
_ALLOW_ALL: Final[Object] = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "metadata": {"name": f"{OFF}-mesh-authorization", "namespace": MESH_NAMESPACE},
    "spec": {"action": "ALLOW", "rules": [{}]},
}

_LENGTH_AND_CHUNKS: Final = {
    "applyTo": "NETWORK_FILTER",
    "match": {
        "context": AT_SIDECAR,
        "listener": {"filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}},
    },
    "patch": {
        "operation": "MERGE",
        "value": {"typed_config": {"@type": _MANAGER, "http_protocol_options": {"allow_chunked_length": True}}},
    },
}

PLAIN_TEXT: Final = Switch(layer="mesh-mtls", off=_permissive, part="plain text")
AUTHORIZATION: Final = Switch(layer="mesh-authorization", off=standing(_ALLOW_ALL, (0, 1, 2)))
DECISION: Final = Switch(
    layer="opa",
    off=standing(envoy_filter("opa", [without_filter("envoy.filters.http.ext_authz", AT_SIDECAR)]), (0, 1)),
)
AUTHORITIES: Final = Switch(
    layer="mesh-mtls",
    off=standing(envoy_filter("authorities", [other_tls(_ANY_AUTHORITY, AT_SIDECAR, 8080)], "trans-ms"), (0,)),
    part="authorities",
)
OLD_TLS: Final = Switch(
    layer="mesh-mtls",
    off=standing(envoy_filter("version", [other_tls(_OLD, AT_SIDECAR, 8080)], "trans-ms"), (0,)),
    part="version",
)
OLD_TLS_OUTSIDE: Final = Switch(
    layer="gateway",
    off=standing(envoy_filter("outer-version", [other_tls(_OLD, AT_GATEWAY, 8443)]), (2,)),
    part="version",
)
TWO_ENDS: Final = Switch(
    layer="proxy",
    off=standing(envoy_filter("two-ends", [_LENGTH_AND_CHUNKS], "trans-ms"), (0,)),
    part="a length beside chunks",
)
BUCKET: Final = Switch(
    layer="rate-limit",
    off=standing(envoy_filter("bucket", [without_filter("zerotrust.local.bank-b", AT_GATEWAY)]), (2,)),
    part="each gateway's own",
    behind="request_rate_limited",
)
SWITCHES: Final = (AUTHORIZATION, DECISION)
"""The usual one of each layer; that of tokens is with their attacks."""
