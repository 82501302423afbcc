"""Network rules of the platform's own namespaces: what each component needs, by its chart's labels, and nothing more.

Metrics are not here: who scrapes is the observability layer's to say, and adds policies of its own. The API server is known by
its identity and by its networks as well: on EKS its interfaces stand in the intra subnets, and until Cilium has learned which
they are they are plain addresses. Not by `remote-node`: that would let anything in any node's network pose as the API server.
Nodes' own pods (host network: the credential agent, Cilium, EBS's node part) are not endpoints and bound by no policy of pods.
Interface endpoints of AWS stand in the intra subnets too, so whoever reaches the API server reaches their port 443, where their
own policy and IAM decide.
"""

from collections.abc import Iterator
from typing import Final

from components.cni.policies import CredentialAgent, EveryPod, Flow, Hosts, Lookups, Networks, Nodes, Pods, Policy
from components.cni.policies_tenant import API_PORT, DATABASE_OPERATOR, ISTIOD, control_plane, subnets
from components.graph.model import Graph
from components.graph.names import (
    CERTIFICATES_NAMESPACE,
    EXTERNAL_DNS_NAMESPACE,
    SERVICE_LABEL,
    SPIRE_SERVER_NAMESPACE,
    SPIRE_SYSTEM_NAMESPACE,
    SYSTEM_NAMESPACE,
    service_host,
)

KUBELET_PORT: Final = 10250
DNS_PORT: Final = 53
RELAY_PORT, HUBBLE_PORT = 4245, 4244

WEBHOOKS: Final = (
    ("cert-manager-webhook", Pods(namespace=CERTIFICATES_NAMESPACE, labels={SERVICE_LABEL: "webhook"}), 10250),
    ("database-operator", DATABASE_OPERATOR, 9443),
    ("istiod", ISTIOD, 15017),
    ("spire", Pods(namespace=SPIRE_SERVER_NAMESPACE, labels={SERVICE_LABEL: "server"}, stateful=True), 9443),
    ("load-balancers", Pods(namespace=SYSTEM_NAMESPACE, labels={SERVICE_LABEL: "aws-load-balancer-controller"}), 9443),
    ("metrics", Pods(namespace=SYSTEM_NAMESPACE, labels={SERVICE_LABEL: "metrics-server"}), KUBELET_PORT),
)
"""What the API server calls, admission and the aggregated API alike; all of them call it, too."""
CLIENTS: Final = (
    ("cert-manager", Pods(namespace=CERTIFICATES_NAMESPACE, labels={SERVICE_LABEL: "cert-manager"})),
    ("cert-manager-injector", Pods(namespace=CERTIFICATES_NAMESPACE, labels={SERVICE_LABEL: "cainjector"})),
    ("cert-manager-check", Pods(namespace=CERTIFICATES_NAMESPACE, labels={SERVICE_LABEL: "startupapicheck"})),
    ("mesh-cni", Pods(namespace=SYSTEM_NAMESPACE, labels={"k8s-app": "istio-cni-node"})),
    ("external-dns", Pods(namespace=EXTERNAL_DNS_NAMESPACE, labels={SERVICE_LABEL: "external-dns"})),
    ("spire-agent", Pods(namespace=SPIRE_SYSTEM_NAMESPACE, labels={SERVICE_LABEL: "agent"})),
    ("dns", Pods(namespace=SYSTEM_NAMESPACE, labels={"k8s-app": "kube-dns"})),
    ("volumes", Pods(namespace=SYSTEM_NAMESPACE, labels={"app": "ebs-csi-controller"})),
    ("volumes-node", Pods(namespace=SYSTEM_NAMESPACE, labels={"app": "ebs-csi-node"})),
    ("flows-page", Pods(namespace=SYSTEM_NAMESPACE, labels={"k8s-app": "hubble-ui"})),
    ("flows-certificates", Pods(namespace=SYSTEM_NAMESPACE, labels={"k8s-app": "hubble-generate-certs"})),
    # The hooks of SPIRE's chart give their pods no label; what a job's controller sets is all that tells them.
    ("spire-hooks", Pods(namespace=SPIRE_SERVER_NAMESPACE, present=("batch.kubernetes.io/job-name",))),
    ("karpenter", Pods(namespace=SYSTEM_NAMESPACE, labels={SERVICE_LABEL: "karpenter"})),
)
"""What calls the API server."""
CALLED: Final = {name: pods for name, pods, _ in WEBHOOKS}
PODS: Final = {**CALLED, **dict(CLIENTS)}


