"""Network rules of delivery: Argo CD and the scanner.

Argo CD's repository server alone reaches the repositories, and nothing of the cluster but the cache: it reads what others wrote.
Pods of scans carry labels that the operator chooses for each; everything in its namespace is the platform's, so its rules name the
namespace. Both systems have rules only where they are installed.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from components.cni.policies import CredentialAgent, Flow, Hosts, Lookups, Pods, Policy
from components.cni.policies_tenant import API_PORT, control_plane
from components.graph.model import Graph
from components.graph.names import GITOPS_NAMESPACE, SCANNING_NAMESPACE, SERVICE_LABEL, service_host

CONTROLLER: Final = Pods(namespace=GITOPS_NAMESPACE, labels={SERVICE_LABEL: "argocd-application-controller"}, stateful=True)
SERVER: Final = Pods(namespace=GITOPS_NAMESPACE, labels={SERVICE_LABEL: "argocd-server"})
REPOSITORIES: Final = Pods(namespace=GITOPS_NAMESPACE, labels={SERVICE_LABEL: "argocd-repo-server"})
CACHE: Final = Pods(namespace=GITOPS_NAMESPACE, labels={SERVICE_LABEL: "argocd-redis"})
PASSWORD: Final = Pods(namespace=GITOPS_NAMESPACE, labels={SERVICE_LABEL: "argocd-redis-secret-init"})
SCANNER: Final = Pods(namespace=SCANNING_NAMESPACE)
SCANS: Final = Pods(namespace=SCANNING_NAMESPACE, labels={SERVICE_LABEL: "trivy-operator"})
"""The operator itself: what has metrics."""
REPOSITORY_PORT, CACHE_PORT, TRIVY_PORT = 8081, 6379, 4954

SCRAPED: Final[tuple[tuple[str, Pods, tuple[int, ...]], ...]] = (
    ("gitops-controller", CONTROLLER, (8082,)),
    ("gitops-server", SERVER, (8083,)),
    ("gitops-repositories", REPOSITORIES, (8084,)),
    ("scanner", SCANS, (8080,)),
)
"""Rows of the table of who is scraped."""


def delivery_policies(graph: Graph, region: str) -> tuple[Policy, ...]:
    """What a region has once."""
    wanted = graph.settings.delivery
    return (
        *(_gitops(graph, region) if wanted.gitops.enabled else ()),
        *(_scanning(graph, region) if wanted.scanning.enabled else ()),
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
