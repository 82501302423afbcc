"""What the controls of networks, clusters, storage and audit must catch."""

import json
from collections.abc import Iterator

from policy.client import Recorded
from tests.policy.harness import Edit, Mutation
from tests.policy.mutation_parts import (
    ALLOW_ALL,
    BUCKET,
    BUCKET_POLICY,
    CLUSTER,
    ENDPOINT,
    HALVES,
    KEY,
    ROLE,
    TEMPLATE,
    TRAIL,
    WORLD,
    added,
    allow,
    audited,
    one,
    symmetric,
)


def network() -> Iterator[Mutation]:
    flow, group = "aws:ec2/flowLog:FlowLog", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    yield one("NET-01", "has no flow log", flow, every=True)
    yield one("NET-01", "only part of the traffic", flow, "trafficType", "REJECT", every=True)
    yield one("NET-01", "does not aggregate", flow, "maxAggregationInterval", every=True)
    yield one("NET-01", "has no flow log", flow, "vpcId", "vpc-of-others", every=True)
    yield one("NET-02", "gives public addresses", "aws:ec2/subnet:Subnet", "mapPublicIpOnLaunch", value=True, also=("EKS-10",))
    yield one("NET-02", "gives public addresses", "aws:ec2/subnet:Subnet", "mapPublicIpOnLaunch", "true", also=("EKS-10",))
    yield one("NET-03", "leaves its default security group", group, every=True)
    yield one("NET-03", "has a rule", group, "ingress", [{"protocol": "-1", "self": True}])
    yield one("NET-03", "has a rule", group, "egress", [{"protocol": "-1", "cidrBlocks": WORLD}])
    service = "aws:ec2/securityGroup:SecurityGroup"
    for cidrs in (WORLD, HALVES, ["64.0.0.0/2"], ["12.0.0.0/8", "13.0.0.0/8"]):
        block = {"protocol": "tcp", "fromPort": 22.0, "toPort": 22.0, "cidrBlocks": cidrs}
        yield one("NET-04", "lets the whole world in", service, "ingress", [block])
    v6 = {"protocol": "tcp", "fromPort": 443, "toPort": 444, "ipv6CidrBlocks": ["::/0"]}
    yield one("NET-04", "lets the whole world in", service, "ingress", [v6])
    yield one("NET-04", "lets the whole world in", service, "ingress", [{"protocol": "all", "cidrBlocks": WORLD}])
    yield added(
        "NET-04",
        "lets the whole world in",
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        type="ingress",
        protocol="tcp",
        fromPort=0,
        toPort=65535,
        cidrBlocks=WORLD,
    )
    rule = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    yield added("NET-04", "lets the whole world in", rule, ipProtocol="-1", cidrIpv4="0.0.0.0/0")
    yield added("NET-04", "lets the whole world in", rule, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv6="::/0")
    yield added(
        "NET-04",
        "puts the world on a prefix list",
        "aws:ec2/managedPrefixList:ManagedPrefixList",
        entries=[{"cidr": "192.0.2.0/24"}, {"cidr": "0.0.0.0/0"}],
    )
    yield added("NET-04", "puts the world on a prefix list", "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry", cidr="::/0")
    for protocol in ("-1", "all", -1.0):
        block = {"protocol": protocol, "fromPort": 0, "toPort": 0, "cidrBlocks": WORLD}
        yield one("NET-05", "lets every protocol out", service, "egress", [block])
    block = {"protocol": "tcp", "fromPort": 0, "toPort": 65535, "ipv6CidrBlocks": ["::/0"]}
    yield one("NET-05", "lets every protocol out", service, "egress", [block])
    yield added(
        "NET-05",
        "lets every protocol out",
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        type="egress",
        protocol="-1",
        fromPort=0,
        toPort=0,
        cidrBlocks=HALVES,
    )
    yield added(
        "NET-05",
        "lets every protocol out",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        ipProtocol="-1",
        cidrIpv4="0.0.0.0/0",
    )
    for name in ("sts", "ecr.api", "ecr.dkr", "s3", "kms", "logs", "secretsmanager"):

        def serves(resource: Recorded, suffix: str = f".{name}") -> bool:
            return str(resource.props.get("serviceName")).endswith(suffix)

        yield one("NET-06", f"has no endpoint for {name}", ENDPOINT, match=serves, every=True)
    yield one("NET-06", "has no policy", ENDPOINT, "policy")
    yield one("NET-06", "allows everybody everything", ENDPOINT, "policy", json.dumps({"Statement": [ALLOW_ALL]}))
    wide = {"effect": "ALLOW", "principal": {"AWS": ["*"]}, "action": ["*:*"], "resource": ["*"]}
    yield one("NET-06", "allows everybody everything", ENDPOINT, "policy", json.dumps({"statement": wide}))
    resolver = "aws:route53/resolver"
    yield one("NET-07", "no DNS query log", f"{resolver}QueryLogConfigAssociation:ResolverQueryLogConfigAssociation", every=True)
    yield one(
        "NET-07", "no DNS firewall", f"{resolver}FirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation", every=True
    )
    yield one("NET-07", "no rule that blocks", f"{resolver}FirewallRule:ResolverFirewallRule", "action", "ALERT", every=True)


