"""What each control must catch: edits on recorded resources, one spelling each. Applied here to the compliant corpus,
and by the whole-program tests to what the real program registers; spellings a program has no resource for are ``add``ed."""

import json
from collections.abc import Iterator
from typing import Any

from policy.client import Recorded
from policy.values import look
from tests.policy.harness import DELETE, Edit, Mutation

WORLD = ["0.0.0.0/0"]
HALVES = ["0.0.0.0/1", "128.0.0.0/1"]
CLUSTER = "aws:eks/cluster:Cluster"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
ACL = "aws:wafv2/webAcl:WebAcl"
TRAIL = "aws:cloudtrail/trail:Trail"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER = "aws:lb/listener:Listener"
POLICY = "aws:iam/policy:Policy"
ROLE = "aws:iam/role:Role"
BUCKET = "aws:s3/bucket:Bucket"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
KEY = "aws:kms/key:Key"
ALLOW_ALL = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def allow(**parts: Any) -> str:
    return json.dumps({"Statement": {"Effect": "Allow", **parts}})


def symmetric(resource: Recorded) -> bool:
    return resource.props.get("keyUsage") in (None, "ENCRYPT_DECRYPT") and resource.type == KEY


def facing(resource: Recorded) -> bool:
    return resource.props.get("internal") is not True


def encrypted(resource: Recorded) -> bool:
    return resource.props.get("protocol") in ("HTTPS", "TLS")


def audited(resource: Recorded) -> bool:
    return look(resource.props, "tags.purpose") == "audit"


def one(control: str, says: str, kind: str, path: str = "", value: Any = DELETE, **more: Any) -> Mutation:
    """A mutation of a single edit."""
    also = frozenset(more.pop("also", ()))
    return Mutation(control=control, says=says, edits=(Edit(type=kind, path=path, value=value, **more),), also=also)


def added(control: str, says: str, kind: str, *also: str, **props: Any) -> Mutation:
    """A mutation that plants a new resource."""
    return one(control, says, kind, value=props, add=True, also=also)


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


def edge() -> Iterator[Mutation]:
    forward = [{"type": "forward", "targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b"}]
    for kind in (LISTENER, "aws:alb/listener:Listener"):
        yield added("LB-01", "anything but redirect", kind, protocol="HTTP", port=80, defaultActions=forward)
        yield added("LB-01", "neither HTTPS nor TLS", kind, protocol="TCP", port=80, defaultActions=forward)
        yield added("LB-02", "not among the approved", kind, protocol="HTTPS", port=443, defaultActions=forward)
    redirect = [{"type": "redirect", "redirect": {"statusCode": "HTTP_301"}}]
    yield added("LB-01", "anything but redirect", LISTENER, protocol="HTTP", port=80, defaultActions=redirect)
    plain = Edit(
        type=LISTENER,
        add=True,
        value={
            "id": "plain-id",
            "protocol": "HTTP",
            "port": 80,
            "defaultActions": [{"type": "redirect", "redirect": {"protocol": "HTTPS"}}],
        },
    )
    rule = Edit(type="aws:lb/listenerRule:ListenerRule", add=True, value={"listenerArn": "plain-id", "actions": forward})
    yield Mutation(control="LB-01", says="anything but redirect", edits=(plain, rule))
    yield one("LB-02", "not among the approved", LISTENER, "sslPolicy", "ELBSecurityPolicy-2016-08", match=encrypted)
    yield one("LB-02", "not among the approved", LISTENER, "sslPolicy", match=encrypted)
    yield one("LB-03", "malformed headers", BALANCER, "dropInvalidHeaderFields")
    yield one("LB-03", "different servers", BALANCER, "desyncMitigationMode", "monitor")
    yield one("LB-03", "deleted by one call", BALANCER, "enableDeletionProtection", value=False)
    yield one("LB-03", "keeps no access log", BALANCER, "accessLogs.enabled", value=False)
    yield one("LB-03", "has no bucket", BALANCER, "accessLogs.bucket", "")
    yield one("LB-04", "without a web ACL", "aws:wafv2/webAclAssociation:WebAclAssociation", every=True)
    yield added("LB-04", "without a web ACL", "aws:alb/loadBalancer:LoadBalancer", "LB-03")
    yield one("LB-04", "does not answer", BALANCER, "enableWafFailOpen", value=True, match=facing)
    group = "rules[0].statement.managedRuleGroupStatement"
    yield one("WAF-01", "is missing", ACL, f"{group}.name", "AWSManagedRulesLinuxRuleSet")
    yield one("WAF-01", "only counts", ACL, "rules[0].overrideAction", {"count": {}})
    yield one(
        "WAF-01",
        "only counts",
        ACL,
        f"{group}.ruleActionOverrides",
        [{"name": "NoUserAgent_HEADER", "actionToUse": {"count": {}}}],
    )
    yield one(
        "WAF-01",
        "no rate-based rule blocks",
        ACL,
        "rules",
        [{"action": {"count": {}}, "statement": {"rateBasedStatement": {"limit": 100}}}],
    )
    yield one(
        "WAF-01",
        "is missing",
        ACL,
        "ruleJson",
        json.dumps([{"Action": {"Block": {}}, "Statement": {"RateBasedStatement": {"Limit": 100}}}]),
    )
    yield one("WAF-01", "keeps no metrics", ACL, "visibilityConfig.cloudwatchMetricsEnabled", value=False)
    logging = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
    yield one("WAF-02", "logs nothing", logging, every=True)
    yield one(
        "WAF-02", "logs the header cookie", logging, "redactedFields", [{"singleHeader": {"name": "Authorization"}}], every=True
    )
    yield one("WAF-02", "logs the header authorization", logging, "redactedFields", every=True)


