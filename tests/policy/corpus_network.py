"""The network and the clusters of the compliant stack."""

from tests.policy.corpus_parts import ACCOUNT, KEY_ARN, REGION, Builder, document


def network(b: Builder) -> None:
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
        principalArn=f"arn:aws:iam::{ACCOUNT}:role/security-break-glass",
        accessScope={"type": "cluster"},
    )
    b.add(
        "aws:eks/accessEntry:AccessEntry",
        "tenant-entry",
        kubernetesGroups=["tenant-a"],
        principalArn=f"arn:aws:iam::{ACCOUNT}:role/tenant-a",
    )
