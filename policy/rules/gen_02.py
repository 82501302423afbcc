"""Every resource names its provider, and every provider its place."""

from policy.checks import strings
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN, is_set

# What ties a provider of a package to one place. Without it the environment of whoever runs the update decides.
PLACES = {"aws": "region", "kubernetes": "kubeconfig", "vault": "address"}
# Components that carry a package's name; their children have providers, they have none.
COMPONENTS = (
    "kubernetes:helm.sh/v2:Chart",
    "kubernetes:helm.sh/v3:Chart",
    "kubernetes:helm.sh/v4:Chart",
    "kubernetes:kustomize:Directory",
    "kubernetes:kustomize/v2:Directory",
    "kubernetes:yaml:ConfigFile",
    "kubernetes:yaml:ConfigGroup",
    "kubernetes:yaml/v2:ConfigFile",
    "kubernetes:yaml/v2:ConfigGroup",
)


def _region(path: str, value: object, urn: str, allowed: tuple[str, ...]) -> Findings:
    if value is UNKNOWN:
        yield CouldNotRun(path=path, urn=urn)
    elif value not in allowed:
        yield Violation(path=path, problem="is outside the regions where data may lie", urn=urn)


def validate(resource: Resource, params: Params) -> Findings:
    """The region stands on the provider and may stand on the resource; both are read."""
    package = resource.type.split(":", maxsplit=1)[0]
    if package not in PLACES or resource.type in COMPONENTS:
        return
    allowed = strings(params, "regions")
    if package == "aws" and is_set(resource.get("region")):
        yield from _region("region", resource.get("region"), resource.urn, allowed)
    provider = resource.provider
    if provider is None or not provider.name or provider.name == "default" or provider.name.startswith("default_"):
        yield Violation(path="provider", problem="falls back on a default provider", urn=resource.urn)
        return
    place = PLACES[package]
    value = provider.props.get(place)
    if not is_set(value):
        yield Violation(path=f"provider.{place}", problem="leaves the place to whoever runs the update", urn=resource.urn)
    elif package == "aws":
        yield from _region("provider.region", value, resource.urn, allowed)
