"""The program's `local` stack, brought up by the real engine onto the running clusters."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import yaml
from pulumi import automation as auto
from pulumi.automation import events

from sandbox.engine import resolve
from sandbox.lifecycle import ONE_CHECKPOINT
from sandbox.live.running import VARIABLE
from sandbox.local.charts import machine_values
from sandbox.local.plan import Plan
from sandbox.plugins import chosen
from sandbox.session import (
    Place,
    abandoned_quietly,
    open_session,
    program_file,
    program_of,
    rare_collections,
    scrubbed_environment,
)
from sandbox.toolchain import ROOT

PARALLEL: Final = 32
LEFT_OUT: Final[Mapping[str, str]] = {
    "cilium": "the nodes bring their own network; its policies are judged by its own engine",
    "external-dns": "there is no Route 53 to write to; the sandbox's cloud answers the names it would publish",
    "kyverno": "what it adds to objects the platform's own objects have; it is judged by its own command line",
    **dict.fromkeys(
        ("Deployment security/falcosidekick", "Service security/falcosidekick"),
        "its program is in no module, and there is no Falco whose events it would forward; the proof posts one with its identity",
    ),
    "CronJob vault/vault-snapshot": "there is no S3 to carry a snapshot to",
}
"""Charts and objects that could be here and are not."""
WITHOUT: Final[Mapping[str, tuple[str, ...]]] = {
    # there is no S3, and without the plug-in that writes to it the operator starts no database that names it
    "postgresql.cnpg.io/v1/Cluster": ("spec.plugins",),
    "postgresql.cnpg.io/v1/ScheduledBackup": ("spec.immediate",),
}
"""Fields of declared objects that the clusters are not told."""


TIMES: Final = "stack.tsv"
"""In the sandbox's logs: for each resource its URN, when it was begun and how long it took, in seconds."""


class UnderWay:
    """What of an update is done and what it waits for."""

    def __init__(self) -> None:
        self.done = 0
        self._began = time.monotonic()
        self._since: dict[str, float] = {}
        self._took: dict[str, tuple[float, float]] = {}

    def see(self, event: events.EngineEvent) -> None:
        """Takes an event of the engine."""
        now = time.monotonic() - self._began
        if event.resource_pre_event is not None:
            self._since[event.resource_pre_event.metadata.urn] = now
        if event.res_outputs_event is not None:
            urn = event.res_outputs_event.metadata.urn
            self.done += 1
            began = self._since.pop(urn, now)
            self._took[urn] = began, now - began

    def times(self) -> list[str]:
        """A line for each resource, in the order that they were begun; those that never ended have no duration."""
        lines = {**self._took, **{urn: (began, None) for urn, began in self._since.items()}}
        ordered = sorted(lines.items(), key=lambda one: one[1][0])
        return [f"{urn}\t{began:.1f}\t{'' if took is None else f'{took:.1f}'}" for urn, (began, took) in ordered]

    def __str__(self) -> str:
        # the stack and its components are under way as long as their children
        kinds = {urn: urn.split("::")[2].rpartition("$")[2] for urn in self._since}
        waiting = [urn for urn, kind in kinds.items() if not kind.startswith(("zerotrust:", "pulumi:"))]
        first = waiting[0].rpartition("::")[2] if waiting else ""
        others = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        return f"{self.done} resources" + (f", under way {first}{others}" if first else "")


class DeployError(Exception):
    """The engine did not bring the stack up; what it says of the resources that failed."""

    user_facing = True


def running(where: Plan, authority: Path) -> Path:
    """Writes what the live providers need to know of the clusters; returns the file.

    Args:
        where: the running sandbox.
        authority: the certificate that signs what the sandbox's cloud serves.
    """
    file = where.home / "running.json"
    regions = {region.code: {"kubeconfig": str(region.kubeconfig)} for region in where.regions}
    # the issuer's certificate is of the sandbox's own authority, which nobody else would trust
    issuer = where.home / "istiod.yaml"
    issuer.write_text(yaml.safe_dump({"jwksResolverExtraRootCA": authority.read_text(encoding="utf-8")}), encoding="utf-8")
    values = {name: [str(path)] for name, path in machine_values().items()}
    values["istiod"].append(str(issuer))
    known = {"regions": regions, "home": str(where.home), "left_out": dict(LEFT_OUT), "values": values, "without": dict(WITHOUT)}
    file.write_text(json.dumps(known), encoding="utf-8")
    return file


def up(stack: str, where: Plan, authority: Path, progress: Callable[[str], None]) -> int:
    """Brings the stack up; returns how many resources it has. `authority` is as `running` wants it.

    Raises:
        DeployError: with the engine's diagnostics, each once.
        ToolError: without a Pulumi engine.
    """
    said: list[str] = []
    under_way = UnderWay()

    def see(event: events.EngineEvent) -> None:
        under_way.see(event)
        if event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            said.append(event.diagnostic_event.message.strip())
        progress(str(under_way))

    place = Place(project=ROOT, work=where.home / "work", state=where.home / "state")
    with ExitStack() as held:
        for one in (scrubbed_environment(), rare_collections(), abandoned_quietly()):
            held.enter_context(one)
        session = open_session(
            stack,
            program_of(program_file(ROOT)),
            engine=resolve(progress),
            plugins=chosen(),
            place=place,
            env={VARIABLE: str(running(where, authority)), **ONE_CHECKPOINT},
        )
        try:
            session.stack.up(on_event=see, parallel=PARALLEL, color="never")
        except (auto.errors.CommandError, auto.InlineSourceRuntimeError, RuntimeError) as error:
            raise DeployError("\n".join(dict.fromkeys(said)) or str(error)) from None
        finally:
            (where.home / "logs" / TIMES).write_text("\n".join(under_way.times()) + "\n", encoding="utf-8")
    return under_way.done
