"""Admission of one region: the floor, Gatekeeper with its constraints, Kyverno with its policies.

Order: what may be refused is refused before the first tenant's pod. The floor needs nothing but the API server. Gatekeeper comes
before whatever its webhook is asked about: until its pods answer the API server refuses all that, and no installer asks twice.
Constraints come after their templates, of which Gatekeeper makes the kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.admission import floor, kyverno
from components.admission.constraints import region_constraints, region_templates, tenant_constraints
from components.admission.decisions import DecisionPoint
from components.admission.gatekeeper import CERTIFICATE, SERVICE, Gatekeeper, GatekeeperArgs, monitor
from components.admission.kyverno import Kyverno, KyvernoArgs
from components.assembly.place import ClusterPlace
from components.base import Component
from components.certificates import authority, leaf
from components.decision.container import opa_container, opa_volumes
from components.graph.model import Graph
from components.graph.names import GATEKEEPER_NAMESPACE
from components.manifests import AdmissionManifests, Manifest, ManifestsArgs
from components.settings.guardrails import today


@dataclass(frozen=True, kw_only=True)
class GuardrailsArgs:
    """Admission of one region."""

    place: ClusterPlace
    after: Sequence[pulumi.Resource]
    """Gates everything: namespaces and their rules, nodes and DNS, certificates, the monitoring kinds."""


def decision_points(graph: Graph, region: str, tenant: str) -> tuple[DecisionPoint, ...]:
    """Who decides in the pods of each of the tenant's services in the region: the OPA that the decision layer declares."""
    image = graph.settings.images.opa
    return tuple(
        DecisionPoint(account=one.name, container=opa_container(image, one), volumes=opa_volumes(one))
        for one in graph.workloads_of(tenant, region)
    )


def webhook_certificate() -> tuple[Manifest, ...]:
    """What Gatekeeper proves itself to the API server with, and the authority that the API server is told."""
    names = (f"{SERVICE}.{GATEKEEPER_NAMESPACE}.svc",)
    certificate = leaf(GATEKEEPER_NAMESPACE, CERTIFICATE, common_name=SERVICE, usages=("server auth",), dns_names=names)
    return *authority(GATEKEEPER_NAMESPACE), certificate


class Guardrails(Component, token="zerotrust:admission:Guardrails"):
    """What may be made at all. `ready` is what the tenants' workloads depend on."""

    answering: tuple[pulumi.Resource, ...]
    """The webhook: all that it is asked about depends on it."""
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: GuardrailsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        graph, region = args.place.graph, args.place.region
        for gone in graph.settings.guardrails.over(today()):
            pulumi.log.warn(f"guardrails.exemptions.{gone} is over and has no effect any more; remove it or renew it", self)
        below = AdmissionManifests(
            f"{name}-floor", ManifestsArgs(objects=floor.region_objects(graph), after=args.after), opts=self.child()
        )
        pods = graph.settings.cluster.pods()
        certificate = AdmissionManifests(
            f"{name}-certificate", ManifestsArgs(objects=webhook_certificate(), after=args.after), opts=self.child()
        )
        gatekeeper = Gatekeeper(
            f"{name}-gatekeeper", GatekeeperArgs(after=[*args.after, *certificate.ready], replicas=pods), opts=self.child()
        )
        self.answering = gatekeeper.ready
        engine = Kyverno(f"{name}-kyverno", KyvernoArgs(after=[*args.after, *gatekeeper.ready], replicas=pods), opts=self.child())
        templates = AdmissionManifests(
            f"{name}-templates",
            ManifestsArgs(objects=(monitor(), *region_templates()), after=gatekeeper.ready),
            opts=self.child(),
        )
        constraints = AdmissionManifests(
            f"{name}-constraints",
            ManifestsArgs(objects=region_constraints(graph), after=[*templates.ready, *gatekeeper.ready]),
            opts=self.child(),
        )
        policies = AdmissionManifests(
            f"{name}-policies", ManifestsArgs(objects=kyverno.region_objects(graph), after=engine.ready), opts=self.child()
        )
        own = [
            ready
            for tenant in graph.tenants
            for ready in AdmissionManifests(
                f"{name}-tenant-{tenant}",
                ManifestsArgs(
                    objects=(
                        *floor.tenant_objects(graph, region, tenant),
                        *tenant_constraints(graph, region, tenant, decision_points(graph, region, tenant)),
                    ),
                    after=[*templates.ready, *gatekeeper.ready],
                ),
                opts=self.child(),
            ).ready
        ]
        self.ready = (*below.ready, *constraints.ready, *policies.ready, *own)
        self.register_outputs({})
