"""Network rules of delivery: Argo CD, the scanner, the runners.

Argo CD's repository server alone reaches the repositories, and nothing of the cluster but the cache: it reads what others wrote.
Pods of scans carry labels that the operator chooses for each; everything in its namespace is the platform's, so its rules name
the namespace. A runner deploys, so it reaches what a deployment reaches and no pod: GitHub, AWS, where the charts come from,
every region's API server and Vault. Each system has rules only where it is installed.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from components.cni.policies import CredentialAgent, Flow, Hosts, Lookups, Networks, Pods, Policy
from components.cni.policies_tenant import API_PORT, control_plane, subnets
from components.graph.model import Graph
from components.graph.names import (
    GITOPS_NAMESPACE,
    RUNNER,
    RUNNER_CONTROLLER_NAMESPACE,
    RUNNER_NAMESPACE,
    SCANNING_NAMESPACE,
    SERVICE_LABEL,
    VAULT_PORT,
    service_host,
    vault_host,
)
from components.helm import pins
from components.network.endpoints import INTERFACES
from components.settings.delivery import RunnerSettings

CONTROLLER: Final = Pods(namespace=GITOPS_NAMESPACE, labels={SERVICE_LABEL: "argocd-application-controller"}, stateful=True)
SERVER: Final = Pods(namespace=GITOPS_NAMESPACE, labels={SERVICE_LABEL: "argocd-server"})
REPOSITORIES: Final = Pods(namespace=GITOPS_NAMESPACE, labels={SERVICE_LABEL: "argocd-repo-server"})
CACHE: Final = Pods(namespace=GITOPS_NAMESPACE, labels={SERVICE_LABEL: "argocd-redis"})
PASSWORD: Final = Pods(namespace=GITOPS_NAMESPACE, labels={SERVICE_LABEL: "argocd-redis-secret-init"})
SCANNER: Final = Pods(namespace=SCANNING_NAMESPACE)
SCANS: Final = Pods(namespace=SCANNING_NAMESPACE, labels={SERVICE_LABEL: "trivy-operator"})
"""The operator itself: what has metrics."""
RUNNER_CONTROLLER: Final = Pods(
    namespace=RUNNER_CONTROLLER_NAMESPACE,
    labels={SERVICE_LABEL: "gha-rs-controller"},
    service_account="actions-runner-controller",
)
LISTENERS: Final = Pods(
    namespace=RUNNER_CONTROLLER_NAMESPACE, labels={"app.kubernetes.io/component": "runner-scale-set-listener"}
)
"""The controller makes them and chooses their account's name."""
RUNNERS: Final = Pods(namespace=RUNNER_NAMESPACE, labels={SERVICE_LABEL: RUNNER}, service_account=RUNNER)
REPOSITORY_PORT, CACHE_PORT, TRIVY_PORT = 8081, 6379, 4954

GITHUB: Final = (
    "api.github.com",
    "broker.actions.githubusercontent.com",
    "codeload.github.com",
    "github.com",
    "launch.actions.githubusercontent.com",
    "objects.githubusercontent.com",
    "pipelines.actions.githubusercontent.com",
    "pkg.actions.githubusercontent.com",
    "release-assets.githubusercontent.com",
    "results-receiver.actions.githubusercontent.com",
    "run.actions.githubusercontent.com",
    "vstoken.actions.githubusercontent.com",
)
"""Fixed names; those that GitHub assigns to an organisation are the settings'."""
REDIRECTED: Final = {"ghcr.io": ("pkg-containers.githubusercontent.com",), "quay.io": ("cdn01.quay.io", "cdn02.quay.io")}
"""Where a registry sends whoever asks for a layer."""
AWS_SERVICES: Final = {
    "accessanalyzer": ("access-analyzer",),
    "acm": ("acm",),
    "apigateway": ("apigateway",),
    "apigatewayv2": ("apigateway",),
    "backup": ("backup",),
    "cfg": ("config",),
    "cloudtrail": ("cloudtrail",),
    "cloudwatch": ("events", "logs", "monitoring"),
    "ebs": ("ec2",),
    "ec2": ("ec2",),
    "ec2transitgateway": ("ec2",),
    "eks": ("eks",),
    "guardduty": ("guardduty",),
    "kinesis": ("firehose", "kinesis"),
    "kms": ("kms",),
    "lb": ("elasticloadbalancing",),
    "s3": ("s3",),
    "securityhub": ("securityhub",),
    "sns": ("sns",),
    "sqs": ("sqs",),
    "vpc": ("ec2",),
    "wafv2": ("wafv2",),
}
"""Parts of the AWS provider that the program registers → the regional services that the provider asks, as they are called in
hosts; buckets have hosts of their own and stand in the settings."""
AWS_GLOBAL: Final = {
    "globalaccelerator": "globalaccelerator.us-west-2.amazonaws.com",
    "iam": "iam.amazonaws.com",
    "route53": "route53.amazonaws.com",
    "shield": "shield.us-east-1.amazonaws.com",
}
"""The same, of services with one host for all regions."""

