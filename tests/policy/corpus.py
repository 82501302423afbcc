"""A compliant stack as recorded resources: two regions' worth of spellings, one of each kind the controls read."""

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


def build() -> list[Recorded]:
    """The compliant stack."""
    b = Builder()
    _network(b)
    _storage(b)
    _edge(b)
    _identity(b)
    return b.resources


def _network(b: Builder) -> None:
    vpc = b.add("aws:ec2/vpc:Vpc", "vpc", cidrBlock="10.0.0.0/16")
    b.add(
        "aws:ec2/flowLog:FlowLog",
        "flow-log",
        links={"vpcId": vpc},
        trafficType="ALL",
        maxAggregationInterval=60,
    )
    b.add("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "default-group", links={"vpcId": vpc})
    for service in ("sts", "ecr.api", "ecr.dkr", "s3", "kms", "logs", "secretsmanager"):
        b.add(
            "aws:ec2/vpcEndpoint:VpcEndpoint",
            f"endpoint-{service}",
            links={"vpcId": vpc},
            serviceName=f"com.amazonaws.{REGION}.{service}",
            policy=document(
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "*",
                    "Resource": "*",
                    "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
                },
            ),
        )
    b.add(
        "aws:route53/resolverQueryLogConfigAssociation:ResolverQueryLogConfigAssociation", "query-log", links={"resourceId": vpc}
    )
    group = b.add("aws:route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup", "dns-firewall")
    b.add(
        "aws:route53/resolverFirewallRule:ResolverFirewallRule", "dns-block", links={"firewallRuleGroupId": group}, action="BLOCK"
    )
    b.add(
        "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation",
        "dns-vpc",
        links={"vpcId": vpc, "firewallRuleGroupId": group},
    )
    gateway = b.add("aws:ec2/internetGateway:InternetGateway", "gateway", links={"vpcId": vpc})
    private = b.add("aws:ec2/subnet:Subnet", "private-a", links={"vpcId": vpc}, mapPublicIpOnLaunch=False)
    public = b.add("aws:ec2/subnet:Subnet", "public-a", links={"vpcId": vpc}, tags={"tier": "public"})
    for subnet, name in ((private, "private"), (public, "public")):
        table = b.add("aws:ec2/routeTable:RouteTable", f"table-{name}", links={"vpcId": vpc})
        b.add(
            "aws:ec2/routeTableAssociation:RouteTableAssociation",
            f"association-{name}",
            links={"subnetId": subnet, "routeTableId": table},
        )
        if name == "public":
            b.add("aws:ec2/route:Route", "to-internet", links={"routeTableId": table, "gatewayId": gateway})
    b.add(
        "aws:ec2/securityGroup:SecurityGroup",
        "nodes",
        links={"vpcId": vpc},
        ingress=[
            {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]},
            {"protocol": "tcp", "fromPort": 1, "toPort": 65535, "cidrBlocks": ["10.0.0.0/8"]},
        ],
        egress=[
            {"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["10.0.0.0/16"]},
            {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]},
        ],
    )
    b.add(
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        "classic-in",
        type="ingress",
        protocol="tcp",
        fromPort=8443,
        toPort=8443,
        cidrBlocks=["10.0.0.0/16"],
    )
    b.add(
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        "classic-out",
        type="egress",
        protocol="tcp",
        fromPort=443,
        toPort=443,
        cidrBlocks=["0.0.0.0/0"],
    )
    b.add(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "rule-in",
        ipProtocol="tcp",
        fromPort=8443,
        toPort=8443,
        cidrIpv4="10.0.0.0/16",
    )
    b.add("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "rule-out", ipProtocol="-1", cidrIpv4="10.0.0.0/16")
    b.add("aws:ec2/managedPrefixList:ManagedPrefixList", "partners", entries=[{"cidr": "192.0.2.0/24"}])
    role = b.add("aws:iam/role:Role", "node-role", name="node-role", arn=f"arn:aws:iam::{ACCOUNT}:role/node-role")
    b.add(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "node-policy",
        links={"role": role},
        policyArn="arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
    )
    template = b.add(
        "aws:ec2/launchTemplate:LaunchTemplate",
        "node-template",
        metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 1},
        blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "kmsKeyId": KEY_ARN}}],
        networkInterfaces=[{"associatePublicIpAddress": "false"}],
    )
    b.add(
        "aws:eks/nodeGroup:NodeGroup",
        "workers",
        links={"subnetIds": [private], "nodeRoleArn": role},
        launchTemplate={"id": template.props["id"], "version": "1"},
    )
    b.add(
        "aws:eks/cluster:Cluster",
        "cluster",
        version="1.34",
        vpcConfig={"endpointPrivateAccess": True, "endpointPublicAccess": False, "subnetIds": ["private-a-id"]},
        encryptionConfig={"provider": {"keyArn": KEY_ARN}, "resources": ["secrets"]},
        enabledClusterLogTypes=["api", "audit", "authenticator", "controllerManager", "scheduler"],
        deletionProtection=True,
        upgradePolicy={"supportType": "STANDARD"},
        accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
    )
    b.add(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "tenant-access",
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
        principalArn=f"arn:aws:iam::{ACCOUNT}:role/tenant-a",
        accessScope={"type": "namespace", "namespaces": ["tenant-a"]},
    )
    b.add(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "break-glass",
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        principalArn=f"arn:aws:iam::{ACCOUNT}:role/break-glass-platform",
        accessScope={"type": "cluster"},
    )
    b.add(
        "aws:eks/accessEntry:AccessEntry",
        "tenant-entry",
        kubernetesGroups=["tenant-a"],
        principalArn=f"arn:aws:iam::{ACCOUNT}:role/tenant-a",
    )


