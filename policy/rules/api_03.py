"""API stages keep access logs, limit the rate and do not record payloads."""

from policy.checks import best, check, forbid_true, require_set
from policy.model import CouldNotRun, Finding, Findings, Params, Resource, Stack, Violation
from policy.values import UNKNOWN, elements, is_false, look, number

HTTP_STAGE = "aws:apigatewayv2/stage:Stage"
REST_STAGE = "aws:apigateway/stage:Stage"
SETTINGS = "aws:apigateway/methodSettings:MethodSettings"
REST_API = "aws:apigateway/restApi:RestApi"


def _limits(resource: Resource, prefix: str) -> Findings:
    for name in ("throttlingBurstLimit", "throttlingRateLimit"):
        yield from check(resource, f"{prefix}.{name}", lambda value: (number(value) or 0.0) > 0.0, "sets no limit to the rate")
    yield from forbid_true(resource, f"{prefix}.dataTraceEnabled", "writes payloads into the log")


def _routes(stage: Resource) -> Findings:
    for path, route in elements(stage.get("routeSettings"), "routeSettings"):
        trace = look(route, "dataTraceEnabled")
        if trace is UNKNOWN:
            yield CouldNotRun(path=path, urn=stage.urn)
        elif trace is not None and not is_false(trace):
            yield Violation(path=f"{path}.dataTraceEnabled", problem="writes payloads into the log", urn=stage.urn)


def _belongs(stack: Stack, settings: Resource, stage: Resource) -> bool | None:
    """Whether method settings are those of a stage: the same API, and the stage's name or the stage itself."""
    mine = stack.related(settings, "restApi", (REST_API,))
    its = stack.related(stage, "restApi", (REST_API,))
    known = settings.get("restApi"), stage.get("restApi")
    literal = known[0] == known[1] and isinstance(known[0], str)
    shared = {one.urn for one in mine.resources} & {one.urn for one in its.resources}
    if not shared and not literal:
        return False if mine.resources and its.resources else None if UNKNOWN in known else False
    name, other = settings.get("stageName"), stage.get("stageName")
    if name is not UNKNOWN and other is not UNKNOWN:
        return bool(name == other)
    return stack.refers(settings, "stageName", stage)


def _rest(stack: Stack, stage: Resource) -> list[Finding]:
    answers = [(one, _belongs(stack, one, stage)) for one in stack.of(SETTINGS)]
    whole = [one for one, answer in answers if answer and one.get("methodPath") == "*/*"]
    if whole:
        return best([list(_limits(one, "settings")) for one in whole])
    unsure = [one for one, answer in answers if answer is None or (answer and one.get("methodPath") is UNKNOWN)]
    if unsure:
        return [CouldNotRun(path="stageName", urn=one.urn) for one in unsure]
    return [Violation(path="methodSettings", problem="has no settings for */* that limit the rate", urn=stage.urn)]


def validate(stack: Stack, _params: Params) -> Findings:
    """HTTP APIs state limits on the stage, REST APIs in method settings for every path."""
    for stage in stack.of(HTTP_STAGE, REST_STAGE):
        yield from require_set(stage, "accessLogSettings.destinationArn", "keeps no access log")
    for stage in stack.of(HTTP_STAGE):
        yield from _limits(stage, "defaultRouteSettings")
        yield from _routes(stage)
    for stage in stack.of(REST_STAGE):
        yield from _rest(stack, stage)
    for settings in stack.of(SETTINGS):
        if settings.get("methodPath") != "*/*":
            yield from forbid_true(settings, "settings.dataTraceEnabled", "writes payloads into the log")
