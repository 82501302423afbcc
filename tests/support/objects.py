"""Every Kubernetes object and Helm release the program registers, as plain data, region by region.

Read from the recording by the same function that `make render` writes files with: what a test judges is what would be sent,
with the mocks' plain values where an output of another resource stands.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml

from components.settings import CONFIG_KEY
from sandbox.apiclient import ApiServer, RefusedError
from sandbox.render import Rendered, rendered
from tests.support.program import ROOT, STACKS, record_settings, record_stack

Manifest = Mapping[str, Any]
EXAMPLE = "ecommerce"
"""The second product, in the place of a stack."""
PROGRAMS = (*STACKS, EXAMPLE)


@cache
def rendered_of(stack: str) -> tuple[Rendered, ...]:
    """What a shipped stack, or `EXAMPLE`, sends to its clusters, in the order of registration."""
    if stack == EXAMPLE:
        file = ROOT / "examples" / EXAMPLE / "Pulumi.dev.yaml"
        recording = record_settings(yaml.safe_load(file.read_text(encoding="utf-8"))["config"][CONFIG_KEY], "dev")
    else:
        recording = record_stack(stack)
    sent = (one for one in recording.resources if one.type.startswith("kubernetes:"))
    return tuple(rendered(one.type, one.inputs, one.provider) for one in sent)


@cache
def objects_of(stack: str) -> dict[str, list[Manifest]]:
    """Region → its objects, Helm releases left out. Do not change what you get."""
    return _by_region(stack, is_release=False)


@cache
def releases_of(stack: str) -> dict[str, list[Manifest]]:
    """Region → its releases: `name`, `chart`, `version`, `namespace`, `values`. Do not change what you get."""
    return _by_region(stack, is_release=True)


def _by_region(stack: str, *, is_release: bool) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = {}
    for one in rendered_of(stack):
        if one.is_release == is_release:
            found.setdefault(one.region, []).append({"name": one.path.stem, **one.body} if is_release else one.body)
    return dict(sorted(found.items()))


def pods_of(objects: Sequence[Manifest]) -> Iterator[dict[str, Any]]:
    """A Pod for every pod template: what the workload's controller would create."""
    for one in objects:
        template = one.get("spec", {}).get("template")
        if one["kind"] in {"Deployment", "StatefulSet", "DaemonSet", "Job"} and template:
            place = {"name": one["metadata"]["name"], "namespace": one["metadata"].get("namespace", "")}
            about = {key: value for key, value in template.get("metadata", {}).items() if key in {"labels", "annotations"}}
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": {**about, **place}, "spec": template["spec"]}


def all_of(kind: str, objects: Sequence[Manifest]) -> list[Manifest]:
    return [one for one in objects if one["kind"] == kind]


def refusal(server: ApiServer, one: Manifest) -> str:
    """What the server says against the object, with its kind and name; the empty text when it accepts it."""
    try:
        server.apply(one, dry_run=True)
    except RefusedError as error:
        return str(error)
    return ""


def settled(server: ApiServer, objects: Sequence[Manifest]) -> None:
    """The namespaces and service accounts for real, so that the rest has somewhere to be judged."""
    server.prepare(objects)
    for one in all_of("Namespace", objects):
        server.apply(one)
    for one in all_of("ServiceAccount", objects):
        server.apply(one)
