"""No route of an API is open to callers without an identity."""

from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN


def validate(resource: Resource, _params: Params) -> Findings:
    """An authorization type other than NONE, but for the browser's OPTIONS. An API key is no identity."""
    if resource.type == "aws:apigatewayv2/route:Route":
        path, verb = "authorizationType", resource.get("routeKey")
    else:
        path, verb = "authorization", resource.get("httpMethod")
    kind = resource.get(path)
    if isinstance(verb, str) and verb.split(" ")[0] == "OPTIONS":
        return
    if kind is UNKNOWN:
        yield CouldNotRun(path=path, urn=resource.urn)
    elif not isinstance(kind, str) or kind.strip().upper() in ("", "NONE"):
        if verb is UNKNOWN:
            yield CouldNotRun(path="routeKey" if path == "authorizationType" else "httpMethod", urn=resource.urn)
        else:
            yield Violation(path=path, problem="lets callers in without an identity", urn=resource.urn)
