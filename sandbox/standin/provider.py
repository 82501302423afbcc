"""A stand-in's answers to the engine: check, diff, create, update, delete, read, invoke, configuration."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.live.outputs import CLUSTER, running_outputs
from sandbox.live.running import VARIABLE
from sandbox.standin import wire
from sandbox.standin.checking import Failure, check_object, parsed_config
from sandbox.standin.difference import diff_response
from sandbox.standin.invokes import RefusedError, invoke
from sandbox.standin.outputs import ACCOUNT, DEFAULT_REGION, Identity, digest, outputs
from sandbox.standin.schema import Schema, UnknownTypeError, package_version, provider_schema, resource_schema
from sandbox.standin.special import published_outputs

DRIFT_VARIABLE: Final = "ZEROTRUST_STANDIN_DRIFT"
_AUTONAMED: Final = frozenset({"aws", "vault"})
# Types whose automatic name goes into another input than `name`.
_NAMED_BY: Final = {"aws:s3/bucket:Bucket": "bucket", "aws:s3/bucketV2:BucketV2": "bucket"}


def token_of(urn: str) -> str:
    """The type of a resource, without its parents'."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def planted_drift(urn: str, file: str) -> dict[str, Any] | None:
    """What a test planted for a URN: properties that changed behind the engine's back, or None: the resource is gone.

    The file maps URNs to an object of camelCase properties or to null; it need not exist.
    """
    path = Path(file)
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8")).get(urn, {})
    return None if found is None else dict(found)


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """The stand-in of one package. Holds one provider instance's configuration: each instance has a server of its own.

    `drift` names a file of planted drift; by default the one that `ZEROTRUST_STANDIN_DRIFT` names. `live` names what is
    running, by default what `ZEROTRUST_SANDBOX` names: where clusters run, this account's are those.
    """

    def __init__(self, package: str, engine_address: str, drift: str | None = None, live: str | None = None) -> None:
        self.package = package
        self.drift = os.environ.get(DRIFT_VARIABLE, "") if drift is None else drift
        self.live = os.environ.get(VARIABLE, "") if live is None else live
        self.greeting = f"{package}: a stand-in answers for this provider; nothing is created anywhere"
        self.engine_address = engine_address
        self.region = DEFAULT_REGION
        self.account = ACCOUNT

    # Provider configuration -------------------------------------------------------------------------------------

    def Handshake(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """What the protocol version of this stand-in supports."""
        return pb.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """The version of the installed SDK: the stand-in knows what that SDK knows."""
        return plugin_pb2.PluginInfo(version=package_version(self.package))

    def GetSchema(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """A schema without types: nothing generates code from a stand-in."""
        return pb.GetSchemaResponse(schema=json.dumps({"name": self.package}))

    def CheckConfig(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Refuses unknown or ill-typed provider settings, and AWS without a region."""
        news = wire.from_struct(request.news)
        schema = provider_schema(self.package)
        failures = list(check_object(schema, parsed_config(schema, news, json.loads)))
        if self.package == "aws" and news.get("region") is None:
            failures.append(Failure("region", "the AWS provider needs a region: set it on the provider or aws:region"))
        return pb.CheckResponse(inputs=request.news, failures=[_failure(failure) for failure in failures])

    def DiffConfig(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Provider settings change in place, except an AWS region."""
        old, new = wire.from_struct(request.old_inputs), wire.from_struct(request.news)
        response = diff_response(f"pulumi:providers:{self.package}", old, new, own_name=False)
        if self.package == "aws" and "region" in response.diffs and "region" not in response.replaces:
            response.replaces.append("region")
        return response

    def Configure(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Takes region and account from the provider's settings and says that this is a stand-in."""
        config = parsed_config(provider_schema(self.package), wire.from_struct(request.args), json.loads)
        region, accounts = config.get("region"), config.get("allowedAccountIds")
        if isinstance(region, str) and not wire.is_unknown(region):
            self.region = region
        if isinstance(accounts, list) and accounts and not wire.is_unknown(accounts[0]):
            self.account = accounts[0]
        self._say(self.greeting)
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def _say(self, message: str) -> None:
        if not self.engine_address:
            return
        with grpc.insecure_channel(self.engine_address) as channel:
            engine_pb2_grpc.EngineStub(channel).Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message), timeout=5)

    # Resources --------------------------------------------------------------------------------------------------

    def Check(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Refuses what the SDK's types refuse, all at once, and fills in the automatic name."""
        token = token_of(request.urn)
        news = wire.from_struct(request.news)
        try:
            schema = resource_schema(token)
        except UnknownTypeError as error:
            return pb.CheckResponse(failures=[pb.CheckFailure(reason=str(error))])
        failures = [_failure(failure, token) for failure in check_object(schema, news)]
        if failures:
            return pb.CheckResponse(failures=failures)
        named = self._autonamed(schema, news, wire.from_struct(request.olds), request.urn)
        return pb.CheckResponse(inputs=wire.to_struct(named))

    def _autonamed(self, schema: Schema, news: dict[str, Any], olds: Mapping[str, Any], urn: str) -> dict[str, Any]:
        logical = urn.rsplit("::", 1)[-1]
        is_release = schema.token.endswith(":Release")
        if self.package in _AUTONAMED or is_release:
            key = _NAMED_BY.get(schema.token, "name")
            wants = key in schema.inputs and key not in schema.required
            if wants and news.get(key) is None and news.get(f"{key}Prefix") is None:
                return {**news, key: olds.get(key) or automatic_name(urn)}
            return news
        meta = news.get("metadata", {}) if self.package == "kubernetes" else None
        if not isinstance(meta, dict) or wire.SIGNATURE in meta or "metadata" not in schema.inputs:
            return news
        if meta.get("name") is not None or meta.get("generateName") is not None:
            return news
        old = wire.plain(olds.get("metadata"))
        name = (old or {}).get("name") if isinstance(old, dict) else None
        return {**news, "metadata": {**meta, "name": name or f"{logical}-{digest(urn, 'name', length=8)}"}}

    def Diff(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Property-level differences; what replaces comes from the evidence table."""
        new = wire.from_struct(request.news)
        old = wire.from_struct(request.old_inputs)
        token = token_of(request.urn)
        key = _NAMED_BY.get(token, "name")
        name = wire.plain(new.get(key))
        own_name = name is not None and name == wire.plain(old.get(key)) and name != automatic_name(request.urn)
        return diff_response(token, old, new, own_name=own_name)

    def _identity(self, urn: str, inputs: Mapping[str, Any]) -> Identity:
        region = wire.plain(inputs.get("region"))
        known = isinstance(region, str) and not wire.is_unknown(region)
        return Identity(
            urn=urn,
            token=token_of(urn),
            inputs=inputs,
            region=str(region) if known else self.region,
            account=self.account,
        )

    def Create(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """The outputs a created resource would have; in preview what only the provider learns is unknown."""
        who = self._identity(request.urn, wire.from_struct(request.properties))
        made = outputs(resource_schema(who.token), who, preview=request.preview)
        if self.live and not request.preview:
            made |= running_outputs(who.token, who.region, who.inputs, self.live)
        return pb.CreateResponse(id="" if request.preview else who.id, properties=wire.to_struct(made))

    def Update(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """New inputs over the outputs that were computed before."""
        olds = wire.from_struct(request.olds)
        who = self._identity(request.urn, wire.from_struct(request.news))
        schema = resource_schema(who.token)
        made = outputs(schema, who, preview=request.preview)
        computed = {key: olds[key] for key in made if key not in who.inputs and key in olds and key != "tagsAll"}
        made |= computed
        if self.live and not request.preview and who.token == CLUSTER:
            made |= running_outputs(who.token, who.region, who.inputs, self.live)
        return pb.UpdateResponse(properties=wire.to_struct(made))

    def Delete(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Nothing exists, so nothing is left."""
        return empty_pb2.Empty()

    def Read(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """The stored state with any planted drift; for a resource that is only looked up, plausible outputs."""
        drift = planted_drift(request.urn, self.drift)
        if drift is None:
            return pb.ReadResponse(id="")
        state, inputs = wire.from_struct(request.properties), wire.from_struct(request.inputs)
        if not inputs:
            token = token_of(request.urn)
            schema = resource_schema(token)
            given = {key: value for key, value in state.items() if key in schema.outputs}
            state = outputs(schema, self._identity(request.urn, given), preview=False)
            state |= published_outputs(token, request.id, request.urn)
        drifted = {key: value for key, value in drift.items() if key in inputs or key in state}
        new_inputs = {**inputs, **{key: value for key, value in drifted.items() if key in inputs}}
        return pb.ReadResponse(
            id=request.id,
            properties=wire.to_struct({**state, **drifted}),
            inputs=wire.to_struct(new_inputs),
        )

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The few functions that can be answered without a cloud; every other is refused with a sentence."""
        arguments = wire.plain(wire.from_struct(request.args))
        region = arguments.get("region") or self.region
        try:
            result = invoke(request.tok, arguments, region=region, account=self.account)
        except RefusedError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        answer: dict[str, Any] = {"return": wire.to_struct(result)}  # a keyword cannot be an argument's name
        return pb.InvokeResponse(**answer)

    def Cancel(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """No operation takes long enough to be cancelled."""
        return empty_pb2.Empty()


def automatic_name(urn: str) -> str:
    """The physical name of a resource that was given none: the logical name and seven hexadecimal digits."""
    return f"{urn.rsplit('::', 1)[-1]}-{digest(urn, 'name', length=7)}"


def _failure(failure: Failure, token: str = "") -> pb.CheckFailure:  # type: ignore[valid-type,unused-ignore]
    """The engine names the resource; the reason repeats type and path so that the sentence stands alone."""
    where = f"{token}: " if token else ""
    return pb.CheckFailure(property=failure.path, reason=f"{where}{failure.path}: {failure.reason}")