SCRAPED: Final[tuple[tuple[str, Pods, tuple[int, ...]], ...]] = (
    ("gitops-controller", CONTROLLER, (8082,)),
    ("gitops-server", SERVER, (8083,)),
    ("gitops-repositories", REPOSITORIES, (8084,)),
    ("scanner", SCANS, (8080,)),
    ("runner-controller", RUNNER_CONTROLLER, (8080,)),
    ("runner-listeners", LISTENERS, (8080,)),
)
"""Rows of the table of who is scraped."""


def delivery_policies(graph: Graph, region: str) -> tuple[Policy, ...]:
    """What a region has once."""
    wanted = graph.settings.delivery
    return (
        *(_gitops(graph, region) if wanted.gitops.enabled else ()),
        *(_scanning(graph, region) if wanted.scanning.enabled else ()),
        *(_runners(graph, region, wanted.runners) if wanted.runners is not None else ()),
    )


def repository_hosts(graph: Graph) -> tuple[str, ...]:
    """Where the repositories are, by name."""
    return tuple(sorted({str(urlsplit(one.repository).hostname) for one in graph.settings.delivery.gitops.tenants.values()}))


def registry_hosts(graph: Graph) -> tuple[str, ...]:
    """What a scan asks for an image: the registries of what runs and of the databases, their API and their layers' bucket."""
    settings = graph.settings
    own = f"{settings.account.id}.dkr.ecr.{settings.home_region}.amazonaws.com"
    used = {service.image.split("/")[0] for tenant in settings.tenants.values() for service in tenant.services.values()}
    names: set[str] = set()
    for host in {own, *used}:
        names.add(host)
        account, _, rest = host.partition(".dkr.ecr.")
        if account.isdigit() and rest:
            region = rest.split(".")[0]
            bucket = f"prod-{region}-starport-layer-bucket.s3.{region}.amazonaws.com"
            names |= {f"api.ecr.{region}.amazonaws.com", bucket}
    return tuple(sorted(names))


def chart_hosts() -> tuple[str, ...]:
    """Where the pinned charts come from, and where those send whoever asks."""
    homes = {str(urlsplit(pin.repository or pin.chart).hostname) for pin in pins().values()}
    return tuple(sorted({*homes, *(host for home in homes for host in REDIRECTED.get(home, ()))}))


