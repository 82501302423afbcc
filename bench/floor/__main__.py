"""The floor: as many trivial resources as the config's `count` says, through the same engine and stand-ins."""

import pulumi
from pulumi_aws import Provider
from pulumi_aws.sqs import Queue


def main() -> None:
    """Register `count` resources below one provider."""
    provider = Provider("aws", region="eu-west-1")
    for index in range(pulumi.Config("floor").require_int("count")):
        Queue(f"queue-{index}", opts=pulumi.ResourceOptions(provider=provider))


if __name__ == "__main__":
    main()