def clusters() -> Iterator[Mutation]:
    yield one("EKS-01", "public endpoint is not switched off", CLUSTER, "vpcConfig.endpointPublicAccess", value=True)
    yield one("EKS-01", "public endpoint is not switched off", CLUSTER, "vpcConfig.endpointPublicAccess")
    yield one("EKS-01", "private endpoint is not switched on", CLUSTER, "vpcConfig.endpointPrivateAccess")
    yield one("EKS-02", "secrets are not encrypted", CLUSTER, "encryptionConfig.resources", [])
    yield one("EKS-02", "secrets are not encrypted", CLUSTER, "encryptionConfig")
    yield one("EKS-02", "no customer-managed key", CLUSTER, "encryptionConfig.provider.keyArn", "")
    yield one("EKS-03", "a control-plane log is off", CLUSTER, "enabledClusterLogTypes", ["api", "audit"])
    yield one("EKS-03", "deleted by one call", CLUSTER, "deletionProtection", value=False)
    yield one("EKS-04", "not among the supported versions", CLUSTER, "version", "1.21")
    yield one("EKS-04", "not among the supported versions", CLUSTER, "version")
    yield one("EKS-04", "extended support", CLUSTER, "upgradePolicy")
    yield one("EKS-05", "aws-auth", CLUSTER, "accessConfig.authenticationMode", "API_AND_CONFIG_MAP")
    yield one("EKS-05", "hidden administrator", CLUSTER, "accessConfig.bootstrapClusterCreatorAdminPermissions")
    association = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
    admin = "arn:aws-us-gov:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    tenant = "arn:aws:iam::111122223333:role/tenant-a"
    yield added(
        "EKS-07",
        "cluster-wide rights",
        association,
        policyArn=admin,
        principalArn=tenant,
        accessScope={"type": "namespace", "namespaces": ["tenant-a"]},
    )
    yield added(
        "EKS-07",
        "cluster-wide rights",
        association,
        principalArn=tenant,
        accessScope={"type": "cluster"},
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
    )
    yield added(
        "EKS-07",
        "names no namespace",
        association,
        principalArn=tenant,
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
        accessScope={"type": "namespace", "namespaces": []},
    )
    yield added(
        "EKS-07",
        "group of the system",
        "aws:eks/accessEntry:AccessEntry",
        principalArn=tenant,
        kubernetesGroups=["system:masters"],
    )
    yield one("EKS-08", "without a session token", TEMPLATE, "metadataOptions.httpTokens", "optional")
    yield one("EKS-08", "more than one hop", TEMPLATE, "metadataOptions.httpPutResponseHopLimit", 2)
    yield one("EKS-08", "more than one hop", TEMPLATE, "metadataOptions.httpPutResponseHopLimit")
    yield added("EKS-08", "without a session token", "aws:ec2/instance:Instance", instanceType="t3.micro")
    yield one("EKS-09", "leaves the root disk", TEMPLATE, "blockDeviceMappings")
    yield one("EKS-09", "not encrypted", TEMPLATE, "blockDeviceMappings[0].ebs.encrypted", "false")
    yield one("EKS-09", "no customer-managed key", TEMPLATE, "blockDeviceMappings[0].ebs.kmsKeyId")
    yield one("EKS-09", "SSH key", TEMPLATE, "keyName", "operator")
    yield one("EKS-09", "public address", TEMPLATE, "networkInterfaces", [{"associatePublicIpAddress": "true"}])
    yield one("EKS-09", "no launch template", "aws:eks/nodeGroup:NodeGroup", "launchTemplate")
    yield one("EKS-09", "opens SSH", "aws:eks/nodeGroup:NodeGroup", "remoteAccess", {"ec2SshKey": "operator"})
    yield one(
        "EKS-10",
        "into the public subnet",
        "aws:ec2/subnet:Subnet",
        "mapPublicIpOnLaunch",
        value=True,
        every=True,
        also=("NET-02",),
    )
    yield one(
        "EKS-10",
        "not on the list",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "policyArn",
        "arn:aws:iam::aws:policy/AdministratorAccess",
        every=True,
    )


def clusters_by_role() -> Iterator[Mutation]:
    def is_node(resource: Recorded) -> bool:
        return "node" in resource.name

    inline = [{"name": "own", "policy": "{}"}]
    yield one("EKS-10", "a policy of their own", ROLE, "inlinePolicies", inline, match=is_node, also=("IAM-01", "IAM-02"))
    admin = ["arn:aws:iam::aws:policy/AdministratorAccess"]
    yield one("EKS-10", "not on the list", ROLE, "managedPolicyArns", admin, match=is_node)


