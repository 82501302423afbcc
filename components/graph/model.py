"""The access graph, resolved: settings in, edges between known workloads out. Every layer is compiled from this and nothing else.

`Graph.of(settings)` is pure. What the settings leave implicit is decided here once: which regions a workload runs in, which
regions a caller may come from, and so which trust domains a callee admits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from components.graph import identity
from components.graph.index import Index
from components.graph.names import POSTGRES_PORT, VALKEY_PORT, Gateway
from components.settings import Settings
from components.settings.access import (
    CallSettings,
    ConditionSettings,
    DataSettings,
    EgressSettings,
    OperationSettings,
    RouteSettings,
)
from components.settings.tenants import CacheSettings, ClientSettings, DatabaseSettings, ServiceSettings


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A service of a tenant and the regions it runs in."""

    tenant: str
    name: str
    regions: tuple[str, ...]
    settings: ServiceSettings

    @property
    def ref(self) -> str:
        """`<tenant>/<service>`."""
        return f"{self.tenant}/{self.name}"

    @property
    def port(self) -> int:
        """The HTTP port."""
        return self.settings.port

    @property
    def serves(self) -> bool:
        """Whether anybody may call it at all: a worker serves nothing but probes."""
        return self.settings.kind == "http"


@dataclass(frozen=True, kw_only=True)
class Store:
    """A database or cache of a tenant; it stands in every region and belongs to no mesh: TLS is its own."""

    tenant: str
    name: str
    kind: Literal["database", "cache"]
    settings: DatabaseSettings | CacheSettings

    @property
    def ref(self) -> str:
        """`<tenant>/<store>`."""
        return f"{self.tenant}/{self.name}"

    @property
    def port(self) -> int:
        """5432 for PostgreSQL, 6379 for Valkey."""
        return POSTGRES_PORT if self.kind == "database" else VALKEY_PORT


@dataclass(frozen=True, kw_only=True)
class Call:
    """Service to service."""

    key: str
    caller: Workload
    callee: Workload
    settings: CallSettings

    @property
    def operations(self) -> tuple[OperationSettings, ...]:
        """Methods on paths."""
        return self.settings.operations

    @property
    def conditions(self) -> ConditionSettings:
        """Context that OPA decides."""
        return self.settings.conditions

    def origins(self, region: str) -> tuple[str, ...]:
        """The regions whose caller the callee of `region` admits; empty where the callee does not run."""
        if region not in self.callee.regions:
            return ()
        reachable = self.caller.regions if self.settings.reach == "every_region" else (region,)
        wanted = self.conditions.source_regions
        return tuple(code for code in sorted(reachable) if code in self.caller.regions and (not wanted or code in wanted))

    def destinations(self, region: str) -> tuple[str, ...]:
        """The regions that the caller of `region` may reach the callee in, its own among them where it runs there."""
        return tuple(code for code in self.callee.regions if region in self.origins(code))


@dataclass(frozen=True, kw_only=True)
class Data:
    """Service to a store of its own tenant."""

    key: str
    service: Workload
    store: Store
    settings: DataSettings


@dataclass(frozen=True, kw_only=True)
class Egress:
    """Service to an external host, through the egress gateway."""

    key: str
    service: Workload
    settings: EgressSettings

    @property
    def host(self) -> str:
        """The external host."""
        return self.settings.host

    @property
    def port(self) -> int:
        """Its TLS port."""
        return self.settings.port


