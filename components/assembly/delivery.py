"""Delivery put together: Argo CD with every tenant's project, the scanner of what runs, the runners. Each where it is wanted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.assembly.place import ClusterPlace
from components.base import Component
from components.cluster.pod_identity import PodIdentity, PodIdentityArgs
from components.delivery import runners, trivy
from components.delivery.argocd import ArgoCD, ArgoCDArgs
from components.delivery.projects import default_project, region_objects, tenant_objects
from components.delivery.runners import Runners, RunnersArgs
from components.delivery.trivy import Scanner, ScannerArgs
from components.graph.names import RUNNER, RUNNER_NAMESPACE, SCANNING_NAMESPACE
from components.manifests import DeliveryManifests, ManifestsArgs


@dataclass(frozen=True, kw_only=True)
class DeliveryArgs:
    """Delivery in one cluster."""

    place: ClusterPlace
    storage_class: str
    after: Sequence[pulumi.Resource]
    """The platform's and the tenants' namespaces with their rules, the monitoring kinds, SPIRE."""


class Delivery(Component, token="zerotrust:delivery:Delivery"):
    """GitOps, scans and runners in one cluster."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: DeliveryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        gitops = self._gitops(f"{name}-gitops", args) if args.place.graph.settings.delivery.gitops.enabled else ()
        scanning = self._scanning(f"{name}-scanning", args) if args.place.graph.settings.delivery.scanning.enabled else ()
        running = self._runners(f"{name}-runners", args) if args.place.graph.settings.delivery.runners else ()
        self.ready = (*gitops, *scanning, *running)
        self.register_outputs({})

    def _gitops(self, name: str, args: DeliveryArgs) -> tuple[pulumi.Resource, ...]:
        graph = args.place.graph
        argocd = ArgoCD(f"{name}-argocd", ArgoCDArgs(graph=graph, after=args.after), opts=self.child())
        # The guard stands before anything is synchronised.
        guard = DeliveryManifests(
            f"{name}-guard", ManifestsArgs(objects=region_objects(graph), after=args.after), opts=self.child()
        ).ready
        tenants = sorted(graph.settings.delivery.gitops.tenants)
        objects = [default_project(), *(one for tenant in tenants for one in tenant_objects(graph, tenant))]
        projects = DeliveryManifests(
            f"{name}-projects", ManifestsArgs(objects=objects, after=[*argocd.ready, *guard]), opts=self.child()
        ).ready
        return (*argocd.ready, *projects)

    def _scanning(self, name: str, args: DeliveryArgs) -> tuple[pulumi.Resource, ...]:
        place = args.place
        identity = PodIdentity(
            f"{name}-identity",
            PodIdentityArgs(
                context=place.context,
                cluster_name=place.cluster_name,
                cluster_arn=place.cluster_arn,
                namespace=SCANNING_NAMESPACE,
                service_account=trivy.ACCOUNT,
                policies={"registry": json.dumps(trivy.registry_document(place.graph))},
            ),
            opts=self.child(),
        )
        return Scanner(
            f"{name}-scanner",
            ScannerArgs(graph=place.graph, storage_class=args.storage_class, after=[*args.after, *identity.ready]),
            opts=self.child(),
        ).ready

    def _runners(self, name: str, args: DeliveryArgs) -> tuple[pulumi.Resource, ...]:
        place = args.place
        identity = PodIdentity(
            f"{name}-identity",
            PodIdentityArgs(
                context=place.context,
                cluster_name=place.cluster_name,
                cluster_arn=place.cluster_arn,
                namespace=RUNNER_NAMESPACE,
                service_account=RUNNER,
                policies={"deployer": json.dumps(runners.deployer_document(place.graph))},
            ),
            opts=self.child(),
        )
        objects = DeliveryManifests(
            f"{name}-objects", ManifestsArgs(objects=runners.region_objects(place.graph), after=args.after), opts=self.child()
        ).ready
        made = Runners(
            f"{name}-releases",
            RunnersArgs(graph=place.graph, region=place.region, after=[*args.after, *identity.ready, *objects]),
            opts=self.child(),
        )
        return (*objects, *made.ready)
