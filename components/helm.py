"""Helm releases from one pin file, by one helper.

`helm.v3.Release` alone: it previews without a reachable cluster and runs a chart's hooks; `helm.v4.Chart` does neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s
import yaml

PINS: Final = Path(__file__).with_name("charts.yaml")
TIMEOUT_SECONDS: Final = 600
HISTORY: Final = 5
ISTIO_HUB: Final = "registry.istio.io/release"
ISTIO_VARIANT: Final = "distroless"
"""No shell beside the keys."""
DATABASE_OPERATOR_REPOSITORY: Final = "ghcr.io/cloudnative-pg/cloudnative-pg"


@dataclass(frozen=True, kw_only=True)
class ChartPin:
    """One chart: where it comes from, its version, and the version of what it installs."""

    chart: str
    """`oci://…`, or the chart's name in `repository`."""
    version: str
    app_version: str
    repository: str | None = None
    digest: str | None = None
    """`<version>@sha256:…` of the archive in a repository or of the OCI manifest; `make charts` writes and checks it."""


@cache
def pins() -> Mapping[str, ChartPin]:
    """Every pinned chart by the platform's name for it (`charts.yaml`)."""
    return {name: ChartPin(**pin) for name, pin in yaml.safe_load(PINS.read_text(encoding="utf-8")).items()}


def istio_values() -> dict[str, str]:
    """`global` of Istio's charts: whose images under which tag. Admission expects what is said here."""
    return {"hub": ISTIO_HUB, "tag": pins()["istiod"].app_version, "variant": ISTIO_VARIANT}


def istio_image(program: str) -> str:
    """The image that Istio's charts make of `istio_values`, such as the injected `proxyv2`."""
    said = istio_values()
    return f"{said['hub']}/{program}:{said['tag']}-{said['variant']}"


def database_operator_values() -> dict[str, str]:
    """`image` of CloudNativePG's chart: it becomes the manager in every database's pod as well."""
    return {"repository": DATABASE_OPERATOR_REPOSITORY, "tag": pins()["cloudnative-pg"].app_version}


def database_operator_image() -> str:
    """The image that `database_operator_values` name."""
    said = database_operator_values()
    return f"{said['repository']}:{said['tag']}"


def install(
    name: str,
    pinned: str,
    *,
    namespace: pulumi.Input[str],
    values: Mapping[str, Any],
    release: str | None = None,
    opts: pulumi.ResourceOptions,
    skip_await: bool = False,
) -> k8s.helm.v3.Release:
    """Installs a pinned chart under an explicit release name, and waits until it is ready.

    Args:
        name: The resource's logical name.
        pinned: The chart's name in the pin file; KeyError when there is none.
        namespace: An existing namespace; a release never makes one, namespaces carry labels that admission reads.
        values: The chart's values, from a pure function.
        release: Helm's release name; the pin's name when left out.
        opts: The child's options.
        skip_await: For what cannot become ready yet: the network plug-in stands before the first node.
    """
    pin = pins()[pinned]
    return k8s.helm.v3.Release(
        name,
        name=release or pinned,
        chart=pin.chart,
        version=pin.version,
        repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo=pin.repository) if pin.repository else None,
        namespace=namespace,
        create_namespace=False,
        values=values,
        skip_await=skip_await,
        atomic=False,
        cleanup_on_fail=not skip_await,
        timeout=TIMEOUT_SECONDS,
        max_history=HISTORY,
        opts=opts,
    )