def _storage(b: Builder) -> None:
    b.add(
        "aws:kms/key:Key",
        "key",
        enableKeyRotation=True,
        rotationPeriodInDays=365,
        deletionWindowInDays=30,
        policy=document(ROOT_ALLOW),
    )
    b.add(
        "aws:kms/key:Key",
        "signing-key",
        keyUsage="SIGN_VERIFY",
        customerMasterKeySpec="ECC_NIST_P384",
        policy=document(ROOT_ALLOW),
    )
    b.add("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock", "account-block", **FLAGS)
    for name in ("ledger", "audit"):
        bucket = b.add(
            "aws:s3/bucket:Bucket",
            name,
            bucket=name,
            tags={"purpose": name},
            forceDestroy=False,
            objectLockEnabled=name == "audit",
        )
        b.add("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", f"{name}-block", links={"bucket": bucket}, **FLAGS)
        b.add(
            "aws:s3/bucketVersioning:BucketVersioning",
            f"{name}-versioning",
            links={"bucket": bucket},
            versioningConfiguration={"status": "Enabled"},
        )
        b.add("aws:s3/bucketPolicy:BucketPolicy", f"{name}-policy", links={"bucket": bucket}, policy=document(TLS_ONLY))
        if name == "audit":
            b.add(
                "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
                "audit-lock",
                links={"bucket": bucket},
                rule={"defaultRetention": {"mode": "COMPLIANCE", "days": 365}},
            )
    b.add(
        "aws:cloudtrail/trail:Trail",
        "trail",
        isMultiRegionTrail=True,
        enableLogFileValidation=True,
        cloudWatchLogsGroupArn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:trail:*",
        eventSelectors=[{"dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3"]}]}],
    )
    b.add("aws:cloudwatch/logGroup:LogGroup", "logs", kmsKeyId=KEY_ARN, retentionInDays=365)
    b.add(
        "aws:cloudwatch/logGroup:LogGroup",
        "audit-logs",
        kmsKeyId=KEY_ARN,
        tags={"purpose": "audit"},
        deletionProtectionEnabled=True,
    )


