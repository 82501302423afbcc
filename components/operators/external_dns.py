"""external-dns: records of internal names in one private hosted zone, from DNSEndpoint objects of its own namespace alone.

Services and ingresses are no source: a tenant that may write an annotation could otherwise name itself like another. Guarantees:
rights over one zone and three record types; RBAC in one namespace. Relies on: namespace external-dns, the role by pod identity,
the monitoring kinds, nodes. Policy `sync`: a record leaves with its object, since pod addresses are given out again and a stale
name would lead to somebody else; the owner's TXT record keeps it from touching what others wrote.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.names import EXTERNAL_DNS_NAMESPACE
from components.helm import install
from components.manifests import Manifest, manifest
from components.pods import pod_resources, system_placement

SERVICE_ACCOUNT: Final = "external-dns"
RECORD_TYPES: Final = ("A", "CNAME")
OWNER_PREFIX: Final = "owner-"
"""Of the TXT records that say who wrote a name; without it a CNAME and its TXT would collide."""


@dataclass(frozen=True, kw_only=True)
class ExternalDnsArgs:
    """The record keeper of one cluster."""

    region: str
    owner: str
    """The cluster's physical name: two clusters may write one zone and never each other's names."""
    domain: str
    """The zone's name."""
    zone_id: pulumi.Input[str]
    after: Sequence[pulumi.Resource]
    """Gates the release itself: the namespace, nodes and DNS, the role's association, the monitoring kinds."""


def zone_policy(zone_id: pulumi.Input[str]) -> dict[str, Any]:
    """Records of one zone, of the types it keeps; listing zones has no resource-level permission in Route 53.

    Source: external-dns documentation, tutorials/aws, and Route 53's condition keys for record sets.
    """
    prefix = "arn:aws:route53:::hostedzone/"
    zone = f"{prefix}{zone_id}" if isinstance(zone_id, str) else pulumi.Output.concat(prefix, zone_id)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Change",
                "Effect": "Allow",
                "Action": "route53:ChangeResourceRecordSets",
                "Resource": zone,
                "Condition": {
                    "ForAllValues:StringEquals": {"route53:ChangeResourceRecordSetsRecordTypes": [*RECORD_TYPES, "TXT"]},
                    "Null": {"route53:ChangeResourceRecordSetsRecordTypes": "false"},
                },
            },
            {"Sid": "Read", "Effect": "Allow", "Action": "route53:ListResourceRecordSets", "Resource": zone},
            {"Sid": "Find", "Effect": "Allow", "Action": "route53:ListHostedZones", "Resource": "*"},
        ],
    }


def dns_record(name: str, *, host: str, targets: Sequence[pulumi.Input[str]], kind: str = "A", ttl: int = 60) -> Manifest:
    """One name for external-dns to keep.

    Args:
        name: The object's name.
        host: The full name.
        targets: Addresses, or one name with kind CNAME.
        kind: A or CNAME; a ValueError for others, which its role may not write.
        ttl: Seconds.
    """
    if kind not in RECORD_TYPES:
        msg = f"{name}: a record of type {kind}; external-dns keeps {' and '.join(RECORD_TYPES)}"
        raise ValueError(msg)
    return manifest(
        "externaldns.k8s.io/v1alpha1",
        "DNSEndpoint",
        name,
        namespace=EXTERNAL_DNS_NAMESPACE,
        spec={"endpoints": [{"dnsName": host, "recordType": kind, "recordTTL": ttl, "targets": list(targets)}]},
    )


def chart_values(*, region: str, owner: str, domain: str, zone_id: pulumi.Input[str]) -> dict[str, Any]:
    """The chart's values."""
    return {
        "provider": {"name": "aws"},
        "serviceAccount": {"create": True, "name": SERVICE_ACCOUNT},  # the role's association names it
        "sources": ["crd"],
        "namespaced": True,  # a Role, not a ClusterRole
        "policy": "sync",
        "registry": "txt",
        "txtOwnerId": owner,
        "txtPrefix": OWNER_PREFIX,
        "domainFilters": [domain],
        "managedRecordTypes": list(RECORD_TYPES),
        "extraArgs": {"aws-zone-type": "private", "zone-id-filter": zone_id},
        "env": [{"name": "AWS_REGION", "value": region}],  # the metadata service is closed to pods
        "interval": "1m",
        "triggerLoopOnEvent": True,
        "logFormat": "json",
        "resources": pod_resources("50m", "64Mi", memory_limit="256Mi"),
        "serviceMonitor": {"enabled": True},
        **system_placement(),
    }


class ExternalDns(Component, token="zerotrust:operators:ExternalDns"):
    """The record keeper. `ready` gates DNSEndpoint objects."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ExternalDnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "external-dns",
            namespace=EXTERNAL_DNS_NAMESPACE,
            values=chart_values(region=args.region, owner=args.owner, domain=args.domain, zone_id=args.zone_id),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
