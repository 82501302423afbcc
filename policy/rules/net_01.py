"""Every VPC records all of its traffic."""

from policy.checks import best, check, covered
from policy.model import Finding, Findings, Params, Resource, Stack
from policy.values import number

VPC = "aws:ec2/vpc:Vpc"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"


def _judge(log: Resource, interval: float) -> list[Finding]:
    return [
        *check(log, "trafficType", lambda value: value == "ALL", "records only part of the traffic"),
        *check(
            log,
            "maxAggregationInterval",
            lambda value: number(value) == interval,
            f"does not aggregate over {interval:g} seconds (absent means 600)",
        ),
    ]


def validate(stack: Stack, params: Params) -> Findings:
    """One flow log per VPC that has everything."""
    interval = number(params.get("aggregationSeconds")) or 0.0
    for vpc in stack.of(VPC):
        logs, missing = covered(stack, vpc, stack.of(FLOW_LOG), "vpcId", "has no flow log")
        yield from missing
        yield from best([_judge(log, interval) for log in logs])
