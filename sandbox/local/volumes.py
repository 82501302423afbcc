"""Volumes as EBS brings them to a cluster: a claim gets one on the node its pod was placed on, and keeps its data.

A volume is a folder of its node, which the node's driver (tools/volumes) mounts. What the class says holds: the zone's node
once a pod is placed (WaitForFirstConsumer), and with the claim's end the volume's (Delete) or its keeping (Retain). Nothing is
encrypted here and no size is enforced.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.apiclient import ApiServer, RefusedError
from sandbox.local.plan import NodePlan, RegionPlan

PROVISIONER: Final = "ebs.csi.aws.com"
_SELECTED: Final = "volume.kubernetes.io/selected-node"
_PROVISIONED: Final = "pv.kubernetes.io/provisioned-by"
_NODE: Final = "kubernetes.io/hostname"
_NOT_FOUND: Final = 404
Object = Mapping[str, Any]


def reconcile(client: ApiServer, region: RegionPlan) -> None:
    """Makes what claims wait for, and removes what nothing claims any more; called again and again.

    Raises:
        RefusedError, OSError: the server refuses or does not answer; the next call tries again.
    """
    classes = {one["metadata"]["name"]: one for one in listed(client, "/apis/storage.k8s.io/v1/storageclasses")}
    claims = listed(client, "/api/v1/persistentvolumeclaims")
    for claim in claims:
        wanted = classes.get(claim["spec"].get("storageClassName", ""))
        if wanted and wanted["provisioner"] == PROVISIONER and _waits(claim):
            node = placed(claim, wanted, region)
            if node is not None:
                _make(client, claim, wanted, node)
    for volume in listed(client, "/api/v1/persistentvolumes"):
        if _is_over(volume):
            _remove(client, volume, region)


def listed(client: ApiServer, path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The objects of a kind; none where the server does not have the kind."""
    try:
        items: list[dict[str, Any]] = client.request("GET", path, query=query)["items"]
    except RefusedError as refusal:
        if refusal.code == _NOT_FOUND:
            return []
        raise
    return items


def folder(node: NodePlan, volume: str) -> Path:
    """Where a volume's data are; a node sees its home at the same path."""
    return root(node) / volume


def root(node: NodePlan) -> Path:
    """The folder of all of a node's volumes."""
    return node.home / "volumes"


def placed(claim: Object, wanted: Object, region: RegionPlan) -> NodePlan | None:
    """The node that a claim's volume belongs on; None while its pod has no place yet."""
    nodes = {node.name: node for node in region.nodes}
    if wanted.get("volumeBindingMode") != "WaitForFirstConsumer":
        return next(iter(nodes.values()))
    return nodes.get(claim["metadata"].get("annotations", {}).get(_SELECTED, ""))


def volume_of(claim: Object, wanted: Object, node: NodePlan) -> dict[str, Any]:
    """The PersistentVolume of a claim, bound to it and to its node."""
    about, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{about['uid']}"
    here = {"matchExpressions": [{"key": _NODE, "operator": "In", "values": [node.name]}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "storageClassName": wanted["metadata"]["name"],
            "persistentVolumeReclaimPolicy": wanted.get("reclaimPolicy", "Delete"),
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": about["namespace"],
                "name": about["name"],
                "uid": about["uid"],
            },
            "csi": {"driver": PROVISIONER, "volumeHandle": name, "fsType": "ext4"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [here]}},
        },
    }


def _waits(claim: Object) -> bool:
    return not claim["spec"].get("volumeName") and "deletionTimestamp" not in claim["metadata"]


def _make(client: ApiServer, claim: Object, wanted: Object, node: NodePlan) -> None:
    volume = volume_of(claim, wanted, node)
    folder(node, volume["metadata"]["name"]).mkdir(parents=True, exist_ok=True)
    # the controller binds the two and writes into the claim's reference: what exists is left to it
    with _unless_there():
        client.request("POST", "/api/v1/persistentvolumes", volume)


@contextlib.contextmanager
def _unless_there() -> Iterator[None]:
    try:
        yield
    except RefusedError as refusal:
        if refusal.reason != "AlreadyExists":
            raise


def _is_over(volume: Object) -> bool:
    spec = volume["spec"]
    return (
        volume["metadata"].get("annotations", {}).get(_PROVISIONED) == PROVISIONER
        and volume.get("status", {}).get("phase") == "Released"
        and spec["persistentVolumeReclaimPolicy"] == "Delete"
        and "deletionTimestamp" not in volume["metadata"]
    )


def _remove(client: ApiServer, volume: Object, region: RegionPlan) -> None:
    # of the nodes one has it
    for node in region.nodes:
        shutil.rmtree(folder(node, volume["metadata"]["name"]), ignore_errors=True)
    client.request("DELETE", f"/api/v1/persistentvolumes/{volume['metadata']['name']}")
