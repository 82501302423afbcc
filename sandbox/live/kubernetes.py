"""The Kubernetes provider on a running cluster: what the real one does, as far as a program can tell.

Server-side apply with a field manager per resource, dry runs in previews, replacement of what cannot change, waiting until
things are ready or gone. Inputs are checked as the stand-in checks them: by the SDK's types.
"""

import threading
from collections.abc import Mapping
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import status_pb2

from sandbox.live import objects
from sandbox.live.applying import MANAGER, Applying
from sandbox.live.client import ServerError, client
from sandbox.live.readiness import annotation
from sandbox.live.releases import DECLARED, ReleaseError, Releases
from sandbox.live.running import Access, Running, RunningError, running
from sandbox.live.waiting import NotReadyError, timeout_of
from sandbox.standin import wire
from sandbox.standin.checking import parsed_config
from sandbox.standin.difference import diff_response
from sandbox.standin.outputs import digest, kubernetes_outputs
from sandbox.standin.provider import StandIn, automatic_name, token_of
from sandbox.standin.schema import provider_schema, resource_schema

RELEASE: Final = "kubernetes:helm.sh/v3:Release"
_USUAL_SECONDS: Final = 600.0
_DATA: Final = frozenset({"data", "binaryData", "stringData", "type"})
_FIXED: Final[Mapping[str, frozenset[str]]] = {
    RELEASE: frozenset({"name", "namespace"}),
    "kubernetes:core/v1:ConfigMap": _DATA,
    "kubernetes:core/v1:Secret": _DATA,
}
"""What the real provider replaces for; a server would change some of it in place."""
_MUTABLE: Final[Mapping[str, str]] = {
    "kubernetes:core/v1:ConfigMap": "enableConfigMapMutable",
    "kubernetes:core/v1:Secret": "enableSecretMutable",
}


class _Partly(grpc.Status):  # type: ignore[misc,unused-ignore]
    """An object that is stored but not ready, in the engine's form: its state is kept, the resource has failed."""

    def __init__(self, message: str, detail: Any) -> None:
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
        status.details.add().Pack(detail)
        self.code, self.details = grpc.StatusCode.UNKNOWN, message
        self.trailing_metadata = (("grpc-status-details-bin", status.SerializeToString()),)


