"""Cilium in ENI mode: the network plug-in, the service load balancer and the network policy engine of a cluster.

Guarantees: pods have VPC addresses and only Cilium's programs carry their packets; traffic between nodes is encrypted by
WireGuard and what arrives in the clear from another pod is dropped; Hubble's certificates are made inside the cluster, so a
render changes nothing. Relies on: the pod identity agent and the operator's role before the release, and node groups after it:
they carry the taint that keeps every pod away until the agent has taken the node, so nothing here is waited for.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components import names
from components.base import Component
from components.context import RegionContext
from components.graph.names import SYSTEM_NAMESPACE
from components.helm import install
from components.pods import SYSTEM_TOLERATION, pod_resources, system_placement

OPERATOR_SERVICE_ACCOUNT: Final = "cilium-operator"
"""The chart's own name; the association of the operator's role names it."""
NOT_READY_TAINT: Final = "node.cilium.io/agent-not-ready"
"""What the node groups start with and the agent removes."""
CLUSTER_TAG: Final = "zerotrust-cluster"
"""On every interface the operator makes; it may delete those and no other."""
NAME_LIMIT: Final = 32
LARGEST_ENI_ID: Final = 127
"""128 to 255 collide with connection marks in ENI mode; the chart refuses them."""
METRICS: Final = (
    "dns",
    "drop:sourceContext=workload;destinationContext=workload",
    "tcp",
    "flow",
    "port-distribution",
    "policy:sourceContext=workload;destinationContext=workload",
)
EXPORTED: Final = ("DROPPED", "ERROR", "AUDIT")
EXPORT_FILE: Final = "/var/run/cilium/hubble/denied.log"


@dataclass(frozen=True, kw_only=True)
class CiliumArgs:
    """One cluster's Cilium."""

    context: RegionContext
    endpoint: pulumi.Input[str]
    """The API server's URL, `https://…`."""
    after: Sequence[pulumi.Resource]
    """Gates the release itself: the pod identity agent, the operator's association, the monitoring kinds."""
    cluster_id: int = 0
    """1 to 127 once clusters are meshed; 0 while each stands alone."""


def cluster_name(context: RegionContext) -> str:
    """Cilium's name for the cluster: at most 32 characters, in Hubble's flows and on the operator's interfaces."""
    return names.bounded(NAME_LIMIT, context.organization, context.environment, context.region)


def operator_policy(context: RegionContext, *, cluster: str, vpc_arn: pulumi.Input[str]) -> dict[str, Any]:
    """What the operator needs to give nodes interfaces and pods addresses, in this VPC and for this cluster's nodes alone.

    Actions as Cilium's documentation lists them for ENI mode (network/concepts/ipam/eni, required privileges); describing has
    no resource-level permission in EC2.

    Args:
        context: Account and region.
        cluster: The EKS cluster's physical name, which EKS and Karpenter tag every node with.
        vpc_arn: The VPC.
    """

    def arn(kind: str) -> str:
        return context.arn("ec2", f"{kind}/*")

    ours = {"StringEquals": {f"aws:ResourceTag/{CLUSTER_TAG}": cluster_name(context)}}
    in_vpc = {"ArnEquals": {"ec2:Vpc": vpc_arn}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Describe",
                "Effect": "Allow",
                "Action": [
                    "ec2:DescribeInstanceTypes",
                    "ec2:DescribeManagedPrefixLists",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeRouteTables",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcs",
                ],
                "Resource": "*",
            },
            {
                "Sid": "ReadPrefixLists",
                "Effect": "Allow",
                "Action": "ec2:GetManagedPrefixListEntries",
                "Resource": [arn("prefix-list"), f"arn:aws:ec2:{context.region}:aws:prefix-list/*"],
            },
            {
                "Sid": "CreateHere",
                "Effect": "Allow",
                "Action": "ec2:CreateNetworkInterface",
                "Resource": [arn("subnet"), arn("security-group")],
                "Condition": in_vpc,
            },
            {
                "Sid": "CreateTagged",
                "Effect": "Allow",
                "Action": "ec2:CreateNetworkInterface",
                "Resource": arn("network-interface"),
                "Condition": {"StringEquals": {f"aws:RequestTag/{CLUSTER_TAG}": cluster_name(context)}},
            },
            {
                "Sid": "TagAtCreation",
                "Effect": "Allow",
                "Action": "ec2:CreateTags",
                "Resource": arn("network-interface"),
                "Condition": {"StringEquals": {"ec2:CreateAction": "CreateNetworkInterface"}},
            },
            {
                "Sid": "AttachToNodes",
                "Effect": "Allow",
                "Action": ["ec2:AttachNetworkInterface", "ec2:ModifyNetworkInterfaceAttribute"],
                "Resource": arn("instance"),
                "Condition": {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster}": "owned"}},
            },
            {
                "Sid": "AttachOwn",
                "Effect": "Allow",
                "Action": [
                    "ec2:AttachNetworkInterface",
                    "ec2:DeleteNetworkInterface",
                    "ec2:ModifyNetworkInterfaceAttribute",
                ],
                "Resource": arn("network-interface"),
                "Condition": ours,
            },
            {
                # A node's first interface is EC2's, without our tag, and carries pods too.
                "Sid": "Addresses",
                "Effect": "Allow",
                "Action": ["ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"],
                "Resource": arn("network-interface"),
                "Condition": in_vpc,
            },
        ],
    }


