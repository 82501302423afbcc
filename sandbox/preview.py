"""`python -m sandbox.preview --stack dev`: the program on the real engine, without an account and without a network.

Prints what would be created, where, what the policies say of it and who stood in for which provider; writes the same as
`build/preview/<stack>.json`. Exit code 1 on any error and on any mandatory violation.
"""

import argparse
import contextlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
from pulumi import automation as auto
from rich.console import Console
from rich.table import Table

from components.settings import CONFIG_KEY, SettingsError, load_file
from sandbox.engine import Engine, resolve
from sandbox.observed import Observed, Verdict, raw_events
from sandbox.plugins import SETTING, Kind, chosen
from sandbox.session import (
    BUILD,
    Place,
    Program,
    abandoned_quietly,
    open_session,
    program_file,
    program_of,
    rare_collections,
    scrubbed_environment,
)
from sandbox.toolchain import ROOT, ToolError

POLICY_PACK: Final = ROOT / "policy"


@dataclass
class Settled:
    """Keeps the exception of a program whose message is meant for its user."""

    error: BaseException | None = None

    def guard(self, program: Program) -> Program:
        """The program, with a user's error reported by its message alone."""

        def run() -> None:
            try:
                program()
            except Exception as error:
                if getattr(error, "user_facing", False):
                    self.error = error
                    raise pulumi.RunError(str(error)) from None
                raise

        return run


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished preview. `failed` is the engine's word; `diff` its text when it was asked for."""

    stack: str
    seconds: float
    observed: Observed
    engine: Engine
    plugins: dict[str, Kind]
    placeholders: list[str]
    failed: bool
    diff: str = ""
    user_error: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether the preview ran to its end: what failed, if anything, are policies and nothing else."""
        return not self.failed or (bool(self.observed.mandatory) and not self.program_errors)

    @property
    def program_errors(self) -> list[str]:
        """Errors that are not the engine's echo of a violation."""
        echoes = ("preview failed", "update failed", "One or more policy")
        return [error for error in self.observed.errors if not any(echo in error for echo in echoes)]

    def as_json(self) -> dict[str, Any]:
        """What `build/preview/<stack>.json` holds."""
        seen = self.observed
        return {
            "stack": self.stack,
            "seconds": round(self.seconds, 2),
            "resources": {"total": len(seen.counted()), "by_type": seen.by_type()},
            "policies": {
                "checked": len(seen.policies_run),
                "could_not_run": [verdict.as_json() for verdict in seen.could_not_run],
                "exempt": [verdict.as_json() for verdict in seen.exempt],
                "violations": [verdict.as_json() for verdict in seen.violations],
            },
            "engine": {"version": self.engine.version, "source": self.engine.source},
            "plugins": dict(self.plugins),
        }


def run(
    stack: str,
    program: Program,
    *,
    place: Place,
    policy_pack: Path | None,
    console: Console,
    diff: bool = False,
) -> Result:
    """Previews a stack offline.

    Args:
        stack: its name.
        program: what registers the resources.
        place: project, working copy and state.
        policy_pack: a policy pack folder; its settings are `config/<stack>.json` in it, if that exists.
        console: where progress is shown.
        diff: whether to ask the engine for its diff text.

    Raises:
        ToolError: without a Pulumi CLI.
    """
    settled, output = Settled(), list[str]()
    with scrubbed_environment(), rare_collections(), raw_events(), console.status("choosing the engine") as status:
        engine = resolve(lambda line: status.update(line) if line.startswith("building") else console.print(line))
        started = time.monotonic()

        def show(count: int) -> None:
            status.update(f"{stack}: {count} resources, {time.monotonic() - started:.0f} s")

        observed, plugins = Observed(notify=show), chosen()
        options: dict[str, Any] = {"diff": diff}
        if policy_pack is not None:
            options["policy_packs"] = [str(policy_pack)]
            settings = policy_pack / "config" / f"{stack}.json"
            if settings.is_file():
                options["policy_pack_configs"] = [str(settings)]
        session = open_session(stack, settled.guard(program), engine=engine, plugins=plugins, place=place, env={})
        failed = False
        try:
            with abandoned_quietly():
                session.stack.preview(on_event=observed.see, on_output=output.append, color="never", **options)
        except (auto.errors.CommandError, auto.InlineSourceRuntimeError, RuntimeError) as error:
            failed = True
            if not observed.errors and not observed.mandatory:
                # The SDK repeats the same text as an unhandled error.
                observed.errors.append(str(error).split("an unhandled error occurred", maxsplit=1)[0].strip())
    return Result(
        stack=stack,
        seconds=time.monotonic() - started,
        observed=observed,
        engine=engine,
        plugins=plugins,
        placeholders=session.placeholders,
        failed=failed,
        diff="\n".join(output) if diff else "",
        user_error=str(settled.error) if settled.error else "",
    )


def _verdicts(console: Console, title: str, verdicts: Sequence[Verdict]) -> None:
    if not verdicts:
        return
    console.print(f"{title}: {len(verdicts)}", style="bold")
    for verdict in verdicts:
        console.print(f"  {verdict.policy} ({verdict.level}): {verdict.message}", markup=False, highlight=False, soft_wrap=True)
        if verdict.urn and verdict.urn.rsplit("::", 1)[-1] not in verdict.message:
            console.print(f"    resource: {verdict.urn.split('::', 2)[-1]}", markup=False, highlight=False, soft_wrap=True)
        if verdict.remedy:
            console.print(f"    remedy: {verdict.remedy}", markup=False, highlight=False, soft_wrap=True)


