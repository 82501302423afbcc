"""The access graph: who may call what, declared once and compiled into every enforcing layer.

Edges are keyed, so their resources keep their names whatever is added or reordered. What no edge allows is refused.
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import ClockTime, DnsName, HttpMethod, HttpPath, Name, Ref, RegionCode, Scope


def overlap(one: str, other: str) -> bool:
    """Whether some request path is meant by both paths."""
    first, second = one.split("/"), other.split("/")
    for mine, theirs in zip(first, second, strict=False):
        if "*" in (mine, theirs):
            return True
        if mine != theirs and not mine.startswith("{") and not theirs.startswith("{"):
            return False
    return len(first) == len(second)


class OperationSettings(Model):
    """Methods on paths; a request matches when both do."""

    methods: tuple[HttpMethod, ...] = Field(min_length=1)
    """HTTP methods."""
    paths: tuple[HttpPath, ...] = Field(min_length=1)
    """Exact paths, or a prefix with a closing `/*`."""

    def problems(self) -> Iterator[Problem]:
        for key in ("methods", "paths"):
            values: tuple[str, ...] = getattr(self, key)
            for value in sorted({value for value in values if values.count(value) > 1}):
                yield Problem((key,), value, "name each value once")


class HoursSettings(Model):
    """A daily window in UTC; one that ends before it begins runs over midnight."""

    start: ClockTime
    """First minute allowed."""
    end: ClockTime
    """First minute refused."""

    def problems(self) -> Iterator[Problem]:
        if self.start == self.end:
            yield Problem(("end",), self.end, "use another time than start; leave hours out for a whole day")


class ConditionSettings(Model):
    """Context a call needs besides its caller; decided by OPA, refused when it cannot be decided."""

    scopes: tuple[Scope, ...] = ()
    """OAuth scopes the user's token must all hold."""
    hours: HoursSettings | None = None
    """When it is allowed."""
    amount_limit_minor_units: int | None = Field(default=None, ge=1)
    """Largest amount of a request, in the currency's minor units (cents)."""
    source_regions: tuple[RegionCode, ...] = ()
    """Regions the caller may call from; none means any region that `reach` admits."""
    risk_ceiling: Literal["low", "medium"] = "medium"
    """Highest runtime risk of the caller that is still served."""


class CallSettings(Model):
    """A service may call another."""

    caller: Ref
    """The calling service, `<tenant>/<service>`."""
    callee: Ref
    """The called service, `<tenant>/<service>`."""
    operations: tuple[OperationSettings, ...] = Field(min_length=1)
    """What it may call."""
    conditions: ConditionSettings = ConditionSettings()
    """Under which conditions."""
    reach: Literal["same_region", "every_region"] = "same_region"
    """`every_region` federates the caller's identity and lets the call fail over to another region."""

    def problems(self) -> Iterator[Problem]:
        if self.caller == self.callee:
            yield Problem(("callee",), self.callee, "name another service than the caller")


class DataSettings(Model):
    """A service may use a database or a cache of its own tenant, or of a tenant of the same product."""

    service: Ref
    """The service, `<tenant>/<service>`."""
    store: Ref
    """The database or cache, `<tenant>/<name>`."""
    privileges: Literal["read", "read_write"] = "read_write"
    """What its dynamic credential may do."""


class EgressSettings(Model):
    """A service may reach a host outside the platform, through the egress gateway."""

    service: Ref
    """The service, `<tenant>/<service>`."""
    host: DnsName
    """The host, in full: no wildcard."""
    port: Literal[443] = 443
    """The TLS port; the nodes' security group lets nothing else out."""


class RouteSettings(Model):
    """Clients may reach a service from outside, through the whole edge."""

    clients: tuple[Ref, ...] = Field(min_length=1)
    """OIDC clients, `<tenant>/<client>`."""
    service: Ref
    """The service it leads to, `<tenant>/<service>`."""
    operations: tuple[OperationSettings, ...] = Field(min_length=1)
    """Public methods and paths below `/<tenant>`."""
    scopes: tuple[Scope, ...] = Field(min_length=1)
    """Scopes the access token must all hold."""


class AccessSettings(Model):
    """All edges of the graph."""

    calls: dict[Name, CallSettings] = Field(default_factory=dict)
    """Service to service."""
    data: dict[Name, DataSettings] = Field(default_factory=dict)
    """Service to database or cache."""
    egress: dict[Name, EgressSettings] = Field(default_factory=dict)
    """Service to external host."""
    routes: dict[Name, RouteSettings] = Field(default_factory=dict)
    """Client to service, from outside."""