def _datapath(context: RegionContext, api_host: pulumi.Input[str]) -> dict[str, Any]:
    tags = {CLUSTER_TAG: cluster_name(context)}
    return {
        # Without kube-proxy nothing answers the service address yet: the agent asks the API server by its own name.
        "k8sServiceHost": api_host,
        "k8sServicePort": "443",
        "kubeProxyReplacement": "true",
        "eni": {
            "enabled": True,
            "awsReleaseExcessIPs": True,  # addresses a node no longer uses go back to its zone's subnet
            # Prefixes would fit more pods on a node, and the L7 proxy times out across nodes with them (cilium#43493).
            "awsEnablePrefixDelegation": False,
            "eniTags": tags,
            "gcTags": tags,
        },
        "ipam": {"mode": "eni"},
        "routingMode": "native",
        "endpointRoutes": {"enabled": True},
        # Peers, flow logs and security groups see the pod's own address; the NAT gateways do the rest.
        "enableIPv4Masquerade": False,
        "cni": {"exclusive": False},  # istio-cni chains itself behind Cilium; exclusive would remove it again
        # Translating a pod's connect() would hide the service address from its sidecar, and with it the sidecar's rules.
        "socketLB": {"enabled": True, "hostNamespaceOnly": True},
        "agentNotReadyTaintKey": NOT_READY_TAINT,
        "bpf": {"lbExternalClusterIP": False},  # service addresses are reachable from inside the cluster only
    }


def _protection() -> dict[str, Any]:
    return {
        "encryption": {
            "enabled": True,
            "type": "wireguard",
            # Between nodes there is the API server's and kubelet's own TLS; this mode is a beta.
            "nodeEncryption": False,
            "strictMode": {
                # Drops what another pod sent around the tunnel; load balancers' and endpoints' packets are not pods'.
                "ingress": {"enabled": True},
                # Knows one network in which everything must be encrypted. Pods share theirs with the internal load balancer
                # and with other regions' answers, whose packets it would drop.
                "egress": {"enabled": False},
            },
        },
        # A pod no policy selects may talk: the cluster-wide default deny is an object, reviewed and with named exceptions, and
        # `always` would cut CoreDNS and the operators off before that object can exist.
        "policyEnforcementMode": "default",
        "l7Proxy": True,  # DNS rules need it; HTTP rules are the mesh's, and would break its mTLS
        # A refused name makes some resolvers wait and retry; "no such name" ends the look-up.
        "dnsProxy": {"dnsRejectResponseCode": "nameError"},
        "authentication": {"enabled": False},  # identities are SPIRE's; this one is deprecated
        "secretsNamespaceLabels": {"pod-security.kubernetes.io/enforce": "restricted"},  # the one namespace the chart makes
        "clustermesh": {"useAPIServer": False},  # regions meet at the mesh's gateways, with mTLS end to end
        "ingressController": {"enabled": False},
        "gatewayAPI": {"enabled": False},
    }


