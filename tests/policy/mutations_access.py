"""What the controls of the edge, of APIs and of identities must catch."""

import json
from collections.abc import Iterator

from tests.policy.harness import Edit, Mutation
from tests.policy.mutation_parts import (
    ACL,
    BALANCER,
    LISTENER,
    POLICY,
    ROLE,
    added,
    allow,
    encrypted,
    facing,
    managed,
    one,
    parses_http,
)


def edge() -> Iterator[Mutation]:
    forward = [{"type": "forward", "targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b"}]
    for kind in (LISTENER, "aws:alb/listener:Listener"):
        yield added("LB-01", "anything but redirect", kind, protocol="HTTP", port=80, defaultActions=forward)
        yield added("LB-01", "neither HTTPS nor TLS", kind, protocol="TCP", port=80, defaultActions=forward)
        yield added("LB-02", "not among the approved", kind, protocol="HTTPS", port=443, defaultActions=forward)
    redirect = [{"type": "redirect", "redirect": {"statusCode": "HTTP_301"}}]
    yield added("LB-01", "anything but redirect", LISTENER, protocol="HTTP", port=80, defaultActions=redirect)
    yield added("LB-01", "answers over plain HTTP", LISTENER, protocol="HTTP", port=80)
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
    yield one("LB-03", "malformed headers", BALANCER, "dropInvalidHeaderFields", match=parses_http)
    yield one("LB-03", "different servers", BALANCER, "desyncMitigationMode", "monitor", match=parses_http)
    yield one("LB-03", "deleted by one call", BALANCER, "enableDeletionProtection", value=False)
    yield one("LB-03", "keeps no access log", BALANCER, "accessLogs.enabled", value=False)
    yield one("LB-03", "has no bucket", BALANCER, "accessLogs.bucket", "")
    yield one("LB-04", "without a web ACL", "aws:wafv2/webAclAssociation:WebAclAssociation", every=True)
    yield added("LB-04", "without a web ACL", "aws:alb/loadBalancer:LoadBalancer", "LB-03")
    yield one("LB-04", "does not answer", BALANCER, "enableWafFailOpen", value=True, match=facing)
    group = "statement.managedRuleGroupStatement"
    yield one("WAF-01", "is missing", ACL, managed(f"{group}.name"), "AWSManagedRulesLinuxRuleSet")
    yield one("WAF-01", "only counts", ACL, managed("overrideAction"), {"count": {}})
    yield one(
        "WAF-01",
        "only counts",
        ACL,
        managed(f"{group}.ruleActionOverrides"),
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