@dataclass(frozen=True, kw_only=True)
class Client:
    """An OIDC client of a tenant; its OAuth client id is `<tenant>.<client>`."""

    tenant: str
    name: str
    settings: ClientSettings

    @property
    def client_id(self) -> str:
        """The `azp` and `client_id` of its tokens."""
        return f"{self.tenant}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Route:
    """Clients to a service, from outside: `/<tenant><path>` at the edge, `<path>` at the service."""

    key: str
    clients: tuple[Client, ...]
    service: Workload
    settings: RouteSettings

    @property
    def operations(self) -> tuple[OperationSettings, ...]:
        """Methods on paths as the service sees them."""
        return self.settings.operations

    @property
    def prefix(self) -> str:
        """What the edge puts before the service's paths."""
        return f"/{self.service.tenant}"


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The whole graph. Mappings are sorted by key; edges by their key in the settings."""

    settings: Settings
    regions: tuple[str, ...]
    workloads: Mapping[str, Workload]
    """By `<tenant>/<service>`."""
    stores: Mapping[str, Store]
    """By `<tenant>/<store>`."""
    clients: Mapping[str, Client]
    """By `<tenant>/<client>`."""
    calls: tuple[Call, ...]
    data: tuple[Data, ...]
    egress: tuple[Egress, ...]
    routes: tuple[Route, ...]

    @classmethod
    def of(cls, settings: Settings) -> "Graph":
        """The graph of loaded settings; they have refused every edge to something that is not there.

        Receivers whose keys nobody can deliver yet are off in it (`Settings.deliverable`).
        """
        settings = settings.deliverable()
        regions = tuple(sorted(settings.regions))
        tenants, access = sorted(settings.tenants.items()), settings.access
        workloads = {
            f"{tenant}/{name}": Workload(
                tenant=tenant, name=name, regions=tuple(sorted(service.regions)) or regions, settings=service
            )
            for tenant, wanted in tenants
            for name, service in sorted(wanted.services.items())
        }
        stores: dict[str, Store] = {}
        for tenant, wanted in tenants:
            for name, database in wanted.databases.items():
                stores[f"{tenant}/{name}"] = Store(tenant=tenant, name=name, kind="database", settings=database)
            for name, cache in wanted.caches.items():
                stores[f"{tenant}/{name}"] = Store(tenant=tenant, name=name, kind="cache", settings=cache)
        clients = {
            f"{tenant}/{name}": Client(tenant=tenant, name=name, settings=client)
            for tenant, wanted in tenants
            for name, client in sorted(wanted.clients.items())
        }
        return cls(
            settings=settings,
            regions=regions,
            workloads=workloads,
            stores=dict(sorted(stores.items())),
            clients=clients,
            calls=tuple(
                Call(key=key, caller=workloads[call.caller], callee=workloads[call.callee], settings=call)
                for key, call in sorted(access.calls.items())
            ),
            data=tuple(
                Data(key=key, service=workloads[edge.service], store=stores[edge.store], settings=edge)
                for key, edge in sorted(access.data.items())
            ),
            egress=tuple(
                Egress(key=key, service=workloads[edge.service], settings=edge) for key, edge in sorted(access.egress.items())
            ),
            routes=tuple(
                Route(
                    key=key,
                    clients=tuple(clients[ref] for ref in sorted(route.clients)),
                    service=workloads[route.service],
                    settings=route,
                )
                for key, route in sorted(access.routes.items())
            ),
        )

    @property
    def tenants(self) -> tuple[str, ...]:
        """Every tenant, each one namespace per region."""
        return tuple(sorted(self.settings.tenants))

    def runs_issuer(self, region: str) -> bool:
        """Whether the issuer of tokens stands in this region: the home region, unless it is an external one."""
        return self.settings.identity.issuer_kind == "keycloak" and region == self.settings.home_region

    def trust_domain(self, region: str) -> str:
        """The trust domain of a region."""
        return identity.trust_domain(self.settings.identity.trust_domain_base, region)

    def principal(self, workload: Workload, region: str) -> str:
        """The workload's principal in a region, in full, without `spiffe://`."""
        return identity.principal(self.trust_domain(region), workload.tenant, workload.name)

    def gateway_principal(self, gateway: Gateway, region: str) -> str:
        """A gateway's principal in a region, in full, without `spiffe://`."""
        return identity.principal(self.trust_domain(region), gateway.namespace, gateway.name)

    @cached_property
    def index(self) -> Index:
        """Every edge by its ends, made on first use: no compiler searches the graph for what belongs to one tenant."""
        return Index.of(self)

    def workloads_of(self, tenant: str, region: str) -> tuple[Workload, ...]:
        """The tenant's workloads that run in a region."""
        return tuple(workload for workload in self.index.workloads_of.get(tenant, ()) if region in workload.regions)

    def stores_of(self, tenant: str) -> tuple[Store, ...]:
        """The tenant's databases and caches, the same in every region."""
        return self.index.stores_of.get(tenant, ())

    def calls_to(self, workload: Workload, region: str) -> tuple[Call, ...]:
        """Calls the workload of a region admits, from its own or another region."""
        return tuple(call for call in self.index.calls_to.get(workload.ref, ()) if call.origins(region))

    def calls_from(self, workload: Workload, region: str) -> tuple[Call, ...]:
        """Calls the workload of a region may make, to its own or another region."""
        return tuple(call for call in self.index.calls_from.get(workload.ref, ()) if call.destinations(region))

    def data_of(self, workload: Workload) -> tuple[Data, ...]:
        """The stores the workload may use."""
        return self.index.data_of.get(workload.ref, ())

    def data_to(self, store: Store) -> tuple[Data, ...]:
        """Who may use a store."""
        return self.index.data_to.get(store.ref, ())

    def egress_of(self, workload: Workload) -> tuple[Egress, ...]:
        """The external hosts the workload may reach."""
        return self.index.egress_of.get(workload.ref, ())

    def routes_to(self, workload: Workload) -> tuple[Route, ...]:
        """What leads to the workload from outside."""
        return self.index.routes_to.get(workload.ref, ())

    def federates_with(self, workload: Workload, region: str) -> tuple[str, ...]:
        """The other regions whose trust bundle the workload of a region needs: exactly those of its cross-region edges.

        Both ends need it: the callee to accept the caller's certificate, the caller to accept the callee's.
        """
        from_others = {code for call in self.calls_to(workload, region) for code in call.origins(region)}
        to_others = {code for call in self.calls_from(workload, region) for code in call.destinations(region)}
        return tuple(sorted((from_others | to_others) - {region}))

    def fetches(self, workload: Workload) -> bool:
        """Whether Vault has anything for the workload: without that it has no login there, and nothing beside it fetches."""
        wanted = workload.settings
        kept = bool(wanted.secrets) or wanted.tenant_key or wanted.aws_role is not None
        certified = self.settings.vault.pki and workload.serves
        return kept or certified or any(edge.store.kind == "database" for edge in self.data_of(workload))

    def spans_regions(self, workload: Workload) -> bool:
        """Whether callers of another region may reach it, so that it needs a name that stands for every region."""
        return any(set(call.origins(code)) - {code} for code in workload.regions for call in self.calls_to(workload, code))