def _hubble() -> dict[str, Any]:
    placement = system_placement()
    return {
        "enabled": True,
        "tls": {
            "enabled": True,
            # A Job and a CronJob make the certificates: `helm` makes new keys at each render and keeps them in the release,
            # `certmanager` needs cert-manager, which needs this network first.
            "auto": {"enabled": True, "method": "cronJob", "certValidityDuration": 90, "schedule": "0 3 1 * *"},
        },
        "relay": {
            "enabled": True,
            "replicas": 2,
            "rollOutPods": True,
            "resources": pod_resources("50m", "128Mi"),
            "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
            "prometheus": {"enabled": True},
            **placement,
        },
        "ui": {"enabled": True, "rollOutPods": True, "ingress": {"enabled": False}, **placement},  # by port-forward only
        "metrics": {
            "enabled": list(METRICS),
            "enableOpenMetrics": True,
            "serviceMonitor": {"enabled": True},
        },
        # URLs carry account numbers; the user part of one may carry a password.
        "redact": {"enabled": True, "http": {"urlQuery": True, "userInfo": True}},
        "dropEventEmitter": {"enabled": True, "reasons": ["auth_required", "policy_denied"]},
        "export": {
            "static": {
                "enabled": True,
                "filePath": EXPORT_FILE,
                "allowList": [json.dumps({"verdict": list(EXPORTED)})],
                "fileMaxSizeMb": 50,
                "fileMaxBackups": 5,
                "fileCompress": True,
            }
        },
    }


def _operator() -> dict[str, Any]:
    return {
        "replicas": 2,
        "rollOutPods": True,
        "resources": pod_resources("100m", "256Mi", memory_limit="512Mi"),
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
        "prometheus": {"enabled": True, "serviceMonitor": {"enabled": True}},
        "nodeSelector": system_placement()["nodeSelector"],
        # It gives the first node its addresses, so it must run on a node that is not ready yet.
        "tolerations": [
            dict(SYSTEM_TOLERATION),
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
            {"key": "node.cloudprovider.kubernetes.io/uninitialized", "operator": "Exists"},
        ],
        # Pods that started without Cilium would have no policy: restarted.
        "unmanagedPodWatcher": {"restart": True},
    }


def chart_values(context: RegionContext, *, api_host: pulumi.Input[str], cluster_id: int = 0) -> dict[str, Any]:
    """The chart's values; `api_host` is the API server's name without a scheme.

    Raises:
        ValueError: for a cluster id that ENI mode cannot have.
    """
    if not 0 <= cluster_id <= LARGEST_ENI_ID:
        msg = f"cluster id {cluster_id}: ENI mode takes 1 to {LARGEST_ENI_ID}, and 0 for a cluster that stands alone"
        raise ValueError(msg)
    monitor: Mapping[str, Any] = {"enabled": True, "trustCRDsExist": True}
    return {
        "cluster": {"name": cluster_name(context), "id": cluster_id},
        "upgradeCompatibility": "1.20",  # the first version installed; defaults of later ones come with a decision
        **_datapath(context, api_host),
        **_protection(),
        "hubble": _hubble(),
        "operator": _operator(),
        "certgen": {"tolerations": [dict(SYSTEM_TOLERATION)]},
        "prometheus": {"enabled": True, "serviceMonitor": dict(monitor)},
        "rollOutCiliumPods": True,  # an agent that runs with old settings enforces old rules
        "resources": pod_resources("200m", "512Mi", memory_limit="2Gi"),
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
    }


class Cilium(Component, token="zerotrust:cni:Cilium"):
    """The network of a cluster. `ready` gates node groups; policies wait for nodes, since the operator brings their kinds."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: CiliumArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        api_host = pulumi.Output.from_input(args.endpoint).apply(lambda url: url.removeprefix("https://"))
        release = install(
            f"{name}-release",
            "cilium",
            namespace=SYSTEM_NAMESPACE,
            values=chart_values(args.context, api_host=api_host, cluster_id=args.cluster_id),
            skip_await=True,
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