def apis() -> Iterator[Mutation]:
    route, method = "aws:apigatewayv2/route:Route", "aws:apigateway/method:Method"
    yield added("API-01", "without an identity", route, routeKey="GET /open", authorizationType="NONE")
    yield added("API-01", "without an identity", route, routeKey="$default")
    yield added("API-01", "without an identity", method, httpMethod="GET", authorization="none", apiKeyRequired=True)
    stage, settings = "aws:apigatewayv2/stage:Stage", "aws:apigateway/methodSettings:MethodSettings"
    limits = {"throttlingBurstLimit": 5, "throttlingRateLimit": 5}
    destination = {"destinationArn": "arn:aws:logs:eu-west-1:1:log-group:a"}
    yield added("API-03", "sets no limit", stage, accessLogSettings=destination)
    yield added("API-03", "keeps no access log", stage, defaultRouteSettings=limits)
    yield added(
        "API-03",
        "writes payloads",
        stage,
        accessLogSettings=destination,
        defaultRouteSettings={**limits, "dataTraceEnabled": True},
    )
    yield one("API-03", "no settings for */*", settings, every=True)
    yield one("API-03", "sets no limit", settings, "settings.throttlingRateLimit", -1, every=True)
    yield one("API-03", "keeps no access log", "aws:apigateway/stage:Stage", "accessLogSettings")
    yield added(
        "API-04",
        "older than 1.2",
        "aws:apigatewayv2/domainName:DomainName",
        domainName="a.bank.example",
        domainNameConfiguration={"securityPolicy": "TLS_1_0"},
    )
    yield added("API-04", "older than 1.2", "aws:apigateway/domainName:DomainName", domainName="a.bank.example")
    yield added("API-04", "round its domain", "aws:apigatewayv2/api:Api", protocolType="HTTP")
    yield added("API-04", "round its domain", "aws:apigateway/restApi:RestApi", endpointConfiguration={"types": "REGIONAL"})
    yield added(
        "API-04", "no VPC endpoint in particular", "aws:apigateway/restApi:RestApi", endpointConfiguration={"types": ["PRIVATE"]}
    )


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


def identities() -> Iterator[Mutation]:
    inline = [{"name": "own", "policy": allow(Action="*", Resource="*")}]
    everything = "every action on every resource"
    yield added("IAM-01", everything, POLICY, policy=allow(Action="*", Resource="*"))
    yield added(
        "IAM-01",
        everything,
        POLICY,
        "IAM-02",
        policy=json.dumps({"statement": [{"effect": "allow", "action": ["s3:GetObject", "*:*"], "resource": ["*"]}]}),
    )
    yield added("IAM-01", everything, "aws:iam/rolePolicy:RolePolicy", policy=allow(Action=["*"], Resource=["*"]))
    yield added("IAM-01", everything, "aws:iam/userPolicy:UserPolicy", policy=allow(Action="*", Resource="*"))
    yield added(
        "IAM-01",
        everything,
        "aws:iam/groupPolicy:GroupPolicy",
        policy={"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:*:*:*:*"}]},
    )
    yield one("IAM-01", everything, ROLE, "inlinePolicies", inline, also=("EKS-10",))
    yield added("IAM-01", "but what it names", POLICY, policy=allow(NotAction="iam:*", Resource="arn:aws:s3:::a"))
    yield added("IAM-01", "but what it names", POLICY, policy=allow(Action="s3:GetObject", NotResource="arn:aws:s3:::a"))
    for action in ("iam:*", "IAM:*", "i*:*", "kms:**", "s3"):
        yield added("IAM-02", "a whole service", POLICY, policy=allow(Action=action, Resource="arn:aws:s3:::a"))
    yield added("IAM-02", "can be confined", POLICY, policy=allow(Action="s3:GetObject", Resource="*"))
    yield added("IAM-02", "can be confined", "aws:iam/rolePolicy:RolePolicy", policy=allow(Action="ec2:D*", Resource="*"))
    for kind in ("user:User", "accessKey:AccessKey", "userLoginProfile:UserLoginProfile"):
        yield added("IAM-04", "long-lived credential", f"aws:iam/{kind}")


def general() -> Iterator[Mutation]:
    yield one("GEN-02", "outside the regions", "aws:ec2/vpc:Vpc", "region", "us-east-1")


MUTATIONS: tuple[Mutation, ...] = tuple(
    mutation for family in (network, clusters, keys, edge, apis, buckets, audit, identities, general) for mutation in family()
)
# Controls whose violation is no edit of a resource's properties; tests/policy name them one by one.
BY_OTHER_MEANS = frozenset({"GEN-05"})
