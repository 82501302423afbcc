"""The questions of the equivalence, each with the answer of the settings, and what every layer can see of them.

A layer sees a question through the fields that `SIGHT` gives it: Cilium a pair and a port, OPA everything. What it must say
follows without another rule: it admits what some allowed question looks like through its eyes, and nothing else. So a layer
that sees everything must agree with the settings, and one that sees less must neither refuse an allowed question nor admit one
that it can tell from every allowed one. The answers come from `oracle`, which shares no code with the compilers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tests.support import oracle

STRANGE_HOSTS: Final = ("exfiltration.example.org", "aGVsbG8.exfiltration.example.org")
STRANGE_PORTS: Final = (22, 80, 8282, 9999)
NOON: Final = 720
LEVELS: Final = ("low", "medium", "high")
TUNNEL_PORT: Final = 15443


@dataclass(frozen=True, kw_only=True)
class Question:
    """May the caller of region `origin` do this to the target of `region`."""

    kind: str
    allowed: bool
    caller: str
    """`<tenant>/<service>`, an intruder, or the ingress gateway for clients."""
    origin: str
    region: str
    target: str = ""
    """`<tenant>/<service or store>`."""
    port: int = 0
    method: str = ""
    path: str = ""
    """As the service sees it."""
    name: str = ""
    """A DNS name, or an external host."""
    token: str = ""
    """`<client id>:<scope>,<scope>`; empty for none."""
    minute: int = NOON
    """Of the day, UTC."""
    amount: int = 1
    """Minor units in the body."""
    risk: str = ""
    """The caller's risk."""
    reason: str = ""
    """What OPA must name when it refuses."""

    @property
    def tenant(self) -> str:
        """The target's tenant."""
        return self.target.split("/", maxsplit=1)[0]

    def __str__(self) -> str:
        """One line for a report."""
        said = [f"{self.kind}: {self.caller} ({self.origin}) -> {self.target or self.name} ({self.region})"]
        said += [str(each) for each in (self.port, self.method, self.path, self.token, self.reason) if each]
        return " ".join(said)


class Sight(NamedTuple):
    """One question to one engine: what is asked, and the fields it is asked by."""

    what: str
    fields: tuple[str, ...]


class Atom(NamedTuple):
    """A question as a layer sees it."""

    layer: str
    what: str
    values: tuple[Any, ...]


class Answer(NamedTuple):
    """What an engine said."""

    allowed: bool
    why: str
    """Its own reason; empty when allowed."""


_ENDS: Final = ("caller", "origin", "target", "region")
_REQUEST: Final = Sight("request", (*_ENDS, "method", "path"))
_DECIDE: Final = Sight("decide", (*_ENDS, "method", "path", "token", "minute", "amount", "risk"))
_PAIR: Final = ("caller", "target", "region", "port")
_SENDS: Final = Sight("sends", _PAIR)
_FLOW: Final = (_SENDS, Sight("receives", _PAIR))
"""Each end of a connection for itself: one that is open is not seen as long as the other is shut."""
_TUNNEL: Final = Sight("tunnel", ("caller", "origin"))
_ENTRY: Final = Sight("entry", ("target", "region"))
_NAMED: Final = Sight("named", ("caller", "origin", "name"))
_LOOKUP: Final = Sight("lookup", ("caller", "origin", "name"))
_DIRECT: Final = Sight("direct", ("caller", "origin", "name", "port"))
_CROSSING: Final = (Sight("leaves", ("caller", "origin", "region")), Sight("enters", ("target", "region")))
_REGISTERED: Final = Sight("registered", ("caller", "origin"))
_ANYBODY: Final = Sight("anonymous", ("caller", "target", "region"))

