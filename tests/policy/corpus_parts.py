"""What the compliant stack is built with."""

import json
from typing import Any

from policy.client import Recorded, RecordedProvider

STACK = "urn:pulumi:prod::zerotrust::"
ROOT = f"{STACK}pulumi:pulumi:Stack::zerotrust-prod"
ACCOUNT = "111122223333"
REGION = "eu-west-1"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PROVIDER = RecordedProvider(
    type="pulumi:providers:aws",
    urn=f"{STACK}pulumi:providers:aws::{REGION}",
    name=REGION,
    props={"region": REGION, "allowedAccountIds": json.dumps([ACCOUNT])},
)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


ROOT_ALLOW = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "kms:*",
    "Resource": "*",
}
TLS_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::ledger", "arn:aws:s3:::ledger/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
READ_ONE = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::ledger/*"}
FLAGS = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)


class Builder:
    """Collects resources with deterministic URNs and ids, and the dependencies between them."""

    def __init__(self) -> None:
        self.resources: list[Recorded] = [Recorded(type="pulumi:pulumi:Stack", urn=ROOT, props={})]

    def add(self, kind: str, name: str, /, *, links: dict[str, Any] | None = None, **props: Any) -> Recorded:
        """``links`` maps a property to the resource, or resources, whose id it takes."""
        dependencies = {}
        for key, targets in (links or {}).items():
            many = isinstance(targets, list)
            listed = targets if many else [targets]
            ids = [target.props["id"] for target in listed]
            props[key] = ids if many else ids[0]
            dependencies[key] = tuple(target.urn for target in listed)
        made = Recorded(
            type=kind,
            urn=f"{STACK}{kind}::{name}",
            props={"id": f"{name}-id", **props},
            parent=ROOT,
            property_dependencies=dependencies,
            provider=PROVIDER,
        )
        self.resources.append(made)
        return made
