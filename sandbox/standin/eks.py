"""Stand-in of the `eks` package: its components register the children the real ones register.

Child names and types follow pulumi-eks 4: whoever writes a transform, a policy or an alias against a child finds it
under the same URN. Not stood in for: the default node group (Auto Scaling group and launch template), Fargate, EKS Auto
Mode, `NodeGroup`, `NodeGroupV2` and custom launch templates; asking for one is refused with a sentence, never ignored.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pulumi
from google.protobuf import empty_pb2
from pulumi.errors import InputPropertiesError
from pulumi.provider import ConstructResult, Provider
from pulumi.provider.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.standin import wire
from sandbox.standin.checking import check_object
from sandbox.standin.eks_cluster import Cluster
from sandbox.standin.eks_nodes import ManagedNodeGroup, NodeGroupSecurityGroup
from sandbox.standin.provider import StandIn
from sandbox.standin.schema import UnknownTypeError, package_version, resource_schema

_COMPONENTS: Final[Mapping[str, Callable[..., Any]]] = {
    "eks:index:Cluster": Cluster,
    "eks:index:ManagedNodeGroup": ManagedNodeGroup,
    "eks:index:NodeGroupSecurityGroup": NodeGroupSecurityGroup,
}


class _Components(Provider):
    """Builds a component from its inputs."""

    def construct(
        self, name: str, resource_type: str, inputs: Mapping[str, Any], options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        """Registers the component and its children with the engine.

        Raises:
            InputPropertiesError: for a component that is not stood in for.
        """
        component = _COMPONENTS.get(resource_type)
        if component is None:
            message = f"{resource_type} {name!r}: a stand-in has no such component; known: {', '.join(_COMPONENTS)}"
            raise InputPropertiesError(message, [])
        made = component(name, dict(inputs), options)
        return ConstructResult(urn=made.urn, state=made.state)


class EksStandIn(ProviderServicer):  # type: ignore[misc,unused-ignore]
    """Answers the engine for `eks`: configuration as any stand-in, `Construct` by the components."""

    def __init__(self, engine_address: str) -> None:
        super().__init__(_Components(package_version("eks"), "{}"), [], engine_address=engine_address)
        self._plain = StandIn("eks", engine_address)

    async def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuses unknown provider settings."""
        return self._plain.CheckConfig(request, context)

    async def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Settings of this provider change in place."""
        return self._plain.DiffConfig(request, context)

    async def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Says that this is a stand-in; components take secrets, resources and outputs."""
        self._plain.Configure(request, context)
        return pb.ConfigureResponse(acceptSecrets=True, acceptResources=True, acceptOutputs=True, supportsPreview=True)

    async def Delete(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Nothing exists, so nothing is left."""
        return empty_pb2.Empty()

    async def Construct(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Checks the component's inputs by the SDK's types, then registers it and its children."""
        try:
            schema = resource_schema(request.type)
            failures = list(check_object(schema, wire.from_struct(request.inputs)))
        except UnknownTypeError as error:
            failures = []
            message = str(error)
        else:
            message = f"{request.type} {request.name!r}: " + "; ".join(f"{f.path}: {f.reason}" for f in failures)
        if failures or request.type not in _COMPONENTS:
            details: Any = [{"property_path": f.path, "reason": f"{request.type}: {f.path}: {f.reason}"} for f in failures]
            if not failures:
                message = f"{request.type} {request.name!r}: no stand-in for this component ({', '.join(_COMPONENTS)})"
            status = self.create_grpc_invalid_properties_status(message, details)
            await context.abort_with_status(status)
        return await super().Construct(request, context)