SIGHT: Final[Mapping[str, Mapping[str, tuple[Sight, ...]]]] = {
    "call": {
        "istio-inbound": (_REQUEST,),
        "istio-outbound": (Sight("host", ("caller", "origin", "target")),),
        "opa": (_DECIDE,),
        "cilium": _FLOW,
        "networkpolicy": _FLOW,
        "both": _FLOW,
    },
    "crossing": {
        "istio-inbound": (_REQUEST,),
        "istio-outbound": (Sight("beyond", _ENDS),),
        "eastwest-gateway": (Sight("passes", ("target", "region")),),
        "opa": (_DECIDE,),
        "spire": (Sight("federates", ("caller", "origin", "region")), Sight("federates", ("target", "region", "origin"))),
        "cilium": _CROSSING,
        "networkpolicy": _CROSSING,
        "both": _CROSSING,
    },
    "port": {
        "istio-inbound": (Sight("port", (*_ENDS, "method", "path", "port")),),
        "cilium": _FLOW,
        "networkpolicy": _FLOW,
        "both": _FLOW,
    },
    "identity": {"spire": (_REGISTERED,)},
    "impostor": {"spire": (_REGISTERED,), "istio-inbound": (_ANYBODY,), "cilium": _FLOW, "both": (_SENDS,)},
    "stranger": {
        "spire": (_REGISTERED,),
        "istio-inbound": (_ANYBODY,),
        "cilium": _FLOW,
        "networkpolicy": _FLOW,
        "both": _FLOW,
    },
    "store": {
        "istio-outbound": (Sight("store", ("caller", "origin", "target")),),
        "cilium": _FLOW,
        "networkpolicy": _FLOW,
        "both": _FLOW,
    },
    "name": {"istio-outbound": (_NAMED,), "cilium": (_LOOKUP,), "both": (_LOOKUP,)},
    "external": {
        "istio-outbound": (_NAMED,),
        "egress-gateway": (Sight("egress", ("caller", "origin", "name")),),
        "cilium": (_LOOKUP, _TUNNEL, Sight("outside", ("origin", "name", "port"))),
        "both": (_LOOKUP, _TUNNEL, Sight("outside", ("origin", "name", "port"))),
        "networkpolicy": (_TUNNEL,),
    },
    "direct": {
        "istio-outbound": (Sight("anything", ("caller", "origin")),),
        "cilium": (_DIRECT,),
        "networkpolicy": (_DIRECT,),
        "both": (_DIRECT,),
    },
    "route": {
        "ingress-gateway": (Sight("public", ("tenant", "region", "method", "path", "token")),),
        "istio-inbound": (Sight("private", ("target", "region", "method", "path", "token")),),
        "opa": (Sight("admit", ("target", "region", "method", "path", "token")),),
        "cilium": (_ENTRY,),
        "networkpolicy": (_ENTRY,),
        "both": (_ENTRY,),
    },
}
"""By kind of question: which layers see it, and what of it. NetworkPolicy knows no account and no name, so added to Cilium it
admits an impostor at the far end, and the impostor's own end is what is shut; only OPA sees context."""
SIGHT_OF_CONTEXT: Final = {"context": SIGHT["call"], "context-crossing": SIGHT["crossing"]}
SINGLES: Final = {"scope": "opa", "hours": "opa", "amount": "opa", "risk": "opa"}
"""What one layer alone decides, by the reason it gives: the context of a call whose caller, callee and operation are declared."""


def atoms(question: Question, layer: str, sights: tuple[Sight, ...]) -> list[Atom]:
    """The question as a layer sees it."""
    return [Atom(layer, each.what, tuple(getattr(question, field) for field in each.fields)) for each in sights]


def sights(question: Question) -> Mapping[str, tuple[Sight, ...]]:
    """The layers that see a question."""
    return SIGHT.get(question.kind) or SIGHT_OF_CONTEXT[question.kind]


def questions(tree: dict[str, Any], only: str | None = None) -> list[Question]:
    """Every question about a tree of settings that ends in a region, or in any."""
    found: dict[Question, None] = {}
    for region in sorted(tree["regions"]) if only is None else [only]:
        for each in (*_calls(tree, region), *_intruders(tree, region), *_beyond(tree, region), *_routes(tree, region)):
            found[each] = None
    return list(found)


def every_scope(tree: dict[str, Any]) -> str:
    """All scopes that any edge asks for."""
    calls = [call.get("conditions") or {} for call in (tree["access"].get("calls") or {}).values()]
    wanted = {scope for each in (*calls, *(tree["access"].get("routes") or {}).values()) for scope in each.get("scopes") or ()}
    return ",".join(sorted(wanted))


def _port(tree: dict[str, Any], ref: str) -> int:
    tenant, name = ref.split("/")
    return int(tree["tenants"][tenant]["services"][name].get("port", 8080))


def _here(tree: dict[str, Any], region: str) -> list[str]:
    return [ref for ref in oracle.services(tree) if region in oracle.regions_of(tree, ref)]


def _minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _calls(tree: dict[str, Any], region: str) -> Iterator[Question]:
    for target in _here(tree, region):
        routes = [route for route in (tree["access"].get("routes") or {}).values() if route["service"] == target]
        client = routes[0]["clients"][0].replace("/", ".") if routes else "nobody.app"
        token = f"{client}:{every_scope(tree)}"
        others = [(caller, origin) for caller in oracle.services(tree) for origin in oracle.regions_of(tree, caller)]
        every = [each for one in others for each in oracle.declared(tree, *one, target, region)]
        for caller, origin in others:
            if caller == target:
                continue
            declared = oracle.declared(tree, caller, origin, target, region)
            ends = {"caller": caller, "origin": origin, "target": target, "region": region, "port": _port(tree, target)}
            kind = "call" if origin == region else "crossing"
            for method, path in oracle.requests([*every, *oracle.routed(tree, target)]):
                covering = [each for each in declared if each.covers(method, path)]
                asked = {**ends, "method": method, "path": path, "token": token}
                if not covering:
                    reason = oracle.refusal(tree, (caller, origin, target, region), path)
                    yield Question(kind=kind, allowed=False, reason=reason, **asked)
                    continue
                hours = _conditions(tree, covering[0]).get("hours")
                minute = _minutes(hours["start"]) if hours else NOON
                yield Question(kind=kind, allowed=True, minute=minute, **asked)
                if len({each.edge for each in covering}) == 1 and path == covering[0].sample:
                    yield from _context(tree, covering[0], kind, {**asked, "minute": minute})
            if origin == region:
                for port in STRANGE_PORTS:
                    yield Question(kind="port", allowed=False, method="GET", path="/", **{**ends, "port": port})


