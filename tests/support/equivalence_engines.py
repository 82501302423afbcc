"""The engines' answers to what the layers see: one process per engine and region, one Envoy for all proxies of a region.

An engine is asked again only when what it is given changed, so a mutation costs the engines it touches.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from components.graph.names import EASTWEST, EGRESS, INGRESS
from sandbox import opa
from sandbox.cilium_verdicts import CILIUM_POLICIES, NETWORK_POLICY, Address, Flow, Lookup, Side, Workload, judge, of_kind
from sandbox.istio_pki import Leaf, Pki, Token
from sandbox.istio_verdicts import Answer as Said
from sandbox.istio_verdicts import Built, IstioVerdicts, Request
from tests.support import oracle
from tests.support.equivalence_questions import TUNNEL_PORT, Answer, Atom
from tests.support.equivalence_scope import scope
from tests.support.equivalence_world import World

NETWORK: Final = {
    "cilium": CILIUM_POLICIES,
    "networkpolicy": NETWORK_POLICY,
    "both": (*CILIUM_POLICIES, *NETWORK_POLICY),
}
NANOSECONDS_OF_A_MINUTE: Final = 60 * 10**9
TOKEN_SECONDS: Final = 4 * 3600
ISSUER_KEY: Final = "issuer"


Answers = dict[Atom, Answer]
Worlds = Mapping[str, World]


@dataclass
class Engines:
    """The engines, their certificates and what they have said so far."""

    seconds: dict[str, float] = field(default_factory=dict)
    """By engine, what was spent on asking it."""
    _scratch: tempfile.TemporaryDirectory[str] = field(default_factory=lambda: tempfile.TemporaryDirectory(prefix="equivalence-"))
    _said: dict[str, Any] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)
    _leaves: dict[tuple[str, str], Leaf] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = Path(self._scratch.name)
        self.pki = Pki(self.folder / "pki")

    def answers(self, worlds: Worlds, atoms: Iterable[Atom]) -> Answers:
        """Every atom's answer.

        Raises:
            sandbox.istio_pki.RefusedError: Istio, or the strict check before it, refuses an object.
            sandbox.cilium_verdicts.VerdictError: Cilium's engine refuses one.
        """
        by_layer: dict[str, list[Atom]] = {}
        for each in sorted(set(atoms), key=repr):
            by_layer.setdefault(each.layer, []).append(each)
        found: Answers = {}
        for layer in NETWORK:
            found |= self._network(worlds, layer, by_layer.pop(layer, []))
        found |= self._opa(worlds, by_layer.pop("opa", []))
        found |= {each: _registered(worlds, each) for each in by_layer.pop("spire", [])}
        found |= self._istio(worlds, [each for several in by_layer.values() for each in several])
        return found

    @contextmanager
    def _timed(self, engine: str) -> Any:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[engine] = self.seconds.get(engine, 0.0) + time.monotonic() - begun

    def _once(self, engine: str, given: Any, ask: Callable[[], Any]) -> Any:
        key = engine + hashlib.sha256(json.dumps(given, sort_keys=True, default=repr).encode()).hexdigest()
        if key not in self._said:
            with self._timed(engine):
                self._said[key] = ask()
        return self._said[key]

    # network

    def _network(self, worlds: Worlds, layer: str, atoms: Sequence[Atom]) -> Answers:
        found: Answers = {}
        for region, world in worlds.items():
            pods = world.pods
            mine = [each for each in atoms if _where(each, worlds) == region]
            if not mine:
                continue
            policies = of_kind(world.objects.values(), NETWORK[layer])
            given = [region, policies, [vars(pod) for pod in pods.values()], mine, world.namespaces()]
            found |= self._once(layer, given, lambda w=world, p=pods, o=policies, m=mine: self._judged(w, p, o, m))
        return found

    @staticmethod
    def _judged(world: World, pods: Mapping[str, Workload], policies: Sequence[Any], atoms: Sequence[Atom]) -> Answers:
        flows, lookups, names = {}, {}, {}
        for number, each in enumerate(atoms):
            if each.what == "lookup":
                caller, _, name = each.values
                lookups[each] = Lookup(id=f"l{number}", source=caller, dns_server="dns", name=name)
                continue
            source, target, port = _flow(world, each)
            if target not in pods and not target.startswith("region "):
                names.setdefault(target, f"198.51.101.{len(names) + 1}")
            flows[each] = Flow(id=f"f{number}", source=source, target=target, port=port)
        others = [code for code in world.tree["regions"] if code != world.region]
        said = judge(
            policies,
            world.namespaces(),
            pods.values(),
            flows.values(),
            lookups.values(),
            cluster_name=world.region,
            addresses=[Address(id=f"region {code}", ip=world.eastwest(code)) for code in others],
            names=names,
        )
        found: Answers = {}
        for each, flow in flows.items():
            verdict = said.flows[flow.id]
            ends = {"sends": ((verdict.egress, flow.source),), "receives": ((verdict.ingress, flow.target),)}
            asked = ends.get(each.what, (*ends["sends"], *ends["receives"]))
            why = [_reason(side, pods[end].namespace if end in pods else "") for side, end in asked if side.verdict == "deny"]
            found[each] = Answer(not why, "; ".join(why))
        for each, lookup in lookups.items():
            answered = said.lookups[lookup.id].resolve == "allow"
            found[each] = Answer(answered, "" if answered else "name")
        return found

    # decisions

    def _opa(self, worlds: Worlds, atoms: Sequence[Atom]) -> Answers:
        known: dict[tuple[str, str], Any] = {}
        risky: dict[tuple[str, str, str], Any] = {}
        asked: list[opa.Question] = []
        kept: list[Atom] = []
        found: Answers = {}
        for each in atoms:
            if each.what == "decide":
                caller, origin, target, region, method, path, token, minute, amount, risk = each.values
            else:
                target, region, method, path, token = each.values
                caller, origin, minute, amount, risk = f"{INGRESS.namespace}/{INGRESS.name}", region, 720, 1, ""
            world = worlds[region]
            principal = _identity(worlds, caller, origin)
            data = known.setdefault((target, region), world.opa(target))
            if data is None:
                found[each] = Answer(allowed=False, why="no data")
                continue
            if risk:
                data = risky.setdefault(
                    (target, region, f"{principal} {risk}"), {**data, "risk": {**data["risk"], principal: risk}}
                )
            client, _, scopes = token.partition(":")
            claims = (
                {"iss": world.tree["identity"]["issuer"], "azp": client, "scope": scopes.replace(",", " ")} if token else None
            )
            body = json.dumps({"amount_minor_units": amount})
            request = opa.request(f"spiffe://{principal}" if principal else "", method, path, claims=claims, body=body)
            asked.append(opa.Question(data=data, input=request, now_ns=minute * NANOSECONDS_OF_A_MINUTE))
            kept.append(each)
        given = [[each.data, each.input, each.now_ns] for each in asked]
        for each, said in zip(kept, self._once("opa", given, lambda: opa.ask(asked)), strict=True):
            found[each] = Answer(said.allowed, ",".join(said.reasons))
        return found

    # mesh

    def _istio(self, worlds: Worlds, atoms: Sequence[Atom]) -> Answers:
        self._prepare(worlds, atoms)
        found: Answers = {}
        for region, world in worlds.items():
            mine = [each for each in atoms if _where(each, worlds) == region]
            if not mine:
                continue
            asked = {each: request for each in mine if (request := self._request(worlds, each)) is not None}
            given = [region, world.istio(), world.mesh, [vars(each) for each in world.proxies()], list(asked.values())]
            built, said = self._once("istio", given, lambda w=world, a=asked: self.envoy(w, list(a.values())))
            found |= {each: _verdict(answer) for each, answer in zip(asked, said, strict=True)}
            found |= {each: scope(world, built, each) for each in mine if each not in asked}
        return found

    def envoy(self, world: World, requests: Sequence[Request]) -> tuple[Built, list[Said]]:
        """The configuration of a region's proxies and the verdicts on some requests; nothing is kept."""
        certificate = self._leaf(f"{world.domain}/ns/{INGRESS.namespace}/sa/tls", world.domain)
        with IstioVerdicts(
            world.istio(),
            yaml.safe_dump(world.mesh),
            world.proxies(),
            self.folder / world.region,
            self.pki,
            credentials={"ingress-tls": certificate},
            jwks={world.jwks: self.pki.key_set(ISSUER_KEY)},
        ) as istio:
            return istio.built, istio.ask(requests)

    def _leaf(self, identity: str, authority: str) -> Leaf:
        return self.pki.leaves({identity: f"spiffe://{identity}"}, signed_by=authority)[identity]

    def _prepare(self, worlds: Worlds, atoms: Sequence[Atom]) -> None:
        """Certificates of everybody who has an identity, and every token that a question names."""
        for world in worlds.values():
            if missing := sorted(each for each in set(world.identities.values()) if (each, world.domain) not in self._leaves):
                made = self.pki.leaves({each: f"spiffe://{each}" for each in missing}, signed_by=world.domain)
                self._leaves |= {(name, world.domain): leaf for name, leaf in made.items()}
        now = int(time.time())
        tokens: dict[str, Token] = {}
        for each in atoms:
            if each.what not in {"public", "private"} or not each.values[-1]:
                continue
            world = worlds[each.values[1]]
            client, _, scopes = each.values[-1].partition(":")
            claims = {"iss": world.tree["identity"]["issuer"], "aud": world.audience, "sub": "someone", "azp": client}
            times = {"scope": scopes.replace(",", " "), "iat": now, "exp": now + TOKEN_SECONDS}
            tokens[f"{world.audience} {each.values[-1]}"] = Token(key=ISSUER_KEY, claims={**claims, **times})
        if missing := {name: token for name, token in tokens.items() if name not in self._tokens}:
            self._tokens |= self.pki.tokens(missing)

    def caller(self, worlds: Worlds, caller: str, origin: str) -> Leaf | None:
        """The certificate that a pod of a region holds; None when SPIRE gives it none."""
        identity = _identity(worlds, caller, origin)
        return self._leaves[identity, worlds[origin].domain] if identity else None

    def _bearer(self, world: World, token: str) -> tuple[tuple[str, str], ...]:
        return (("Authorization", f"Bearer {self._tokens[f'{world.audience} {token}']}"),) if token else ()

    def _request(self, worlds: Worlds, atom: Atom) -> Request | None:
        """The request that an atom means to Envoy; None where the answer stands in the configuration."""
        values = atom.values
        match atom.what:
            case "request":
                caller, origin, target, _, method, path = values
                leaf = self.caller(worlds, caller, origin)
                return Request(proxy=target, caller=leaf, method=method, path=path, host=target.split("/")[1])
            case "anonymous":
                caller, target, region = values
                leaf = self.caller(worlds, caller, region)
                return Request(proxy=target, caller=leaf, path="/", host=target.split("/")[1])
            case "port":
                caller, origin, target, _, method, path, port = values
                leaf = self.caller(worlds, caller, origin)
                return Request(proxy=target, caller=leaf, method=method, path=path, host="x", port=port)
            case "private":
                target, region, method, path, token = values
                leaf, headers = self.caller(worlds, INGRESS.name, region), self._bearer(worlds[region], token)
                return Request(proxy=target, caller=leaf, method=method, path=path, host=target.split("/")[1], headers=headers)
            case "public":
                tenant, region, method, path, token = values
                world = worlds[region]
                headers, host = self._bearer(world, token), world.tree["edge"]["domain"]
                return Request(proxy=INGRESS.name, method=method, path=f"/{tenant}{path}", host=host, headers=headers)
            case _:
                return None