def cluster_policies(graph: Graph, region: str) -> tuple[Policy, ...]:
    """The API server's clients and webhooks, AWS's services, DNS, metrics and flows."""
    return (
        *_api_server(graph, region),
        *_cloud(graph, region),
        *_system(graph, region),
    )


def _api_server(graph: Graph, region: str) -> Iterator[Policy]:
    server = control_plane(graph, region)
    for name, pods, port in WEBHOOKS:
        yield Policy(name=f"{name}-webhook", subject=pods, ingress=(Flow(peer=server, ports=(port,)),))
    for name, pods in sorted(PODS.items()):
        if name != "karpenter" or graph.settings.cluster.karpenter.enabled:
            yield Policy(name=f"{name}-api", subject=pods, egress=(Flow(peer=server, ports=(API_PORT,)),))


def _aws(name: str, pods: Pods, inside: tuple[str, ...], *hosts: str) -> Policy:
    """AWS services by name, with credentials from the node's agent."""
    return Policy(
        name=f"{name}-aws",
        subject=pods,
        egress=(
            Flow(peer=Hosts(names=hosts, inside=inside), ports=(API_PORT,)),
            Flow(peer=Lookups(names=hosts)),
            Flow(peer=CredentialAgent()),
        ),
    )


def _cloud(graph: Graph, region: str) -> Iterator[Policy]:
    """`inside` where every service has an interface endpoint in the VPC; Route 53, Private CA, SQS, SSM and prices have none."""
    inside = subnets(graph, region, "intra")

    def regional(*services: str) -> tuple[str, ...]:
        return tuple(f"{service}.{region}.amazonaws.com" for service in services)

    authority = graph.settings.identity.upstream_authority
    yield _aws("spire", PODS["spire"], inside, *regional("kms", "sts"))
    if authority.kind == "aws_private_ca":
        yield _aws("spire-authority", PODS["spire"], (), *regional("acm-pca"))
    yield _aws("external-dns", PODS["external-dns"], (), "route53.amazonaws.com", *regional("sts"))
    yield _aws("load-balancers", PODS["load-balancers"], inside, *regional("ec2", "elasticloadbalancing", "sts"))
    yield _aws("volumes", PODS["volumes"], inside, *regional("ec2", "sts"))
    if graph.settings.cluster.karpenter.enabled:
        own = regional("ec2", "eks", "sqs", "ssm", "sts")
        # Prices are published in one region only.
        yield _aws("karpenter", PODS["karpenter"], (), *own, "api.pricing.us-east-1.amazonaws.com")


def _system(graph: Graph, region: str) -> Iterator[Policy]:
    network, nodes = graph.settings.regions[region], Nodes(cidrs=subnets(graph, region, "private"))
    first = network.vpc_cidr.split("/")[0].rsplit(".", 1)[0]
    yield Policy(
        name="dns",
        subject=PODS["dns"],
        ingress=(
            Flow(peer=EveryPod(), ports=(DNS_PORT,), protocols=("UDP", "TCP")),
            Flow(peer=nodes, ports=(DNS_PORT,), protocols=("UDP", "TCP")),
        ),
        # The VPC's resolver, at both its addresses; the DNS firewall there says what leaves.
        egress=(Flow(peer=Networks(cidrs=(f"{first}.2/32", "169.254.169.253/32")), ports=(DNS_PORT,), protocols=("UDP", "TCP")),),
    )
    yield Policy(name="metrics", subject=PODS["metrics"], egress=(Flow(peer=nodes, ports=(KUBELET_PORT,)),))
    relay = Pods(namespace=SYSTEM_NAMESPACE, labels={"k8s-app": "hubble-relay"})
    page = PODS["flows-page"]
    yield Policy(
        name="flows",
        subject=relay,
        ingress=(Flow(peer=page, ports=(RELAY_PORT,)),),
        egress=(
            Flow(peer=nodes, ports=(HUBBLE_PORT,)),
            Flow(peer=Lookups(names=(service_host(SYSTEM_NAMESPACE, "hubble-peer"),))),
        ),
    )
    yield Policy(
        name="flows-page",
        subject=page,
        egress=(
            Flow(peer=relay, ports=(RELAY_PORT,)),
            Flow(peer=Lookups(names=(service_host(SYSTEM_NAMESPACE, "hubble-relay"),))),
        ),
    )