def keys() -> Iterator[Mutation]:
    yield one("KMS-01", "never rotates", KEY, "enableKeyRotation", match=symmetric)
    yield one("KMS-01", "less than once a year", KEY, "rotationPeriodInDays", 366, match=symmetric)
    yield one("KMS-01", "shortens the time", KEY, "deletionWindowInDays", 7)
    yield one("KMS-01", "switched off", KEY, "isEnabled", value=False)
    yield one("KMS-02", "no policy of its own", KEY, "policy")
    yield one("KMS-02", "lets everybody use the key", KEY, "policy", json.dumps({"Statement": [ALLOW_ALL]}))
    free = {**ALLOW_ALL, "Principal": {"AWS": ["*"]}, "Condition": {"StringLike": {"aws:PrincipalOrgID": "*"}}}
    yield one("KMS-02", "lets everybody use the key", KEY, "policy", json.dumps({"Statement": free}))
    yield one(
        "KMS-02",
        "but those it names",
        KEY,
        "policy",
        allow(NotPrincipal={"AWS": "arn:aws:iam::111122223333:root"}, Action="kms:*", Resource="*"),
    )
    yield one("KMS-02", "is no JSON", KEY, "policy", "{")
    yield one("KMS-02", "skips AWS's check", KEY, "bypassPolicyLockoutSafetyCheck", value=True)


def buckets() -> Iterator[Mutation]:
    block = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    yield one("S3-01", "has no public access block", block)
    for flag in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        yield one("S3-01", "is not true", block, flag)
    yield one("S3-01", "the account has no", "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock", every=True)
    every = ("S3-01", "S3-03", "S3-04", "S3-05")
    yield added("S3-01", "has no public access block", "aws:s3/bucketV2:BucketV2", *every, bucket="planted")
    versioning = "aws:s3/bucketVersioning:BucketVersioning"
    yield one("S3-03", "keeps no former versions", versioning)
    yield one("S3-03", "is not enabled", versioning, "versioningConfiguration.status", "Suspended")
    yield one("S3-04", "has no policy", BUCKET_POLICY)
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    refuse = {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": ["S3:*"],
        "Resource": "*",
        "Condition": {"Bool": {"AWS:SecureTransport": [False]}},
    }
    stranger = {**everybody, "Principal": {"AWS": ["arn:aws:iam::999999999999:root"]}}
    yield one("S3-04", "refuse unencrypted", BUCKET_POLICY, "policy", json.dumps({"Statement": [stranger]}))
    yield one("S3-04", "lets everybody in", BUCKET_POLICY, "policy", json.dumps({"Statement": [everybody, refuse]}))
    yield one("S3-04", "not trusted", BUCKET_POLICY, "policy", json.dumps({"Statement": [stranger, refuse]}))
    others = {**everybody, "NotPrincipal": {"AWS": "arn:aws:iam::111122223333:root"}}
    del others["Principal"]
    yield one("S3-04", "but those it names", BUCKET_POLICY, "policy", json.dumps({"Statement": [others, refuse]}))
    lock = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
    yield one("S3-05", "no object lock", BUCKET, "objectLockEnabled", match=audited)
    yield one("S3-05", "has no default retention", lock, every=True)
    yield one("S3-05", "can be lifted", lock, "rule.defaultRetention.mode", "GOVERNANCE", every=True)
    yield one("S3-05", "for less than", lock, "rule.defaultRetention", {"mode": "COMPLIANCE", "days": 1}, every=True)
    yield one("S3-07", "together with the bucket", BUCKET, "forceDestroy", value=True)


def audit() -> Iterator[Mutation]:
    group = "aws:cloudwatch/logGroup:LogGroup"
    yield one("AUD-01", "there is no trail", TRAIL, every=True)
    yield one("AUD-01", "one region only", TRAIL, "isMultiRegionTrail", every=True)
    yield one("AUD-01", "switched off", TRAIL, "enableLogging", value=False, every=True)
    yield one("AUD-01", "leaves out IAM", TRAIL, "includeGlobalServiceEvents", value=False, every=True)
    yield one("AUD-01", "where alarms could see it", TRAIL, "cloudWatchLogsGroupArn", every=True)
    none = (Edit(type=TRAIL, path="eventSelectors", every=True), Edit(type=TRAIL, path="advancedEventSelectors", every=True))
    yield Mutation(control="AUD-01", says="does not record access to objects", edits=none)
    yield one("AUD-02", "log file was changed", TRAIL, "enableLogFileValidation")
    yield one("AUD-04", "no customer-managed key", group, "kmsKeyId")
    yield one("AUD-04", "kept for less than", group, "retentionInDays", 1)
    yield added("AUD-04", "never expires", group, kmsKeyId="arn:aws:kms:eu-west-1:1:key/a")
    yield added(
        "AUD-04",
        "deleted by one call",
        group,
        kmsKeyId="arn:aws:kms:eu-west-1:1:key/a",
        retentionInDays=400,
        tags={"purpose": "audit"},
    )
