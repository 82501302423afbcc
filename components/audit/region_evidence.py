"""The evidence of one region: the WORM bucket, and the landing places of what cannot write to it directly.

Relies on: the region's logs key.
"""

from dataclasses import dataclass

import pulumi

from components.audit.landing import LandingBucket, LandingBucketArgs
from components.audit.statements import Delivery, alb_log_delivery, cloudtrail_delivery, config_delivery, waf_log_delivery
from components.audit.worm import WormBucket, WormBucketArgs
from components.base import Component
from components.context import RegionContext
from components.settings.account import AuditSettings


@dataclass(frozen=True, kw_only=True)
class RegionEvidenceArgs:
    """Whose evidence, and who may clear it when its time is over."""

    context: RegionContext
    settings: AuditSettings
    key_arn: pulumi.Input[str]
    trail_arn: str
    """The environment's trail, which writes to the home region's bucket; every region's admits it, so that a region can
    become home without a change of policy."""
    custodians: tuple[str, ...]
    protect: bool


class RegionEvidence(Component, token="zerotrust:audit:RegionEvidence"):
    """The buckets, by what writes to them."""

    worm: WormBucket
    load_balancer_logs: pulumi.Output[str]
    """Bucket name."""
    web_acl_logs: pulumi.Output[str]
    """Bucket ARN."""
    config_history: pulumi.Output[str]
    """Bucket name."""
    landing_arns: tuple[pulumi.Output[str], ...]

    def __init__(self, name: str, args: RegionEvidenceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        self.worm = WormBucket(
            f"{name}-worm",
            WormBucketArgs(
                context=context,
                settings=args.settings,
                purpose="audit",
                key_arn=args.key_arn,
                custodians=args.custodians,
                deliveries=(cloudtrail_delivery(context, args.trail_arn),),
                protect=args.protect,
            ),
            opts=self.child(),
        )
        balancers = self._landing(name, args, "alb", alb_log_delivery(context), customer_key=False)
        web_acl = self._landing(name, args, "waf", waf_log_delivery(context), customer_key=True)
        config = self._landing(name, args, "config", config_delivery(context), customer_key=True)
        self.load_balancer_logs = balancers.name
        self.web_acl_logs = web_acl.arn
        self.config_history = config.name
        self.landing_arns = (balancers.arn, web_acl.arn, config.arn)
        self.register_outputs(
            {
                "load_balancer_logs": self.load_balancer_logs,
                "web_acl_logs": self.web_acl_logs,
                "config_history": self.config_history,
            }
        )

    def _landing(
        self, name: str, args: RegionEvidenceArgs, logs: str, delivery: Delivery, *, customer_key: bool
    ) -> LandingBucket:
        return LandingBucket(
            f"{name}-{logs}",
            LandingBucketArgs(
                context=args.context,
                logs=logs,
                deliveries=(delivery,),
                worm_arn=self.worm.arn,
                key_arn=args.key_arn,
                custodians=args.custodians,
                customer_key=customer_key,
                protect=args.protect,
            ),
            opts=self.child(),
        )
