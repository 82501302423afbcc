"""Planted mistakes in the production settings, each with the key its sentence must begin with and a word of the remedy."""

import datetime as dt
from typing import Any

TOMORROW = (dt.datetime.now(tz=dt.UTC).date() + dt.timedelta(days=1)).isoformat()
YESTERDAY = (dt.datetime.now(tz=dt.UTC).date() - dt.timedelta(days=1)).isoformat()
SERVICE = "tenants/bank-a/services/api-ms"
MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: edits, the key the sentence must begin with, a word of the remedy
    "overlapping vpcs": ({"regions/eu-central-1/vpc_cidr": "10.16.0.0/17"}, "regions.eu-west-1.vpc_cidr", "overlap"),
    "services inside a vpc": (
        {"regions/eu-central-1/service_cidr": "10.17.0.0/20"},
        "regions.eu-central-1.service_cidr",
        "overlap",
    ),
    "host bits": ({"regions/eu-central-1/vpc_cidr": "10.17.0.1/16"}, "regions.eu-central-1.vpc_cidr", "host bits"),
    "public vpc": ({"regions/eu-central-1/vpc_cidr": "8.8.0.0/16"}, "regions.eu-central-1.vpc_cidr", "10.0.0.0/8"),
    "vpc too small": ({"regions/eu-central-1/vpc_cidr": "10.17.0.0/24"}, "regions.eu-central-1.vpc_cidr", "/16 to /19"),
    "no region code": (
        {"regions/frankfurt": {"vpc_cidr": "10.9.0.0/16", "service_cidr": "172.25.0.0/20"}},
        "regions.frankfurt",
        "eu-west-1",
    ),
    "two zones": ({"regions/eu-central-1/zones": ["a", "b"]}, "regions.eu-central-1.zones", "at least 3"),
    "zone twice": ({"regions/eu-central-1/zones": ["a", "b", "b"]}, "regions.eu-central-1.zones", "once"),
    "zone unknown": ({"regions/eu-central-1/zones": ["a", "b", "z"]}, "regions.eu-central-1.zones", "letters"),
    "one region with high assurance": ({"regions/eu-central-1": ..., "backup/copy_region": ...}, "regions", "second region"),
    "copies at home": ({"backup/copy_region": "eu-west-1"}, "backup.copy_region", "other than the home region"),
    "no copies with high assurance": ({"backup/copy_region": ...}, "backup.copy_region", "another region"),
    "home region elsewhere": ({"home_region": "us-east-1"}, "home_region", "eu-west-1"),
    "example trust domain": ({"identity/trust_domain_base": "bank.example"}, "identity.trust_domain_base", "of your own"),
    "trust domain with scheme": (
        {"identity/trust_domain_base": "spiffe://bank.internal"},
        "identity.trust_domain_base",
        "without scheme",
    ),
    "public endpoint": ({"cluster/endpoint_public_access": True}, "cluster.endpoint_public_access", "bootstrap_access"),
    "public endpoint to the world": (
        {"cluster/bootstrap_access": {"cidrs": ["0.0.0.0/0"], "reason": "first installation", "expires": TOMORROW}},
        "cluster.bootstrap_access.cidrs.0",
        "/24",
    ),
    "expired exception": (
        {"cluster/bootstrap_access": {"cidrs": ["192.0.2.0/28"], "reason": "first installation", "expires": YESTERDAY}},
        "cluster.bootstrap_access.expires",
        "over",
    ),
    "exception for years": (
        {"cluster/bootstrap_access": {"cidrs": ["192.0.2.0/28"], "reason": "first installation", "expires": "2099-01-01"}},
        "cluster.bootstrap_access.expires",
        "14 days",
    ),
    "exception without reason": (
        {"cluster/bootstrap_access": {"cidrs": ["192.0.2.0/28"], "reason": "x", "expires": TOMORROW}},
        "cluster.bootstrap_access.reason",
        "10 characters",
    ),
    "old kubernetes": ({"cluster/kubernetes_version": "1.29"}, "cluster.kubernetes_version", "1.35"),
    "version as number": ({"cluster/kubernetes_version": 1.35}, "cluster.kubernetes_version", "'1.35'"),
    "no system nodes": ({"cluster/node_groups/system": ...}, "cluster.node_groups", "role system"),
    "more at least than at most": (
        {"cluster/node_groups/system/min_size": 90},
        "cluster.node_groups.system.min_size",
        "max_size",
    ),
    "no deployer": ({"cluster/access/deployer": ...}, "cluster.access", "admin entry"),
    "another administrator": ({"cluster/access/auditors/policy": "admin"}, "cluster.access.auditors.policy", "choose view"),
    "user as principal": (
        {"cluster/access/auditors/principal": "arn:aws:iam::444455556666:user/eve"},
        "cluster.access.auditors.principal",
        "role",
    ),
    "same principal twice": (
        {"cluster/access/other": {"principal": "arn:aws:iam::444455556666:role/auditors", "policy": "view"}},
        "cluster.access.other.principal",
        "one entry",
    ),
    "unknown key": ({"netwrk": {}}, "netwrk", "did you mean network"),
    "unknown nested key": ({f"{SERVICE}/replica": 3}, "tenants.bank-a.services.api-ms.replica", "did you mean replicas"),
    "wrong type": ({f"{SERVICE}/replicas": "3"}, "tenants.bank-a.services.api-ms.replicas", "whole number"),
    "list for text": ({"environment": ["prod"]}, "environment", "text"),
    "mapping for list": ({f"{SERVICE}/processes": {"a": 1}}, "tenants.bank-a.services.api-ms.processes", "list"),
    "text for mapping": ({"network": "peering"}, "network", "mapping"),
    "memory without unit": ({f"{SERVICE}/memory": 256}, "tenants.bank-a.services.api-ms.memory", "256Mi"),
    "cpu without unit": ({f"{SERVICE}/cpu": "2"}, "tenants.bank-a.services.api-ms.cpu", "250m"),
    "storage without unit": ({"tenants/bank-a/databases/ledger/storage": 50}, "tenants.bank-a.databases.ledger.storage", "50Gi"),
    "svid for a day": ({"identity/x509_svid_ttl_minutes": 1440}, "identity.x509_svid_ttl_minutes", "at most 60"),
    "svid for no time": ({"identity/jwt_svid_ttl_minutes": 0}, "identity.jwt_svid_ttl_minutes", "at least 1"),
    "image by tag": ({f"{SERVICE}/image": "registry.internal/api:latest"}, "tenants.bank-a.services.api-ms.image", "digest"),
    "name taken in the tenant": (
        {"tenants/bank-a/databases/api-ms": {"storage": "1Gi"}},
        "tenants.bank-a.databases.api-ms",
        "name of its own",
    ),
    "platform namespace": ({"tenants/istio-system": {"display_name": "Mine"}}, "tenants.istio-system", "platform owns"),
    "capital tenant": ({"tenants/Bank-C": {"display_name": "C"}}, "tenants.Bank-C", "lower-case"),
    "unknown callee": (
        {"access/calls/bank-a-api-to-auth/callee": "bank-a/nobody"},
        "access.calls.bank-a-api-to-auth.callee",
        "no service nobody",
    ),
    "unknown tenant": (
        {"access/calls/bank-a-api-to-auth/caller": "bank-z/api-ms"},
        "access.calls.bank-a-api-to-auth.caller",
        "no tenant bank-z",
    ),
    "callee without tenant": (
        {"access/calls/bank-a-api-to-auth/callee": "auth-ms"},
        "access.calls.bank-a-api-to-auth.callee",
        "<tenant>/<name>",
    ),
    "call to itself": (
        {"access/calls/bank-a-api-to-auth/callee": "bank-a/api-ms"},
        "access.calls.bank-a-api-to-auth.callee",
        "another service",
    ),
    "call to a worker": (
        {"access/calls/bank-b-api-to-auth/callee": "bank-b/worker"},
        "access.calls.bank-b-api-to-auth.callee",
        "worker",
    ),
    "same pair twice": (
        {
            "access/calls/again": {
                "caller": "bank-a/api-ms",
                "callee": "bank-a/auth-ms",
                "operations": [{"methods": ["GET"], "paths": ["/x"]}],
            }
        },
        "access.calls.bank-a-api-to-auth",
        "put its operations there",
    ),
    "method star": (
        {"access/calls/bank-a-api-to-auth/operations": [{"methods": ["*"], "paths": ["/introspect"]}]},
        "access.calls.bank-a-api-to-auth.operations.0.methods.0",
        "* is not accepted",
    ),
    "path with dots": (
        {"access/calls/bank-a-api-to-auth/operations": [{"methods": ["GET"], "paths": ["/a/../b"]}]},
        "access.calls.bank-a-api-to-auth.operations.0.paths.0",
        "segment",
    ),
    "path encoded": (
        {"access/calls/bank-a-api-to-auth/operations": [{"methods": ["GET"], "paths": ["/a%2fb"]}]},
        "access.calls.bank-a-api-to-auth.operations.0.paths.0",
        "percent",
    ),
    "another tenant's data": (
        {"access/data/bank-a-trans-ledger/store": "bank-b/ledger"},
        "access.data.bank-a-trans-ledger.store",
        "own tenant",
    ),
    "one store by two edges": (
        {"access/data/again": {"service": "bank-a/trans-ms", "store": "bank-a/ledger"}},
        "access.data.bank-a-trans-ledger.store",
        "keep one",
    ),
    "egress on another port": ({"access/egress/bank-a-rates/port": 8443}, "access.egress.bank-a-rates.port", "443"),
    "a request with two routes": (
        {
            "access/routes/again": {
                "clients": ["bank-a/web"],
                "service": "bank-a/api-ms",
                "operations": [{"methods": ["GET"], "paths": ["/accounts/7"]}],
                "scopes": ["accounts.read"],
            }
        },
        "access.routes.bank-a-web",
        "one route",
    ),
    "image of another postgres": (
        {"tenants/bank-a/databases/ledger/version": "17"},
        "tenants.bank-a.databases.ledger.version",
        "images.postgres",
    ),
    "machine without a key": (
        {"tenants/bank-b/clients/partner/public_keys": {}},
        "tenants.bank-b.clients.partner.public_keys",
        "given no secret",
    ),
    "key of another curve": (
        {"tenants/bank-b/clients/partner/public_keys": {"k": {"x": "AQAB", "y": "B" * 43}}},
        "tenants.bank-b.clients.partner.public_keys.k.x",
        "P-256",
    ),
    "people without a page": (
        {"tenants/bank-a/clients/web/redirect_uris": []},
        "tenants.bank-a.clients.web.redirect_uris",
        "after they log in",
    ),
    "issuer without a realm": ({"identity/issuer": "https://id.internal/"}, "identity.issuer", "/realms/<realm>"),
    "no country": ({"identity/ca_country": "Ireland"}, "identity.ca_country", "ISO 3166"),
    "wildcard egress": ({"access/egress/bank-a-rates/host": "*.europa.eu"}, "access.egress.bank-a-rates.host", "wildcard"),
    "scope never given": ({"access/routes/bank-a-web/scopes": ["admin.all"]}, "access.routes.bank-a-web.scopes", "never given"),
    "route without usage": ({"tenants/bank-b/usage": ...}, "tenants.bank-b.usage", "usage limits"),
    "clock without zero": (
        {"access/calls/bank-a-api-to-bank-b-trans/conditions/hours/start": "5:00"},
        "access.calls.bank-a-api-to-bank-b-trans.conditions.hours.start",
        "24-hour",
    ),
    "issuer without TLS": ({"identity/issuer": "http://id.internal/realms/x"}, "identity.issuer", "https"),
    "shield without contact": ({"edge/shield": {"advanced": True}}, "edge.shield.proactive_engagement_contacts", "contact"),
    "country name": ({"edge/waf/blocked_countries": ["Ireland"]}, "edge.waf.blocked_countries", "ISO 3166"),
    "old TLS policy": ({"edge/tls_policy": "ELBSecurityPolicy-2016-08"}, "edge.tls_policy", "TLS13"),
    "slow record": ({"edge/failover": {"record_ttl_seconds": 3600}}, "edge.failover.record_ttl_seconds", "at most 60"),
    "single nat with high assurance": ({"network/nat": "single"}, "network.nat", "per_zone"),
    "governance with high assurance": ({"audit/worm_mode": "GOVERNANCE"}, "audit.worm_mode", "COMPLIANCE"),
    "short evidence": ({"audit/worm_retention_days": 30}, "audit.worm_retention_days", "365"),
    "guard off with high assurance": ({"account/guards": {"guardduty": False}}, "account.guards.guardduty", "turn it on"),
    "retention CloudWatch has not": ({"audit/log_retention_days": 1000}, "audit.log_retention_days", "CloudWatch"),
    "account too short": ({"account/id": "123"}, "account.id", "12 digits"),
    "missing account": ({"account/id": ...}, "account.id", "required"),
    "nobody is woken with high assurance": (
        {"observability/alerts/pagerduty": False},
        "observability.alerts.pagerduty",
        "turn it on",
    ),
    "a volume for tempo": ({"observability/traces": {"volume": "50Gi"}}, "observability.traces.volume", "set store to jaeger"),
    "jaeger without a volume": ({"observability/traces": {"store": "jaeger"}}, "observability.traces.volume", "100Gi"),
    "jaeger on a small volume": (
        {"observability/traces": {"store": "jaeger", "volume": "5Gi"}},
        "observability.traces.volume",
        "at least 10Gi",
    ),
    "jaeger without an image": (
        {"observability/traces": {"store": "jaeger", "volume": "50Gi"}},
        "images.jaeger",
        "by digest",
    ),
    "another store of traces": ({"observability/traces": {"store": "zipkin"}}, "observability.traces.store", "jaeger"),
    "tenant audit": ({"tenants/audit": {"display_name": "Audit"}}, "tenants.audit", "another name"),
    "writer of nobody": ({"vault/writers/bank-x": {"group": "g"}}, "vault.writers.bank-x", "name a tenant, or platform"),
    "writers by a pattern": ({"vault/writers/bank-a": {"group": "bank-*"}}, "vault.writers.bank-a.group", "without a pattern"),
    "yes for true": ({"account/guards": {"guardduty": "yes"}}, "account.guards.guardduty", "true or false"),
}
