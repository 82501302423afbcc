"""The program's `local` stack, brought up by the real engine onto the running clusters."""

import json
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
        "its program is in no module, and there is no Falco whose events it would forward",
    ),
}
"""Charts and objects that could be here and are not."""
WITHOUT: Final[Mapping[str, tuple[str, ...]]] = {
    # there is no S3, and without the plug-in that writes to it the operator starts no database that names it
    "postgresql.cnpg.io/v1/Cluster": ("spec.plugins",),
    "postgresql.cnpg.io/v1/ScheduledBackup": ("spec.immediate",),
}
"""Fields of declared objects that the clusters are not told."""


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
    done = 0

    def see(event: events.EngineEvent) -> None:
        nonlocal done
        if event.res_outputs_event is not None:
            done += 1
            progress(f"{done} resources, the last one {event.res_outputs_event.metadata.urn.rsplit('::', 1)[-1]}")
        if event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            said.append(event.diagnostic_event.message.strip())

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
    return done