def _edge(b: Builder) -> None:
    acl = b.add(
        "aws:wafv2/webAcl:WebAcl",
        "web-acl",
        visibilityConfig={"cloudwatchMetricsEnabled": True, "metricName": "web-acl", "sampledRequestsEnabled": True},
        rules=[
            *(
                {
                    "name": name,
                    "priority": priority,
                    "overrideAction": {"none": {}},
                    "statement": {"managedRuleGroupStatement": {"vendorName": "AWS", "name": name}},
                }
                for priority, name in enumerate(("AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"))
            ),
            {"name": "rate", "priority": 2, "action": {"block": {}}, "statement": {"rateBasedStatement": {"limit": 100}}},
        ],
    )
    b.add(
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
        "web-acl-log",
        links={"resourceArn": acl},
        redactedFields=[{"singleHeader": {"name": "authorization"}}, {"singleHeader": {"name": "cookie"}}],
    )
    balancer = b.add(
        "aws:lb/loadBalancer:LoadBalancer",
        "edge",
        loadBalancerType="application",
        internal=False,
        dropInvalidHeaderFields=True,
        desyncMitigationMode="strictest",
        enableDeletionProtection=True,
        accessLogs={"enabled": True, "bucket": "ledger"},
    )
    b.add("aws:wafv2/webAclAssociation:WebAclAssociation", "edge-acl", links={"resourceArn": balancer, "webAclArn": acl})
    b.add(
        "aws:lb/listener:Listener",
        "https",
        links={"loadBalancerArn": balancer},
        protocol="HTTPS",
        port=443,
        sslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
        defaultActions=[{"type": "forward"}],
    )
    http = b.add(
        "aws:alb/listener:Listener",
        "http",
        links={"loadBalancerArn": balancer},
        protocol="HTTP",
        port=80,
        defaultActions=[{"type": "redirect", "redirect": {"protocol": "HTTPS", "statusCode": "HTTP_301"}}],
    )
    b.add(
        "aws:lb/listenerRule:ListenerRule",
        "http-rule",
        links={"listenerArn": http},
        actions=[{"type": "redirect", "redirect": {"protocol": "HTTPS", "statusCode": "HTTP_301"}}],
    )
    rest = b.add(
        "aws:apigateway/restApi:RestApi",
        "private-api",
        endpointConfiguration={"types": "PRIVATE", "vpcEndpointIds": ["endpoint-id"]},
    )
    stage = b.add(
        "aws:apigateway/stage:Stage",
        "rest-stage",
        links={"restApi": rest},
        stageName="v1",
        accessLogSettings={"destinationArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:api"},
    )
    b.add(
        "aws:apigateway/methodSettings:MethodSettings",
        "rest-settings",
        links={"restApi": rest},
        stageName=stage.props["stageName"],
        methodPath="*/*",
        settings={"throttlingBurstLimit": 50, "throttlingRateLimit": 100},
    )
    b.add("aws:apigateway/method:Method", "get", links={"restApi": rest}, httpMethod="GET", authorization="CUSTOM")
    b.add("aws:apigateway/method:Method", "preflight", links={"restApi": rest}, httpMethod="OPTIONS", authorization="NONE")
    http_api = b.add("aws:apigatewayv2/api:Api", "http-api", protocolType="HTTP", disableExecuteApiEndpoint=True)
    b.add(
        "aws:apigatewayv2/route:Route",
        "http-route",
        links={"apiId": http_api},
        routeKey="GET /v1/accounts",
        authorizationType="JWT",
    )
    b.add(
        "aws:apigatewayv2/stage:Stage",
        "http-stage",
        links={"apiId": http_api},
        accessLogSettings={"destinationArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:api"},
        defaultRouteSettings={"throttlingBurstLimit": 50, "throttlingRateLimit": 100},
    )
    b.add(
        "aws:apigatewayv2/domainName:DomainName",
        "domain",
        domainName="api.bank.example",
        domainNameConfiguration={"securityPolicy": "TLS_1_2", "endpointType": "REGIONAL"},
    )


def _identity(b: Builder) -> None:
    b.add("aws:iam/policy:Policy", "reader", policy=document(READ_ONE))
    b.add("aws:iam/role:Role", "app-role", inlinePolicies=[{"name": "own", "policy": document(READ_ONE)}])
    b.add(
        "aws:iam/rolePolicy:RolePolicy",
        "describe",
        policy=document({"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}),
    )
