"""The EKS cluster of each region: version, nodes, and who may administer it."""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import Name, RoleArn, SourceCidr

LONGEST_BOOTSTRAP_DAYS = 14
PRIVATE_ENDPOINT = "the API endpoint is private; for the first `pulumi up` use bootstrap_access with cidrs, reason and expires"

# family, generation, and the attributes that tell the processor: m7g.large, c7gn.xlarge, m7i-flex.large, u-6tb1.metal
_INSTANCE_TYPE = re.compile(r"(?P<family>[a-z]+(?:-\d+tb)?)(?P<generation>\d+)(?P<attributes>[a-z]*)(?:-[a-z0-9]+)?\.[a-z0-9-]+")


def architecture(instance_type: str) -> Literal["arm64", "x86_64"]:
    """The architecture of an EC2 instance type, by AWS's naming: `g` among the attributes after the generation is Graviton.

    Raises:
        ValueError: for a name that is no EC2 instance type.
    """
    found = _INSTANCE_TYPE.fullmatch(instance_type)
    if found is None:
        msg = f"{instance_type} is not an EC2 instance type"
        raise ValueError(msg)
    is_graviton = "g" in found["attributes"] or (found["family"], found["generation"]) == ("a", "1")
    return "arm64" if is_graviton else "x86_64"


class NodeGroupSettings(Model):
    """A managed node group."""

    role: Literal["system", "workload"]
    """`system` nodes carry the platform's own pods and nothing else (a taint); `workload` nodes carry the tenants."""
    instance_types: tuple[str, ...] = Field(min_length=1)
    """EC2 instance types, one architecture, in order of preference."""
    operating_system: Literal["bottlerocket", "al2023"] = "bottlerocket"
    """Bottlerocket has no shell and a read-only root; AL2023 where a driver needs it."""
    min_size: int = Field(default=3, ge=0, le=450)
    """Nodes at least."""
    max_size: int = Field(default=6, ge=1, le=450)
    """Nodes at most."""
    disk_gib: int = Field(default=80, ge=20, le=16384)
    """Size of the encrypted gp3 volume in GiB."""

    def problems(self) -> Iterator[Problem]:
        if self.min_size > self.max_size:
            yield Problem(("min_size",), self.min_size, f"use at most max_size ({self.max_size})")
        if len(set(self.instance_types)) != len(self.instance_types):
            yield Problem(("instance_types",), list(self.instance_types), "name each instance type once")
        unknown = [name for name in self.instance_types if not _INSTANCE_TYPE.fullmatch(name)]
        for name in unknown:
            yield Problem(("instance_types",), name, "use an EC2 instance type such as m7g.large")
        if not unknown and len({architecture(name) for name in self.instance_types}) > 1:
            yield Problem(
                ("instance_types",),
                list(self.instance_types),
                "use one architecture per node group; put arm64 (Graviton) and x86_64 types in groups of their own",
            )


class AccessEntrySettings(Model):
    """A principal of the cluster. There is no other way in: the cluster's creator is no hidden administrator."""

    principal: RoleArn
    """The IAM role."""
    policy: Literal["admin", "edit", "view"]
    """The EKS access policy; `admin` is cluster-wide only for the deployer and the break-glass role."""
    namespaces: tuple[Name, ...] = ()
    """Namespaces the policy is limited to; none means the whole cluster."""


class BootstrapAccessSettings(Model):
    """Opens the API endpoint to named networks for the very first `pulumi up`, until a date.

    The ordinary path is a runner inside the VPC. After `expires` these settings do not load any more.
    """

    cidrs: tuple[SourceCidr, ...] = Field(min_length=1, max_length=4)
    """The networks that may reach the endpoint, /24 or narrower."""
    reason: str = Field(min_length=10, max_length=200)
    """Why, for the auditor."""
    expires: dt.date
    """The last day it may stand, at most 14 days ahead."""

    def problems(self) -> Iterator[Problem]:
        today = dt.datetime.now(tz=dt.UTC).date()
        if self.expires < today:
            yield Problem(
                ("expires",),
                self.expires,
                "this exception is over; remove bootstrap_access and run from inside the VPC",
            )
        if self.expires > today + dt.timedelta(days=LONGEST_BOOTSTRAP_DAYS):
            yield Problem(("expires",), self.expires, f"set a date at most {LONGEST_BOOTSTRAP_DAYS} days ahead")


class KarpenterSettings(Model):
    """Node provisioning beyond the managed groups."""

    enabled: bool = False
    """Create the interruption queue, the roles and the controller's identity."""
    cpu_limit: int = Field(default=256, ge=1, le=10000)
    """vCPUs that Karpenter may provision in a region."""


class ClusterSettings(Model):
    """What is the same in every region's cluster."""

    retired_keys = {"endpoint_public_access": PRIVATE_ENDPOINT, "public_access_cidrs": PRIVATE_ENDPOINT}  # noqa: RUF012 - ClassVar on the base

    kubernetes_version: Literal["1.34", "1.35"] = "1.35"
    """The minor version; only versions in AWS standard support."""
    node_groups: dict[Name, NodeGroupSettings] = Field(min_length=1)
    """Managed node groups by name; at least one of role system and one of role workload."""
    access: dict[Name, AccessEntrySettings] = Field(min_length=1)
    """Principals by a name of your choice."""
    bootstrap_access: BootstrapAccessSettings | None = None
    """An expiring exception for the very first `pulumi up`."""
    karpenter: KarpenterSettings = KarpenterSettings()
    """Karpenter, off by default."""
    redundancy: Literal["zones", "none"] = "zones"
    """`zones`: what others wait for has a pod in each zone. `none`: each program of the platform has one pod and each of its
    databases one instance, for a cluster that may be down; refused with assurance high."""

    def pods(self, usual: int = 3) -> int:
        """Pods of a program of the platform that has `usual` many with redundancy, one for each of three zones."""
        return usual if self.redundancy == "zones" else 1

    def problems(self) -> Iterator[Problem]:
        roles = {group.role for group in self.node_groups.values()}
        for role in sorted({"system", "workload"} - roles):
            yield Problem(("node_groups",), sorted(self.node_groups), f"add a node group with role {role}")
        seen: dict[str, str] = {}
        for name, entry in sorted(self.access.items()):
            if entry.principal in seen:
                yield Problem(
                    ("access", name, "principal"),
                    entry.principal,
                    f"{seen[entry.principal]} names this role already; EKS takes one entry each",
                )
            seen[entry.principal] = name
            if entry.policy == "edit" and not entry.namespaces:
                yield Problem(
                    ("access", name, "namespaces"), [], "list the namespaces; edit on the whole cluster is not accepted"
                )
