"""The controls of admission, read from their files: what each says, who enforces it, where it holds.

A control is a folder `<engine>/<id>/`. Gatekeeper's has `control.yaml` (title, kind of the constraint, scope, match, parameters
and a sample of them), `rule.rego` (Rego v1) and `samples/{allowed,refused}.yaml`, each document of which is judged by itself.
Kyverno's has `control.yaml` (title, scope), `policy.yaml`, and its own test beside it. The floor's are `floor/<id>.yaml`.

Gatekeeper's rules are Rego and the floor's are CEL, on purpose: where both guard the same thing they share no evaluator. A
shared library is possible in Rego only, and what walks over three lists of containers should be written once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from components.graph.model import Graph
from components.settings.guardrails import HOST_FILES, today

FOLDER: Final = Path(__file__).parent
ACCOUNTS: Final = "accounts"
"""The parameter of a control from which single accounts may be exempt."""
Engine = Literal["gatekeeper", "kyverno", "floor"]
Scope = Literal["everywhere", "unclaimed-and-tenants", "each-tenant", "unclaimed", "tenants", "cluster"]
DOES: Final[Mapping[Engine, str]] = {
    "gatekeeper": "refuses, and reports what stands",
    "kyverno": "fills in or makes",
    "floor": "refuses, in the API server itself",
}


@dataclass(frozen=True, kw_only=True)
class Control:
    """One control as its files say it."""

    id: str
    engine: Engine
    title: str
    scope: Scope
    kind: str = ""
    """Gatekeeper: the kind of its constraints."""
    match: tuple[str, ...] = ()
    """Gatekeeper: names of `constraints.MATCHES`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Gatekeeper: the schema of its parameters' properties."""
    sample: Mapping[str, Any] = field(default_factory=dict)
    """Gatekeeper: parameters that its samples are judged with."""

    @property
    def folder(self) -> Path:
        """Where its files lie; a control of the floor is one file there."""
        return FOLDER / self.engine / self.id

    @property
    def rule(self) -> str:
        """Gatekeeper: its Rego."""
        return (self.folder / "rule.rego").read_text(encoding="utf-8")


@cache
def controls() -> tuple[Control, ...]:
    """Every control, by engine and id."""
    found = []
    for engine in ("floor", "gatekeeper", "kyverno"):
        pattern = "*.yaml" if engine == "floor" else "*/control.yaml"
        for file in sorted((FOLDER / engine).glob(pattern)):
            said = yaml.safe_load(file.read_text(encoding="utf-8"))
            if engine == "floor":
                said = {"title": said["title"], "scope": said["scope"]}
            said["match"] = tuple(said.get("match", ()))
            found.append(Control(id=file.stem if engine == "floor" else file.parent.name, engine=engine, **said))
    return tuple(found)


def of_engine(engine: Engine) -> tuple[Control, ...]:
    """The controls of one engine."""
    return tuple(control for control in controls() if control.engine == engine)


@dataclass(frozen=True, kw_only=True)
class Excepted:
    """One service account to which a control does not apply."""

    namespace: str
    account: str

    def as_json(self) -> dict[str, str]:
        """As the constraints' parameters say it."""
        return {"namespace": self.namespace, "account": self.account}


def exempt(graph: Graph, control: str) -> tuple[str, ...]:
    """Namespaces to which the control does not apply at all today, by the settings' exemptions.

    Raises:
        ValueError: for an exemption of a control that nobody can be exempt from: there is none of that name, it holds for
            tenants alone, or it is not about pods and the exemption names accounts.
    """
    checked(graph)
    in_force = graph.settings.guardrails.in_force(today()).values()
    whole = (one for one in in_force if control in one.controls and not one.accounts)
    return tuple(sorted({namespace for one in whole for namespace in one.namespaces}))


def excepted(graph: Graph, control: str) -> tuple[Excepted, ...]:
    """Service accounts to which the control does not apply today. Raises ValueError as `exempt` does."""
    checked(graph)
    found = {
        (namespace, account)
        for one in graph.settings.guardrails.in_force(today()).values()
        if control in one.controls
        for namespace in one.namespaces
        for account in one.accounts
    }
    return tuple(Excepted(namespace=namespace, account=account) for namespace, account in sorted(found))


def host_paths(graph: Graph) -> list[dict[str, str]]:
    """Who may mount which folder of the node today: namespace, account, path, access."""
    found = {
        (namespace, account, path, access)
        for one in graph.settings.guardrails.in_force(today()).values()
        for path, access in one.host_paths.items()
        for namespace in one.namespaces
        for account in one.accounts
    }
    return [
        {"namespace": namespace, "account": account, "path": path, "access": access}
        for namespace, account, path, access in sorted(found)
    ]


def checked(graph: Graph) -> None:
    """Raises ValueError for an exemption that names a control from which there is none."""
    everywhere = {one.id: one for one in of_engine("gatekeeper") if one.scope == "everywhere"}
    for name, one in sorted(graph.settings.guardrails.exemptions.items()):
        known = {key for key, control in everywhere.items() if not one.accounts or ACCOUNTS in control.parameters}
        if wrong := sorted(set(one.controls) - known):
            msg = f"guardrails.exemptions.{name}.controls: {', '.join(wrong)}: name some of {', '.join(sorted(known))}"
            raise ValueError(msg)


def admission_table(graph: Graph | None = None) -> tuple[tuple[str, ...], ...]:
    """Rows (id, what, engine, scope, files, exempt) of every control; the last is empty without a graph.

    Exempt are whole namespaces, `<namespace>/<account>`, and an account with the node's folders it may mount.
    """
    return tuple(
        (
            one.id,
            one.title,
            f"{one.engine}: {DOES[one.engine]}",
            one.scope,
            f"components/admission/{one.engine}/{one.id}" + (".yaml" if one.engine == "floor" else "/"),
            ", ".join(_exempt(graph, one)) if graph and one.engine == "gatekeeper" else "",
        )
        for one in controls()
    )


def _exempt(graph: Graph, control: Control) -> list[str]:
    paths = [f"{one['namespace']}/{one['account']}: {one['path']} ({one['access']})" for one in host_paths(graph)]
    return [
        *exempt(graph, control.id),
        *(f"{one.namespace}/{one.account}" for one in excepted(graph, control.id)),
        *(paths if control.id == HOST_FILES else []),
    ]
