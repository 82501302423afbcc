"""Facts the SDK's types do not carry: which inputs force a replacement, and what ids of common types look like.

The SDK does not tell which properties are fixed at creation. This table holds the common ones, as the providers'
references state them; `name`-like inputs of AWS and Vault resources are taken as fixed, which is true of nearly all of
them and never hides a replacement, though it may announce one where the service could rename in place. An empty
"replaced by" column in a preview is therefore no promise for a type that is not listed.
"""

from collections.abc import Mapping
from typing import Final

# Types whose listed inputs (first path element, or full path) cannot change in place.
FORCE_NEW: Final[Mapping[str, frozenset[str]]] = {
    token: frozenset(names.split())
    for token, names in {
        "aws:ec2/vpc:Vpc": "cidrBlock instanceTenancy ipv4IpamPoolId",
        "aws:ec2/subnet:Subnet": "vpcId cidrBlock availabilityZone availabilityZoneId ipv6Native outpostArn",
        "aws:ec2/securityGroup:SecurityGroup": "vpcId description",
        "aws:ec2/securityGroupRule:SecurityGroupRule": (
            "type fromPort toPort protocol cidrBlocks securityGroupId sourceSecurityGroupId self prefixListIds"
        ),
        "aws:ec2/natGateway:NatGateway": "subnetId allocationId connectivityType",
        "aws:ec2/routeTable:RouteTable": "vpcId",
        "aws:ec2/routeTableAssociation:RouteTableAssociation": "subnetId gatewayId",
        "aws:ec2/route:Route": "routeTableId destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId",
        "aws:ec2/vpcEndpoint:VpcEndpoint": "vpcId serviceName vpcEndpointType",
        "aws:ec2/vpcPeeringConnection:VpcPeeringConnection": "vpcId peerVpcId peerRegion peerOwnerId",
        "aws:ec2/flowLog:FlowLog": "vpcId subnetId eniId logDestination logDestinationType trafficType logFormat",
        "aws:eks/cluster:Cluster": (
            "roleArn bootstrapSelfManagedAddons accessConfig.bootstrapClusterCreatorAdminPermissions "
            "kubernetesNetworkConfig.ipFamily kubernetesNetworkConfig.serviceIpv4Cidr outpostConfig"
        ),
        "aws:eks/nodeGroup:NodeGroup": (
            "clusterName nodeGroupName nodeRoleArn subnetIds instanceTypes amiType capacityType diskSize remoteAccess"
        ),
        "aws:eks/addon:Addon": "clusterName addonName",
        "aws:eks/accessEntry:AccessEntry": "clusterName principalArn type",
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": "clusterName principalArn policyArn accessScope",
        "aws:eks/podIdentityAssociation:PodIdentityAssociation": "clusterName namespace serviceAccount",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "role policyArn",
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "url",
        "aws:kms/key:Key": "customerMasterKeySpec keyUsage multiRegion",
        "aws:s3/bucket:Bucket": "bucket bucketPrefix objectLockEnabled",
        "aws:s3/bucketV2:BucketV2": "bucket bucketPrefix objectLockEnabled",
        "aws:acm/certificate:Certificate": "domainName subjectAlternativeNames validationMethod keyAlgorithm",
        "aws:route53/record:Record": "zoneId name type setIdentifier",
        "aws:wafv2/webAcl:WebAcl": "scope",
        "aws:lb/loadBalancer:LoadBalancer": "internal loadBalancerType",
        "aws:lb/targetGroup:TargetGroup": "port protocol vpcId targetType protocolVersion",
        "aws:rds/cluster:Cluster": "clusterIdentifier engine kmsKeyId storageEncrypted masterUsername databaseName",
        "vault:index/mount:Mount": "path type",
        "vault:index/authBackend:AuthBackend": "type",
        "kubernetes:core/v1:Secret": "type",
    }.items()
}
NAME_LIKE: Final = frozenset({"name", "namePrefix", "bucket", "bucketPrefix", "identifier", "region"})
# Resources of these packages have no in-place update of anything that feeds the generated value.
ALWAYS_REPLACED: Final = frozenset({"random", "tls"})
KUBERNETES_IDENTITY: Final = frozenset({"apiVersion", "kind", "metadata.name", "metadata.namespace"})

ID_PREFIX: Final[Mapping[str, str]] = {
    "aws:ec2/vpc:Vpc": "vpc",
    "aws:ec2/subnet:Subnet": "subnet",
    "aws:ec2/securityGroup:SecurityGroup": "sg",
    "aws:ec2/securityGroupRule:SecurityGroupRule": "sgrule",
    "aws:ec2/internetGateway:InternetGateway": "igw",
    "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway": "eigw",
    "aws:ec2/natGateway:NatGateway": "nat",
    "aws:ec2/routeTable:RouteTable": "rtb",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "rtbassoc",
    "aws:ec2/eip:Eip": "eipalloc",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpce",
    "aws:ec2/vpcPeeringConnection:VpcPeeringConnection": "pcx",
    "aws:ec2/launchTemplate:LaunchTemplate": "lt",
    "aws:ec2/networkAcl:NetworkAcl": "acl",
    "aws:ec2/flowLog:FlowLog": "fl",
    "aws:ec2transitgateway/transitGateway:TransitGateway": "tgw",
    "aws:ec2transitgateway/vpcAttachment:VpcAttachment": "tgw-attach",
}
# Fields of given objects that the service fills in although the SDK annotates them as optional.
COMPUTED_FIELDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "aws:eks/cluster:Cluster": {
        "vpcConfig": ("clusterSecurityGroupId", "vpcId"),
        "kubernetesNetworkConfig": ("serviceIpv4Cidr",),
    },
}
# The id is the ARN.
ARN_ID: Final = frozenset(
    {
        "aws:acm/certificate:Certificate",
        "aws:iam/policy:Policy",
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "aws:lb/loadBalancer:LoadBalancer",
        "aws:lb/targetGroup:TargetGroup",
        "aws:lb/listener:Listener",
        "aws:sns/topic:Topic",
        "aws:secretsmanager/secret:Secret",
    }
)
# The id is the value of the first of these inputs that is given.
NAME_INPUTS: Final = ("clusterIdentifier", "nodeGroupName", "bucket", "name", "path", "role", "repository")
GLOBAL_SERVICES: Final = frozenset({"iam", "route53", "cloudfront", "organizations", "shield", "globalaccelerator"})


def forces_replacement(token: str, path: str) -> bool:
    """Whether a changed input at `path` (`a.b`, list positions removed) means a new resource."""
    package = token.split(":", 1)[0]
    first = path.split(".", 1)[0]
    if package in ALWAYS_REPLACED:
        return True
    if package == "kubernetes" and path in KUBERNETES_IDENTITY and not token.endswith(":Release"):
        return True
    fixed = FORCE_NEW.get(token, frozenset())
    return first in fixed or path in fixed or (package in ("aws", "vault") and path in NAME_LIKE)
