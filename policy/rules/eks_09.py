"""Nodes have encrypted disks, no public address and no SSH."""

from policy.checks import forbid_set, require_set
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN, elements, is_false, is_set, is_true, look

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"


def _disks(resource: Resource) -> Findings:
    disks = list(elements(resource.get("blockDeviceMappings"), "blockDeviceMappings"))
    if not disks:
        yield Violation(path="blockDeviceMappings", problem="leaves the root disk to the image's defaults", urn=resource.urn)
    for path, disk in disks:
        if disk is UNKNOWN or look(disk, "ebs") is UNKNOWN:
            yield CouldNotRun(path=path, urn=resource.urn)
            continue
        if look(disk, "ebs") is None and is_set(look(disk, "virtualName")):
            continue  # an instance store; it is encrypted by the host
        encrypted = look(disk, "ebs.encrypted")
        if encrypted is UNKNOWN:
            yield CouldNotRun(path=f"{path}.ebs.encrypted", urn=resource.urn)
        elif not is_true(encrypted):
            yield Violation(path=f"{path}.ebs.encrypted", problem="the disk is not encrypted", urn=resource.urn)
        if not is_set(look(disk, "ebs.kmsKeyId")):
            yield Violation(path=f"{path}.ebs.kmsKeyId", problem="no customer-managed key is named", urn=resource.urn)


def _interfaces(resource: Resource) -> Findings:
    for path, interface in elements(resource.get("networkInterfaces"), "networkInterfaces"):
        public = look(interface, "associatePublicIpAddress")
        if public is UNKNOWN:
            yield CouldNotRun(path=f"{path}.associatePublicIpAddress", urn=resource.urn)
        elif public is not None and not is_false(public):
            yield Violation(path=f"{path}.associatePublicIpAddress", problem="the node gets a public address", urn=resource.urn)


def validate(resource: Resource, _params: Params) -> Findings:
    """The launch template carries it all, so a node group must have one."""
    if resource.type == NODE_GROUP:
        yield from require_set(resource, "launchTemplate", "has no launch template, so its disks and metadata are AWS's defaults")
        yield from forbid_set(resource, "remoteAccess", "opens SSH to the nodes")
        return
    yield from _disks(resource)
    yield from _interfaces(resource)
    yield from forbid_set(resource, "keyName", "puts an SSH key on the nodes")
