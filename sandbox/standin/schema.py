"""What the installed SDK knows of a resource type: its inputs, which of them are required, its outputs.

Read from the SDK's classes and never written down here, so a new SDK version brings its own rules. Looked up on first
use of a type and kept: a preview of thousands of resources asks once per type.
"""

import functools
import importlib
import importlib.metadata
import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi import _types
from pulumi.runtime import rpc

MODULES: Mapping[str, str] = {
    "aws": "pulumi_aws",
    "eks": "pulumi_eks",
    "kubernetes": "pulumi_kubernetes",
    "random": "pulumi_random",
    "tls": "pulumi_tls",
    "vault": "pulumi_vault",
}
# Inputs that the SDK itself adds or that the engine's own options carry.
_CONFIG_ONLY = frozenset({"version", "pluginDownloadURL"})


class UnknownTypeError(Exception):
    """The SDK has no such resource type."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """One resource or input type. `inputs` maps camelCase names to Python types; `open` accepts names beyond them."""

    token: str
    inputs: Mapping[str, Any]
    required: frozenset[str]
    outputs: Mapping[str, Any]
    open: bool = False


def package_version(package: str) -> str:
    """The version of the installed SDK of a package, as the engine writes it."""
    return importlib.metadata.version(MODULES[package].replace("_", "-"))


@functools.cache
def _package(package: str) -> Any:
    return importlib.import_module(MODULES[package])


def _resource_class(token: str) -> type | None:
    package, module, name = token.split(":")
    root = _package(package)
    if package == "pulumi":
        return None
    for entry in rpc._RESOURCE_MODULES.get(f"{package}:{module}", []):  # noqa: SLF001  the SDK's own table
        info = typing.cast("Any", entry).mod_info
        class_name = info["classes"].get(token)
        if class_name:
            # A package may hide a module behind its configuration object (`pulumi_vault.config`).
            return typing.cast("type | None", getattr(importlib.import_module(info["fqn"]), class_name, None))
    if package == "eks" and module == "index":
        return getattr(root, name, None)
    return None


def _hints(cls: type) -> Mapping[str, Any]:
    """The SDK's own type of every property, with `Input`, `Output` and `Optional` still around it."""
    return typing.cast("Mapping[str, Any]", _types._raw_return_hints(cls))  # noqa: SLF001  no public reader exists


@functools.cache
def input_schema(cls: type) -> Schema:
    """The schema of an input class of the SDK (`...Args`).

    `required` are the constructor's parameters without a default value.
    """
    names = _types.input_type_py_to_pulumi_names(cls)
    types = _hints(cls)
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    required = {
        names[name] for name, parameter in parameters.items() if name in names and parameter.default is inspect.Parameter.empty
    }
    return Schema(
        token=cls.__name__,
        inputs={wire: types.get(wire, Any) for wire in names.values()},
        required=frozenset(required),
        outputs={},
    )


def _args_class(cls: type) -> type | None:
    """The input class of a resource: `<Name>Args`, or `<Name>InitArgs` where a nested type has taken that name."""
    module = inspect.getmodule(cls)
    for suffix in ("InitArgs", "Args"):
        found = getattr(module, cls.__name__ + suffix, None)
        if isinstance(found, type) and _types.is_input_type(found):
            return found
    return None


def _custom_resource(token: str) -> Schema:
    meta = importlib.import_module("pulumi_kubernetes.meta.v1")
    inputs = {"apiVersion": str, "kind": str, "metadata": meta.ObjectMetaArgs}
    return Schema(token=token, inputs=inputs, required=frozenset({"apiVersion", "kind"}), outputs=inputs, open=True)


@functools.cache
def resource_schema(token: str) -> Schema:
    """The schema of a resource type by its token (`aws:ec2/vpc:Vpc`).

    Kubernetes types the SDK does not know are custom resources: any property next to apiVersion, kind and metadata.

    Raises:
        UnknownTypeError: for a type the installed SDK does not have.
    """
    package = token.split(":", 1)[0]
    cls = _resource_class(token)
    if cls is None:
        if package == "kubernetes":
            return _custom_resource(token)
        msg = f"{token}: the installed {MODULES[package]} {package_version(package)} has no such resource type"
        raise UnknownTypeError(msg)
    args = _args_class(cls)
    outputs = _hints(cls)
    if args is None:
        return Schema(token=token, inputs={}, required=frozenset(), outputs=outputs, open=True)
    inner = input_schema(args)
    inputs = dict(inner.inputs)
    if package == "kubernetes":
        inputs |= dict.fromkeys(("apiVersion", "kind"), str)
    return Schema(token=token, inputs=inputs, required=inner.required, outputs=outputs)


@functools.cache
def provider_schema(package: str) -> Schema:
    """The schema of a package's provider configuration. Values arrive as JSON text where they are not strings."""
    root = _package(package)
    inner = input_schema(root.ProviderArgs)
    inputs = {**inner.inputs, **dict.fromkeys(_CONFIG_ONLY, str)}
    return Schema(token=f"pulumi:providers:{package}", inputs=inputs, required=inner.required, outputs={})


def is_resource(kind: Any) -> bool:
    """Whether a type is a resource class, whose values are references or ids."""
    return isinstance(kind, type) and issubclass(kind, pulumi.Resource)