def _where(atom: Atom, worlds: Worlds) -> str:
    """The region whose engine answers: the first region among the atom's values, but the callee's for a request."""
    if atom.what in {"request", "port", "sends", "receives"}:
        return str(atom.values[3] if atom.what in {"request", "port"} else atom.values[2])
    return next(str(value) for value in atom.values if value in worlds)


def _flow(world: World, atom: Atom) -> tuple[str, str, int]:
    values = atom.values
    match atom.what:
        case "sends" | "receives":
            return values[0], values[1], values[3]
        case "leaves":
            return values[0], f"region {values[2]}", TUNNEL_PORT
        case "enters" | "entry":
            gateway = EASTWEST if atom.what == "enters" else INGRESS
            tenant, name = values[0].split("/")
            return gateway.name, values[0], world.tree["tenants"][tenant]["services"][name].get("port", 8080)
        case "tunnel":
            return values[0], EGRESS.name, TUNNEL_PORT
        case "outside":
            return EGRESS.name, values[1], values[2]
        case _:
            return values[0], values[2], values[3]


def _reason(side: Side, namespace: str) -> str:
    """A denial and who made it, `cluster` and `namespace` for the two default denials."""
    if side.reason != "default-deny":
        return f"{side.reason} {','.join(side.policies)}"
    by = {"cluster": "CiliumClusterwideNetworkPolicy/default-deny", "namespace": f"NetworkPolicy/{namespace}/default-deny"}
    return " ".join(["default-deny", *(name for name, policy in by.items() if policy in side.policies)])


def _identity(worlds: Worlds, caller: str, origin: str) -> str | None:
    name = caller.removeprefix(f"{INGRESS.namespace}/") if caller.endswith(INGRESS.name) else caller
    return worlds[origin].identities.get(name)


def _registered(worlds: Worlds, atom: Atom) -> Answer:
    if atom.what == "registered":
        caller, origin = atom.values
        identity = _identity(worlds, caller, origin)
        wanted = oracle.principal(worlds[origin].tree, caller, origin) if " " not in caller else ""
        return Answer(identity is not None and identity == wanted, identity or "no identity")
    service, here, there = atom.values
    pods = worlds[here].pods
    held = service in pods and worlds[there].domain in worlds[here].bundles(pods[service])
    return Answer(held, "" if held else "no bundle")


def _verdict(said: Said) -> Answer:
    return Answer(said.verdict == "200", said.verdict if said.verdict in {"tls", "reset"} else f"{said.verdict} {said.reason}")
