"""Parts the `eks` components share: service roles, access entries, security groups of nodes, kubeconfigs."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws


class ServiceRole(pulumi.ComponentResource):
    """A role for an AWS service with managed policies attached (`eks:index:ServiceRole`)."""

    role: aws.iam.Role

    def __init__(
        self,
        name: str,
        *,
        service: str,
        policies: Sequence[str],
        partition: pulumi.Input[str],
        actions: Sequence[str] = ("sts:AssumeRole",),
        description: str | None = None,
        tags: Any = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("eks:index:ServiceRole", name, {}, opts)
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Action": list(actions), "Effect": "Allow", "Principal": {"Service": [service]}}],
        }
        child = pulumi.ResourceOptions(parent=self)
        self.role = aws.iam.Role(
            f"{name}-role",
            description=description,
            assume_role_policy=pulumi.Output.json_dumps(document),
            tags=tags,
            opts=child,
        )
        for policy in policies:
            # The real component names an attachment after the hash of the policy's ARN in the standard partition.
            identity = f"arn:aws:iam::aws:policy/{policy}"
            mark = hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()[:8]
            aws.iam.RolePolicyAttachment(
                f"{name}-{mark}",
                policy_arn=pulumi.Output.format("arn:{0}:iam::aws:policy/{1}", partition, policy),
                role=self.role.name,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"directRole": self.role, "resolvedRole": self.role})


def access_entries(
    name: str, cluster: aws.eks.Cluster, entries: Mapping[str, Any], parent: pulumi.Resource
) -> list[aws.eks.AccessEntry]:
    """One access entry per key, `<name>-<key>`, with its policy associations `<name>-<key>-<association>` below it."""
    made = []
    for key, entry in entries.items():
        resource = aws.eks.AccessEntry(
            f"{name}-{key}",
            cluster_name=cluster.name,
            principal_arn=entry["principalArn"],
            kubernetes_groups=entry.get("kubernetesGroups"),
            user_name=entry.get("username"),
            type=entry.get("type"),
            tags=entry.get("tags"),
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[cluster]),
        )
        made.append(resource)
        for association, policy in (entry.get("accessPolicies") or {}).items():
            aws.eks.AccessPolicyAssociation(
                f"{name}-{key}-{association}",
                cluster_name=cluster.name,
                principal_arn=entry["principalArn"],
                policy_arn=policy["policyArn"],
                access_scope=policy["accessScope"],
                opts=pulumi.ResourceOptions(parent=resource, depends_on=[resource]),
            )
    return made


_RULES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "eksNodeIngressRule",
        "node",
        {"type": "ingress", "from_port": 0, "to_port": 0, "protocol": "-1", "self": True}
        | {"description": "Allow nodes to communicate with each other"},
    ),
    (
        "eksNodeClusterIngressRule",
        "from-cluster",
        {"type": "ingress", "from_port": 1025, "to_port": 65535, "protocol": "tcp"}
        | {"description": "Allow worker Kubelets and pods to receive communication from the cluster control plane"},
    ),
    (
        "eksExtApiServerClusterIngressRule",
        "from-cluster",
        {"type": "ingress", "from_port": 443, "to_port": 443, "protocol": "tcp"}
        | {
            "description": "Allow pods running extension API servers on port 443 to receive communication from "
            "cluster control plane"
        },
    ),
    (
        "eksNodeInternetEgressRule",
        "node",
        {"type": "egress", "from_port": 0, "to_port": 0, "protocol": "-1", "cidr_blocks": ["0.0.0.0/0"]}
        | {"description": "Allow internet access."},
    ),
    (
        "eksClusterIngressRule",
        "to-cluster",
        {"type": "ingress", "from_port": 443, "to_port": 443, "protocol": "tcp"}
        | {"description": "Allow pods to communicate with the cluster API Server"},
    ),
)


def node_security_group(
    name: str,
    parent: pulumi.Resource,
    *,
    vpc_id: Any,
    cluster_name: pulumi.Input[str],
    cluster_group: pulumi.Input[str],
    tags: Any,
) -> tuple[aws.ec2.SecurityGroup, aws.ec2.SecurityGroupRule]:
    """The security group of nodes and the rule that lets them reach the API server."""
    child = pulumi.ResourceOptions(parent=parent)
    all_tags = pulumi.Output.all(tags=tags, cluster=cluster_name).apply(
        lambda known: {
            "Name": f"{name}-nodeSecurityGroup",
            f"kubernetes.io/cluster/{known['cluster']}": "owned",
            **(known["tags"] or {}),
        }
    )
    group = aws.ec2.SecurityGroup(
        f"{name}-nodeSecurityGroup", vpc_id=vpc_id, revoke_rules_on_delete=True, tags=all_tags, opts=child
    )
    rule = None
    for suffix, direction, properties in _RULES:
        target = cluster_group if direction == "to-cluster" else group.id
        source = {"from-cluster": cluster_group, "to-cluster": group.id}.get(direction)
        rule = aws.ec2.SecurityGroupRule(
            f"{name}-{suffix}",
            security_group_id=target,
            source_security_group_id=source,
            **properties,
            opts=pulumi.ResourceOptions(parent=parent),
        )
    if rule is None:  # pragma: no cover  the table is not empty
        raise AssertionError
    return group, rule


def kubeconfig(cluster: aws.eks.Cluster, credentials: Any) -> pulumi.Output[dict[str, Any]]:
    """A kubeconfig that asks `aws eks get-token`; credentials may add a role or a profile."""

    def build(known: dict[str, Any]) -> dict[str, Any]:
        options = known["options"] or {}
        arguments = ["--region", known["arn"].split(":")[3], "eks", "get-token", "--cluster-name", known["name"]]
        arguments += ["--output", "json"]
        if options.get("roleArn"):
            arguments += ["--role", options["roleArn"]]
        env = [{"name": "KUBERNETES_EXEC_INFO", "value": '{"apiVersion": "client.authentication.k8s.io/v1beta1"}'}]
        if options.get("profileName"):
            env.append({"name": "AWS_PROFILE", "value": options["profileName"]})
        run = {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "aws",
            "args": arguments,
            "env": env,
        }
        server = {"server": known["endpoint"], "certificate-authority-data": known["authority"]["data"]}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "aws",
            "clusters": [{"name": "kubernetes", "cluster": server}],
            "contexts": [{"name": "aws", "context": {"cluster": "kubernetes", "user": "aws"}}],
            "users": [{"name": "aws", "user": {"exec": run}}],
        }

    return pulumi.Output.all(
        name=cluster.name,
        arn=cluster.arn,
        endpoint=cluster.endpoint,
        authority=cluster.certificate_authority.apply(lambda found: {"data": found.data}),
        options=credentials,
    ).apply(build)
