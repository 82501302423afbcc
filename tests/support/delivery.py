"""A stack in which every tenant is delivered to, and what a tenant's repository might hold."""

import copy
from typing import Any

from components.delivery import projects
from components.delivery.guard import IN_CLUSTER
from components.graph.model import Graph
from components.settings import load
from tests.support.program import stack_settings


def delivered_graph() -> Graph:
    """The shipped stack, with a repository for each tenant."""
    settings = copy.deepcopy(stack_settings("prod"))
    tenants = settings["delivery"]["gitops"]["tenants"]
    for tenant in settings["tenants"]:
        own = copy.deepcopy(tenants["bank-a"])
        own["repository"] = f"https://git.clearing.example/{tenant}/deploy"
        own["deployers"], own["readers"] = [f"{tenant}-releases"], [f"{tenant}-developers"]
        tenants[tenant] = own
    return Graph.of(load(settings))


def all_projects(graph: Graph) -> list[dict[str, Any]]:
    """Every project of a cluster."""
    made = [one for tenant in sorted(graph.tenants) for one in projects.tenant_objects(graph, tenant)]
    return copy.deepcopy([projects.default_project(), *(one for one in made if one["kind"] == "AppProject")])


def root_of(graph: Graph, tenant: str) -> dict[str, Any]:
    """The application that the program makes for a tenant."""
    [root] = [one for one in projects.tenant_objects(graph, tenant) if one["kind"] == "Application"]
    return copy.deepcopy(root)


def child_of(tenant: str, **spec: Any) -> dict[str, Any]:
    """An application as the tenant's repository declares it, with other fields in its spec."""
    return {
        "apiVersion": projects.API,
        "kind": "Application",
        "metadata": {"name": "jobs", "namespace": tenant},
        "spec": {
            "project": tenant,
            "source": {
                "repoURL": f"https://git.clearing.example/{tenant}/deploy",
                "path": "prod/jobs",
                "targetRevision": "main",
            },
            "destination": {"server": IN_CLUSTER, "namespace": tenant},
            **spec,
        },
    }
