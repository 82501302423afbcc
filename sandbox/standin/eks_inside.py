"""What the `eks` cluster component puts into the cluster itself: the aws-auth map and storage classes."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (bool, int)) else str(value)


def _mappings(kind: str, given: Any, more: Any) -> pulumi.Output[str]:
    """The text of aws-auth's mapRoles or mapUsers; JSON, which YAML readers take."""
    return pulumi.Output.all(given or [], more).apply(
        lambda known: json.dumps(
            [
                {f"{kind}arn": entry[f"{kind}Arn"], "username": entry["username"], "groups": entry["groups"]}
                for entry in [*known[0], *known[1]]
            ]
        )
    )


def aws_auth(name: str, roles: list[Any], args: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
    """The ConfigMap `<name>-nodeAccess`, for clusters that still map roles by it."""
    instance = pulumi.Output.all(*[role.arn for role in roles]).apply(
        lambda arns: [
            {
                "roleArn": arn,
                "username": "system:node:{{EC2PrivateDNSName}}",
                "groups": ["system:bootstrappers", "system:nodes"],
            }
            for arn in arns
        ]
    )
    data = {"mapRoles": _mappings("role", args.get("roleMappings"), instance)}
    if args.get("userMappings"):
        data["mapUsers"] = _mappings("user", args["userMappings"], [])
    k8s.core.v1.ConfigMap(
        f"{name}-nodeAccess",
        immutable=False,
        metadata={
            "name": "aws-auth",
            "namespace": "kube-system",
            "annotations": {"pulumi.com/patchForce": "true"},
        },
        data=data,
        opts=opts,
    )


def storage_classes(name: str, classes: Any, parent: pulumi.Resource, provider: k8s.Provider) -> None:
    """One storage class per key, `<name>-<key>`; a bare text is a default class of that volume type."""
    if isinstance(classes, str):
        classes = {classes: {"type": classes, "default": True}}
    for key, entry in classes.items():
        parameters = {"type": entry["type"]}
        for option in ("encrypted", "iopsPerGb", "kmsKeyId"):
            if entry.get(option) is not None:
                parameters[option] = pulumi.Output.from_input(entry[option]).apply(_as_text)
        metadata: Any = dict(entry.get("metadata") or {})
        if entry.get("default"):
            mark = {"storageclass.kubernetes.io/is-default-class": "true"}
            metadata["annotations"] = {**(metadata.get("annotations") or {}), **mark}
        k8s.storage.v1.StorageClass(
            f"{name.lower()}-{key}",
            metadata=metadata,
            provisioner="kubernetes.io/aws-ebs",
            parameters=parameters,
            allow_volume_expansion=entry.get("allowVolumeExpansion"),
            mount_options=entry.get("mountOptions"),
            reclaim_policy=entry.get("reclaimPolicy"),
            volume_binding_mode=entry.get("volumeBindingMode"),
            opts=pulumi.ResourceOptions(parent=parent, provider=provider),
        )
