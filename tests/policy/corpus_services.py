"""Storage, audit, edge, APIs and identities of the compliant stack."""

from tests.policy.corpus_parts import ACCOUNT, FLAGS, KEY_ARN, READ_ONE, REGION, ROOT_ALLOW, TLS_ONLY, Builder, document


def storage(b: Builder) -> None:
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


def edge(b: Builder) -> None:
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


def identity(b: Builder) -> None:
    b.add("aws:iam/policy:Policy", "reader", policy=document(READ_ONE))
    b.add("aws:iam/role:Role", "app-role", inlinePolicies=[{"name": "own", "policy": document(READ_ONE)}])
    b.add(
        "aws:iam/rolePolicy:RolePolicy",
        "describe",
        policy=document({"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}),
    )