def aws_hosts(graph: Graph, region: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a deployment asks of AWS: hosts behind the region's own interface endpoints, and all others."""
    services = {"sts", *(name for names in AWS_SERVICES.values() for name in names)}
    inside = {f"{name}.{region}.amazonaws.com" for name in services & set(INTERFACES)}
    every = {f"{name}.{code}.amazonaws.com" for name in services for code in graph.settings.regions}
    return tuple(sorted(inside)), tuple(sorted((every | set(AWS_GLOBAL.values())) - inside))


def _outside(*hosts: str) -> tuple[Flow, ...]:
    return (Flow(peer=Hosts(names=hosts), ports=(API_PORT,)), Flow(peer=Lookups(names=hosts))) if hosts else ()


def _gitops(graph: Graph, region: str) -> Iterator[Policy]:
    server = Flow(peer=control_plane(graph, region), ports=(API_PORT,))
    rendered, cached = Flow(peer=REPOSITORIES, ports=(REPOSITORY_PORT,)), Flow(peer=CACHE, ports=(CACHE_PORT,))
    names = Flow(
        peer=Lookups(names=tuple(service_host(GITOPS_NAMESPACE, name) for name in ("argocd-redis", "argocd-repo-server")))
    )
    yield Policy(name="gitops-controller", subject=CONTROLLER, egress=(server, rendered, cached, names))
    issuer = _outside(graph.settings.identity.issuer_host)
    yield Policy(name="gitops-server", subject=SERVER, egress=(server, rendered, cached, names, *issuer))
    yield Policy(
        name="gitops-repositories",
        subject=REPOSITORIES,
        ingress=tuple(Flow(peer=peer, ports=(REPOSITORY_PORT,)) for peer in (CONTROLLER, SERVER)),
        egress=(
            cached,
            Flow(peer=Lookups(names=(service_host(GITOPS_NAMESPACE, "argocd-redis"),))),
            *_outside(*repository_hosts(graph)),
        ),
    )
    yield Policy(
        name="gitops-cache",
        subject=CACHE,
        ingress=tuple(Flow(peer=peer, ports=(CACHE_PORT,)) for peer in (CONTROLLER, SERVER, REPOSITORIES)),
    )
    yield Policy(name="gitops-password", subject=PASSWORD, egress=(server,))


def _scanning(graph: Graph, region: str) -> Iterator[Policy]:
    yield Policy(name="scanner-api", subject=SCANNER, egress=(Flow(peer=control_plane(graph, region), ports=(API_PORT,)),))
    yield Policy(
        name="scanner",
        subject=SCANNER,
        ingress=(Flow(peer=SCANNER, ports=(TRIVY_PORT,)),),
        egress=(
            Flow(peer=SCANNER, ports=(TRIVY_PORT,)),
            Flow(peer=Lookups(names=(service_host(SCANNING_NAMESPACE, "trivy-service"),))),
        ),
    )
    yield Policy(name="scanner-aws", subject=SCANNER, egress=(*_outside(*registry_hosts(graph)), Flow(peer=CredentialAgent())))


def _runners(graph: Graph, region: str, wanted: RunnerSettings) -> Iterator[Policy]:
    """Controller and listener speak with GitHub and the API server; nobody calls a runner."""
    server = Flow(peer=control_plane(graph, region), ports=(API_PORT,))
    github = {*GITHUB, *(host for host in wanted.hosts if host.endswith(".githubusercontent.com"))}
    for name, pods in (("runner-controller", RUNNER_CONTROLLER), ("runner-listeners", LISTENERS)):
        yield Policy(name=name, subject=pods, egress=(server, *_outside(*sorted(github))))
    yield Policy(name="runners-github", subject=RUNNERS, egress=_outside(*sorted({*github, *wanted.hosts})))
    yield Policy(name="runners-charts", subject=RUNNERS, egress=_outside(*chart_hosts()))
    inside, others = aws_hosts(graph, region)
    private = Flow(peer=Hosts(names=inside, inside=subnets(graph, region, "intra")), ports=(API_PORT,))
    yield Policy(
        name="runners-aws",
        subject=RUNNERS,
        egress=(private, Flow(peer=Lookups(names=inside)), *_outside(*others), Flow(peer=CredentialAgent())),
    )
    yield Policy(name="runners-api", subject=RUNNERS, egress=(server,))
    # Of every region: one deployment is of all. Vault stands behind its balancer, an API server behind its interfaces.
    regions = sorted(graph.settings.regions)
    yield Policy(
        name="runners-regions",
        subject=RUNNERS,
        egress=(
            Flow(
                peer=Networks(cidrs=tuple(cidr for code in regions for cidr in subnets(graph, code, "intra"))),
                ports=(API_PORT, VAULT_PORT),
            ),
            Flow(
                peer=Lookups(
                    names=tuple(vault_host(graph.trust_domain(code)) for code in regions),
                    patterns=tuple(f"*.*.{code}.eks.amazonaws.com" for code in regions),
                )
            ),
        ),
    )
