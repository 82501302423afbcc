"""The AWS Load Balancer Controller, for one thing: it keeps gateways' pods in target groups that the program owns.

Guarantees: it makes no load balancer, no security group and no rule of one. Its controllers for Services, Gateways and
accelerators are off, no IngressClass exists, and its role can register and deregister targets of the named groups and nothing
else. No ClusterRole lets a tenant write a TargetGroupBinding. Relies on: cert-manager (the webhooks' certificate), the role by
pod identity, nodes, the monitoring kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.names import SYSTEM_NAMESPACE
from components.helm import install
from components.manifests import Manifest, manifest
from components.pods import pod_resources, spread_over_zones, system_placement

SERVICE_ACCOUNT: Final = "aws-load-balancer-controller"
FEATURES: Final = {
    "ALBGatewayAPI": False,
    "EnableServiceController": False,
    "GlobalAcceleratorController": False,
    "NLBGatewayAPI": False,
}
"""What the controller would do beside target groups; it has no switch for ingresses, so no class leads to it."""


@dataclass(frozen=True, kw_only=True)
class LoadBalancerControllerArgs:
    """The controller of one cluster."""

    cluster_name: pulumi.Input[str]
    region: str
    vpc_id: pulumi.Input[str]
    after: Sequence[pulumi.Resource]
    """Gates the release itself: nodes and DNS, cert-manager, the role's association, the monitoring kinds."""


def targets_policy(target_groups: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    """What bindings of IP targets need: read, and register pods in these target groups.

    A part of the policy the controller's documentation gives for everything it can do. Describing has no resource-level
    permission; security groups are read because the controller looks for rules it once made.

    Raises:
        ValueError: without a target group, since an empty list would be an invalid statement.
    """
    if not target_groups:
        msg = "name the target groups whose targets the controller keeps"
        raise ValueError(msg)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Read",
                "Effect": "Allow",
                "Action": [
                    "ec2:DescribeAvailabilityZones",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeVpcs",
                    "elasticloadbalancing:DescribeTargetGroupAttributes",
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                ],
                "Resource": "*",
            },
            {
                "Sid": "KeepTargets",
                "Effect": "Allow",
                "Action": ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"],
                "Resource": list(target_groups),
            },
        ],
    }


def target_group_binding(
    name: str,
    *,
    namespace: str,
    service: str,
    port: int,
    target_group_arn: pulumi.Input[str],
    vpc_id: pulumi.Input[str],
) -> Manifest:
    """Keeps the pods behind a port of a Service in a target group, by their own addresses.

    `spec.networking` is left out: the program's own security groups say who reaches the pods.
    """
    return manifest(
        "elbv2.k8s.aws/v1beta1",
        "TargetGroupBinding",
        name,
        namespace=namespace,
        spec={
            "serviceRef": {"name": service, "port": port},
            "targetGroupARN": target_group_arn,
            "targetType": "ip",
            "vpcID": vpc_id,
        },
    )


def chart_values(*, cluster_name: pulumi.Input[str], region: str, vpc_id: pulumi.Input[str]) -> dict[str, Any]:
    """The chart's values."""
    return {
        "clusterName": cluster_name,
        # The metadata service is closed to pods: without these two the controller does not start.
        "region": region,
        "vpcId": vpc_id,
        "replicaCount": 2,
        "serviceAccount": {"create": True, "name": SERVICE_ACCOUNT},  # the role's association names it
        "controllerConfig": {"featureGates": dict(FEATURES)},
        "createIngressClassResource": False,
        "ingressClassParams": {"create": False},
        "disableIngressClassAnnotation": True,  # an annotation needs no IngressClass to exist
        "disableIngressGroupNameAnnotation": True,
        "enableServiceMutatorWebhook": False,  # would make every LoadBalancer service its own
        "defaultTargetType": "ip",
        "enableEndpointSlices": True,
        "enableBackendSecurityGroup": False,  # makes no security group
        "enableShield": False,
        "enableWaf": False,
        "enableWafv2": False,
        "clusterSecretsPermissions": {"allowAllSecrets": False},
        # `helm` would make a key at each render.
        "enableCertManager": True,
        # A binding that was not checked could point at any service; a pod only misses its readiness gate.
        "webhookConfig": {"ingressValdationFailurePolicy": "Fail"},
        "podMutatorWebhookConfig": {"failurePolicy": "Ignore"},
        "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "securityContext": {"capabilities": {"drop": ["ALL"]}},
        "podDisruptionBudget": {"maxUnavailable": 1},
        "topologySpreadConstraints": spread_over_zones({"app.kubernetes.io/name": "aws-load-balancer-controller"}),
        "resources": pod_resources("100m", "128Mi", memory_limit="512Mi"),
        "serviceMonitor": {"enabled": True},
        **system_placement(),
    }


class LoadBalancerController(Component, token="zerotrust:operators:LoadBalancerController"):
    """The controller. `ready` gates every TargetGroupBinding."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: LoadBalancerControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "aws-load-balancer-controller",
            namespace=SYSTEM_NAMESPACE,
            values=chart_values(cluster_name=args.cluster_name, region=args.region, vpc_id=args.vpc_id),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