def _could_not_run(console: Console, verdicts: Sequence[Verdict]) -> None:
    """One line for each control and property, with the resources it is about; the written summary has them one by one."""
    if not verdicts:
        return
    resources: dict[str, list[str]] = {}
    for verdict in verdicts:
        resources.setdefault(verdict.message.removeprefix("could not run: "), []).append(verdict.urn.rsplit("::", 1)[-1])
    console.print(f"could not run before the update, and will run on it: {len(verdicts)}", style="bold")
    for message, names in sorted(resources.items()):
        console.print(f"  {message}: {', '.join(sorted(names))}", markup=False, highlight=False, soft_wrap=True)


def _resources(console: Console, observed: Observed) -> None:
    counts = observed.table()
    regions = sorted({region for row in counts.values() for region in row})
    table = Table(title=f"{len(observed.counted())} resources", title_justify="left")
    table.add_column("layer")
    for region in (*regions, "all"):
        table.add_column(region, justify="right")
    for layer, row in counts.items():
        table.add_row(layer, *(str(row[region] or "") for region in regions), str(row.total()))
    console.print(table)


def summarize(console: Console, result: Result, *, policies: bool) -> None:
    """Prints a finished preview for a person."""
    seen = result.observed
    if result.diff:
        console.print(result.diff, markup=False, highlight=False, soft_wrap=True)
    _resources(console, seen)
    if policies:
        console.print(
            f"policies: {len(seen.policies_run)} checked, {len(seen.could_not_run)} could not run, "
            f"{len(seen.exempt)} exempt, {len(seen.violations)} violations",
            style="bold",
        )
        _could_not_run(console, seen.could_not_run)
        _verdicts(console, "exempt", seen.exempt)
        _verdicts(console, "violations", seen.violations)
    else:
        console.print("policies: not checked", style="bold")
    if result.placeholders:
        console.print(f"encrypted settings replaced by a placeholder: {', '.join(result.placeholders)}")
    standing = [name for name, kind in result.plugins.items() if kind == "stand-in"]
    real = [name for name, kind in result.plugins.items() if kind == "real"]
    console.print(f"providers: stand-in for {', '.join(standing) or 'none'}; real: {', '.join(real) or 'none'}")
    console.print(f"engine: pulumi {result.engine.version} ({result.engine.source}); {result.seconds:.1f} s")


def conclude(console: Console, result: Result, *, build: Path = BUILD, policies: bool = True) -> int:
    """Prints the result, writes `preview/<stack>.json` below `build` if the preview is usable, returns the exit code."""
    file = build / "preview" / f"{result.stack}.json"
    with contextlib.suppress(FileNotFoundError):
        file.unlink()  # an earlier run's summary must not pass for this one's
    if result.user_error:
        console.print(result.user_error, markup=False, highlight=False, style="red")
        return 1
    if not result.is_usable:
        for error in result.program_errors or result.observed.errors:
            console.print(error, markup=False, highlight=False, style="red")
        return 1
    summarize(console, result, policies=policies)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
    return 1 if result.failed or result.observed.mandatory else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.preview", description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--diff", action="store_true", help="also print the engine's diff")
    parser.add_argument("--no-policy", action="store_true", help="do not run the policy pack")
    parser.add_argument("--plugins", choices=("stand-in", "real"), help="real: use installed plugins where there are any")
    parser.add_argument("--project", type=Path, default=ROOT, help="another project folder; its program has main()")
    chosen_arguments = parser.parse_args(arguments)
    if chosen_arguments.plugins:
        os.environ[SETTING] = chosen_arguments.plugins
    console = Console(width=None if Console().is_terminal else 120)
    project = chosen_arguments.project.resolve()
    if not (project / f"Pulumi.{chosen_arguments.stack}.yaml").is_file():
        console.print(f"there is no stack {chosen_arguments.stack!r}: Pulumi.{chosen_arguments.stack}.yaml is missing")
        return 1
    file = project / f"Pulumi.{chosen_arguments.stack}.yaml"
    if CONFIG_KEY in file.read_text(encoding="utf-8"):
        try:
            # YAML given to the engine loses what only the file shows: a key that stands there twice.
            load_file(file)
        except SettingsError as refusal:
            console.print(str(refusal), markup=False, highlight=False, soft_wrap=True, style="red")
            return 1
    policies = not chosen_arguments.no_policy and (POLICY_PACK / "PulumiPolicy.yaml").is_file()
    try:
        result = run(
            chosen_arguments.stack,
            program_of(program_file(project)),
            place=Place.of(chosen_arguments.stack, project),
            policy_pack=POLICY_PACK if policies else None,
            console=console,
            diff=chosen_arguments.diff,
        )
    except ToolError as error:
        console.print(str(error), style="red")
        return 1
    return conclude(console, result, policies=policies)


if __name__ == "__main__":
    raise SystemExit(main())
