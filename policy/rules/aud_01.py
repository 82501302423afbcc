"""A trail records every region, global services and access to objects."""

from typing import Any

from policy.checks import best, forbid_false, require_set, require_true
from policy.model import CouldNotRun, Finding, Findings, Params, Resource, Stack, Violation
from policy.values import UNKNOWN, elements, look

TRAIL = "aws:cloudtrail/trail:Trail"
OBJECTS = "AWS::S3::Object"


def _selects_objects(selector: Any) -> Any:
    """Whether a selector of either kind takes S3 objects; UNKNOWN where the preview cannot tell."""
    seen = [look(one, "type") for _, one in elements(look(selector, "dataResources"), "")]
    for _, one in elements(look(selector, "fieldSelectors"), ""):
        field = look(one, "field")
        if field in ("resources.type", UNKNOWN):
            seen += [UNKNOWN if field is UNKNOWN else value for _, value in elements(look(one, "equals"), "")]
    if OBJECTS in seen:
        return True
    return UNKNOWN if UNKNOWN in seen or selector is UNKNOWN else False


def _judge(trail: Resource) -> list[Finding]:
    findings: list[Finding] = [
        *require_true(trail, "isMultiRegionTrail", "records one region only"),
        *forbid_false(trail, "enableLogging", "the trail is switched off"),
        *forbid_false(trail, "includeGlobalServiceEvents", "leaves out IAM and other global services"),
        *require_set(trail, "cloudWatchLogsGroupArn", "sends nothing where alarms could see it"),
    ]
    answers = [
        _selects_objects(selector)
        for key in ("eventSelectors", "advancedEventSelectors")
        for _, selector in elements(trail.get(key), key)
    ]
    if True in answers:
        return findings
    if UNKNOWN in answers:
        return [*findings, CouldNotRun(path="eventSelectors", urn=trail.urn)]
    return [*findings, Violation(path="eventSelectors", problem="does not record access to objects", urn=trail.urn)]


def validate(stack: Stack, _params: Params) -> Findings:
    """One trail that has it all."""
    trails = stack.of(TRAIL)
    if not trails:
        yield Violation(path="Trail", problem="there is no trail", urn=stack.urn)
    yield from best([_judge(trail) for trail in trails])