def _conditions(tree: dict[str, Any], operation: oracle.Operation) -> dict[str, Any]:
    found: dict[str, Any] = tree["access"]["calls"][operation.edge].get("conditions") or {}
    return found


def _context(tree: dict[str, Any], operation: oracle.Operation, kind: str, asked: dict[str, Any]) -> Iterator[Question]:
    """Everything as declared but for one condition."""
    wanted, named = _conditions(tree, operation), {"call": "context", "crossing": "context-crossing"}[kind]
    ceiling = LEVELS.index(wanted.get("risk_ceiling", "medium"))
    changes: dict[str, dict[str, Any]] = {"risk": {"risk": LEVELS[ceiling + 1]}}
    if wanted.get("scopes"):
        client, _, scopes = asked["token"].partition(":")
        kept = ",".join(sorted(set(scopes.split(",")) - {wanted["scopes"][0]}))
        changes["scope"] = {"token": f"{client}:{kept}"}
    if wanted.get("hours"):
        changes["hours"] = {"minute": _minutes(wanted["hours"]["end"])}
    if wanted.get("amount_limit_minor_units"):
        changes["amount"] = {"amount": wanted["amount_limit_minor_units"] + 1}
    for reason, change in changes.items():
        yield Question(kind=named, allowed=False, reason=reason, **{**asked, **change})


def _intruders(tree: dict[str, Any], region: str) -> Iterator[Question]:
    """Pods that wear a service's label without its account, and pods of no service at all."""
    here = _here(tree, region)
    yield from (Question(kind="identity", allowed=True, caller=each, origin=region, region=region) for each in here)
    intruders = {f"impostor of {each}": "impostor" for each in here} | {
        f"stranger in {each}": "stranger" for each in tree["tenants"]
    }
    for caller, kind in intruders.items():
        for target in here:
            port = _port(tree, target)
            yield Question(kind=kind, allowed=False, caller=caller, origin=region, target=target, region=region, port=port)


def _beyond(tree: dict[str, Any], region: str) -> Iterator[Question]:
    """Stores, names and hosts outside."""
    egress = tree["access"].get("egress") or {}
    hosts = {edge["host"]: edge.get("port", 443) for edge in egress.values()} | dict.fromkeys(STRANGE_HOSTS, 443)
    services = oracle.services(tree)
    known = {name for each in services for name in oracle.service_names(each)}
    known |= {name for store in oracle.stores(tree) for name in oracle.store_names(tree, store)}
    for caller in _here(tree, region):
        ends = {"caller": caller, "origin": region, "region": region}
        for store in oracle.stores(tree):
            port, allowed = oracle.store_port(tree, store), oracle.uses(tree, caller, store)
            yield Question(kind="store", allowed=allowed, target=store, port=port, **ends)
        reached = oracle.names(tree, caller, region)
        for name in sorted(known):
            yield Question(kind="name", allowed=name in reached, name=name, **ends)
        for host, port in sorted(hosts.items()):
            allowed = oracle.reaches(tree, caller, host, port)
            yield Question(kind="external", allowed=allowed, name=host, port=port, **ends)
            yield from (Question(kind="direct", allowed=False, name=host, port=each, **ends) for each in (53, port))


def _routes(tree: dict[str, Any], region: str) -> Iterator[Question]:
    """What clients ask for from outside, with tokens that are good and tokens that each lack one thing."""
    routes = tree["access"].get("routes") or {}
    for target in _here(tree, region):
        tenant = target.split("/", maxsplit=1)[0]
        beside = [
            operation
            for each in oracle.services(tree)
            if each.startswith(f"{tenant}/")
            for operation in oracle.routed(tree, each)
        ]
        own = oracle.routed(tree, target)
        tokens: dict[str, tuple[str, frozenset[str], str]] = {"": ("", frozenset(), "client,scope,token")}
        for edge in {operation.edge for operation in own}:
            client, needed = routes[edge]["clients"][0].replace("/", "."), frozenset(routes[edge]["scopes"])
            tokens[_token(client, needed)] = (client, needed, "")
            tokens[_token("nobody.app", needed)] = ("nobody.app", needed, "client")
            for scope in needed:
                tokens[_token(client, needed - {scope})] = (client, needed - {scope}, "scope")
        ends = {"caller": "ingress-gateway", "origin": region, "target": target, "region": region}
        for token, (client, scopes, lacks) in tokens.items():
            for method, path in oracle.requests(beside):
                covering = [each for each in own if each.covers(method, path)]
                allowed = any(oracle.admits(tree, each, client, scopes) for each in covering)
                on_path = any(oracle.matches(each.pattern, path) for each in own)
                reason = lacks if covering else "no edge" if not own else "method" if on_path else "path"
                reason = "" if len({each.edge for each in own}) > 1 else reason
                yield Question(kind="route", allowed=allowed, method=method, path=path, token=token, reason=reason, **ends)


def _token(client: str, scopes: frozenset[str]) -> str:
    return f"{client}:{','.join(sorted(scopes))}"