class LiveKubernetes(StandIn):
    """Answers the engine for `kubernetes`. Holds one provider instance's cluster; `said` is the file that is running."""

    def __init__(self, engine_address: str, said: str) -> None:
        super().__init__("kubernetes", engine_address, "")
        self._running: Running = running(said)
        self._cancelled = threading.Event()
        self._objects: Applying | None = None
        self._releases: Releases | None = None
        self._config: Mapping[str, Any] = {}
        self._refusal = "the provider has no kubeconfig that is known by now"

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Finds the cluster that the kubeconfig leads to; one that a preview does not know yet is asked nothing."""
        self._config = parsed_config(provider_schema("kubernetes"), wire.from_struct(request.args), lambda text: text)
        kubeconfig = self._config.get("kubeconfig")
        if isinstance(kubeconfig, str) and not wire.is_unknown(kubeconfig):
            try:
                self._connect(self._running.cluster(kubeconfig))
            except RunningError as error:
                # the engine configures a provider before it deletes with it: the cluster may be gone with everything in it
                self._refusal = str(error)
                self._say(f"kubernetes: {error}")
        return super().Configure(request, context)

    def _connect(self, access: Access) -> None:
        cluster = client(access)
        self._releases = Releases(self._running, cluster, self._say, self._cancelled)
        self._objects = Applying(cluster, self._running, self._releases, self._cancelled)
        self.greeting = f"kubernetes: this provider acts on the running cluster of {access.region}"

    def _acting(self, context: Any) -> tuple[Applying, Releases]:
        if self._objects is None or self._releases is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, self._refusal)
        return self._objects, self._releases  # type: ignore[return-value]  # abort raises

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """By the SDK's types; fills in the automatic name and the namespace that the server would take."""
        response = super().Check(request, context)
        if response.failures:
            return response
        inputs = wire.from_struct(response.inputs)
        usual = str(self._config.get("namespace") or "default")
        about = inputs.get("metadata")
        if token_of(request.urn) == RELEASE:
            inputs["namespace"] = inputs.get("namespace") or usual
        elif isinstance(about, dict) and wire.SIGNATURE not in about and about.get("namespace") is None:
            kind = str(inputs.get("apiVersion")), str(inputs.get("kind"))
            if self._objects is not None and self._objects.has_namespace(*kind):
                inputs["metadata"] = {**about, "namespace": usual}
        return pb.CheckResponse(inputs=wire.to_struct(inputs))

    def Diff(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Property by property; what a dry run says is immutable, or the real provider never changes in place, replaces."""
        token, old, new = token_of(request.urn), wire.from_struct(request.old_inputs), wire.from_struct(request.news)
        response = diff_response(token, old, new, own_name=False)
        fixed = _FIXED.get(token, frozenset())
        if self._config.get(_MUTABLE.get(token, ""), False) in (True, "true"):
            fixed = frozenset({"type"})
        found = {path for path in response.detailedDiff if path.partition(".")[0].partition("[")[0] in fixed}
        if response.diffs and not found and not response.replaces and token != RELEASE and self._objects is not None:
            found = self._immutable(request, new)
        touched = {path for path in response.detailedDiff for field in found if path.startswith(field) or field.startswith(path)}
        for path in touched:
            name = pb.PropertyDiff.Kind.Name(response.detailedDiff[path].kind)
            if not name.endswith("_REPLACE"):
                response.detailedDiff[path].kind = pb.PropertyDiff.Kind.Value(f"{name}_REPLACE")
        for path in found:
            top = path.partition(".")[0].partition("[")[0]
            if top not in response.replaces:
                response.replaces.append(top)
        response.deleteBeforeReplace = bool(response.replaces) and _stays_in_place(token, old, new, request.urn)
        return response

    def _immutable(self, request: Any, new: Mapping[str, Any]) -> set[str]:
        """Paths of the fields that the server will not change, empty for every other answer."""
        objects_ = self._objects
        try:
            if objects_ is not None:
                objects_.rehearse(new, _manager_of(request.olds, request.urn))
        except ServerError as error:
            return {path for path in error.fields if path} or {"spec"} if error.is_immutable else set()
        return set()

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Applies and waits; in a preview, by a dry run."""
        token, inputs = token_of(request.urn), wire.from_struct(request.properties)
        manager = annotation(wire.plain(inputs), MANAGER) or _manager(request.urn)
        if request.preview:
            return pb.CreateResponse(id="", properties=wire.to_struct(self._planned(request.urn, inputs, manager, context)))
        acting, releases = self._acting(context)
        if token == RELEASE:
            made = self._release(releases, request.urn, inputs, context, new=True)
            return pb.CreateResponse(id=_release_id(inputs), properties=wire.to_struct(made))
        live = self._applied(acting, request, inputs, manager, context)
        return pb.CreateResponse(id=objects.identifier(live), properties=wire.to_struct(objects.outputs(live, inputs, manager)))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Applies what changed and waits; in a preview, by a dry run."""
        token, inputs = token_of(request.urn), wire.from_struct(request.news)
        manager = _manager_of(request.olds, request.urn)
        if request.preview:
            return pb.UpdateResponse(properties=wire.to_struct(self._planned(request.urn, inputs, manager, context)))
        acting, releases = self._acting(context)
        if token == RELEASE:
            made = self._release(releases, request.urn, inputs, context, new=False)
            return pb.UpdateResponse(properties=wire.to_struct(made))
        live = self._applied(acting, request, inputs, manager, context)
        return pb.UpdateResponse(properties=wire.to_struct(objects.outputs(live, inputs, manager)))

    def _planned(self, urn: str, inputs: dict[str, Any], manager: str, context: Any) -> dict[str, Any]:
        token = token_of(urn)
        if token != RELEASE and self._objects is not None:
            try:
                self._objects.rehearse(inputs, manager)
            except ServerError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        planned = kubernetes_outputs(resource_schema(token), self._identity(urn, inputs), preview=True)
        return {**planned, objects.MANAGER_KEY: manager}

    def _applied(self, acting: Applying, request: Any, inputs: dict[str, Any], manager: str, context: Any) -> Any:
        timeout = timeout_of(wire.plain(inputs), request.timeout, _USUAL_SECONDS)
        patch = token_of(request.urn).endswith(f":{wire.plain(inputs.get('kind'))}Patch")
        try:
            return acting.apply(inputs, manager, timeout=timeout, patch=patch)
        except NotReadyError as error:
            detail = pb.ErrorResourceInitFailed(
                id=objects.identifier(error.live),
                properties=wire.to_struct(objects.outputs(error.live, inputs, manager)),
                inputs=wire.to_struct(inputs),
                reasons=error.reasons,
            )
            context.abort_with_status(_Partly(str(error), detail))
        except ServerError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))

    def _release(self, releases: Releases, urn: str, inputs: dict[str, Any], context: Any, *, new: bool) -> dict[str, Any]:
        try:
            return {**inputs, **releases.install(wire.plain(inputs), new=new)}
        except ServerError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except ReleaseError as error:
            if not error.stands:
                context.abort(grpc.StatusCode.UNKNOWN, str(error))
            made = kubernetes_outputs(resource_schema(RELEASE), self._identity(urn, inputs), preview=False)
            detail = pb.ErrorResourceInitFailed(
                id=_release_id(inputs), properties=wire.to_struct(made), inputs=wire.to_struct(inputs), reasons=[str(error)]
            )
            context.abort_with_status(_Partly(str(error), detail))
        raise AssertionError(urn)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Deletes and waits until it is gone; gives up a patch's fields; uninstalls a release."""
        token, state = token_of(request.urn), wire.plain(wire.from_struct(request.properties))
        acting, releases = self._acting(context)
        try:
            if token == RELEASE:
                if (state.get("status") or {}).get("status") == DECLARED:
                    releases.note(state["name"], None)
                else:
                    wait, timeout = not state.get("skipAwait"), float(request.timeout or state.get("timeout") or _USUAL_SECONDS)
                    releases.uninstall(state["name"], state["namespace"], wait=wait, timeout=timeout)
            elif token.endswith(f":{state.get('kind')}Patch"):
                acting.withdraw(state, request.id, _manager_of(request.properties, request.urn))
            else:
                acting.remove(state, request.id, timeout=timeout_of(state, request.timeout, _USUAL_SECONDS))
        except (ServerError, NotReadyError, ReleaseError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return empty_pb2.Empty()

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """What the server has; the inputs with what changed behind the engine's back."""
        token, state = token_of(request.urn), wire.from_struct(request.properties)
        inputs = wire.from_struct(request.inputs)
        acting, releases = self._acting(context)
        try:
            if token == RELEASE:
                return self._read_release(releases, request, wire.plain(state))
            live = acting.read(_kind_of(token, wire.plain({**state, **inputs})), request.id)
            if live is None:
                return pb.ReadResponse(id="")
            manager = _manager_of(request.properties, request.urn)
            intended = acting.intended(inputs, manager) if inputs else None
            if not inputs:
                inputs = objects.imported(live)
            elif intended is not None:
                inputs = objects.drifted(inputs, objects.decoded(live), objects.decoded(intended))
            made = objects.outputs(live, inputs, manager)
        except (ServerError, ReleaseError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return pb.ReadResponse(id=request.id, properties=wire.to_struct(made), inputs=wire.to_struct(inputs))

    def _read_release(self, releases: Releases, request: Any, state: Mapping[str, Any]) -> Any:
        if (state.get("status") or {}).get("status") == DECLARED:
            return pb.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        namespace, _, name = request.id.rpartition("/")
        found = releases.read(name, namespace or "default")
        if found is None:
            return pb.ReadResponse(id="")
        properties = {**wire.from_struct(request.properties), **found}
        return pb.ReadResponse(id=request.id, properties=wire.to_struct(properties), inputs=request.inputs)

    def Cancel(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Ends every waiting and every running Helm."""
        self._cancelled.set()
        return empty_pb2.Empty()


def _manager(urn: str) -> str:
    return f"pulumi-kubernetes-{digest(urn, 'manager', length=8)}"


def _manager_of(state: Any, urn: str) -> str:
    """The manager that the state keeps; a resource that was renamed in the program keeps the one it had."""
    kept = state.fields[objects.MANAGER_KEY].string_value if objects.MANAGER_KEY in state.fields else ""
    return kept or _manager(urn)


def _release_id(inputs: Mapping[str, Any]) -> str:
    return f"{wire.plain(inputs['namespace'])}/{wire.plain(inputs['name'])}"


def _kind_of(token: str, known: Mapping[str, Any]) -> tuple[str, str]:
    """API version and kind of a resource: as it says itself, else by its type (`kubernetes:core/v1:Secret`)."""
    _, module, name = token.split(":")
    return str(known.get("apiVersion") or module.removeprefix("core/")), str(known.get("kind") or name)


def _stays_in_place(token: str, old: Mapping[str, Any], new: Mapping[str, Any], urn: str) -> bool:
    """Whether the replacement has the very name of what it replaces, which then must go first."""

    def place(inputs: Mapping[str, Any]) -> tuple[Any, Any]:
        about = inputs if token == RELEASE else wire.plain(inputs.get("metadata")) or {}
        return wire.plain(about.get("namespace")), wire.plain(about.get("name"))

    logical = urn.rsplit("::", 1)[-1]
    automatic = (automatic_name(urn), f"{logical}-{digest(urn, 'name', length=8)}")
    return place(old) == place(new) and place(new)[1] not in (None, *automatic)
