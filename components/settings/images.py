"""Images of what the platform runs itself, beside the charts' own: pinned by digest, from a registry the account owns."""

from typing import Literal

from pydantic import Field

from components.settings.base import Model
from components.types import Image


class BackupImages(Model):
    """What backs up: Velero, and the PostgreSQL archive's plug-in."""

    velero: Image
    """Velero: server, node agent and the job that brings its kinds."""
    velero_aws: Image
    """velero-plugin-for-aws."""
    archive: Image
    """CloudNativePG's plugin-barman-cloud."""
    archive_sidecar: Image
    """What the plug-in puts beside every database instance."""


class ChaosImages(Model):
    """Chaos Mesh."""

    controller: Image
    """chaos-mesh, the controller."""
    daemon: Image
    """chaos-daemon, privileged on every node."""
    pause: Image
    """What takes a pod's place while it is failed."""


class DeliveryImages(Model):
    """Delivery and scans."""

    argocd: Image
    """Argo CD, every part of it; its cache is `valkey`."""
    trivy_operator: Image
    """Trivy's operator."""
    trivy: Image
    """Trivy: the server, and the job for each scan."""
    runner_controller: Image
    """gha-runner-scale-set-controller: the controller, and the listener it makes for each scale set."""
    runner: Image
    """actions-runner with what the workflows need: no job installs a program. Its runner lies in /home/runner, user 1001."""


class ImagesSettings(Model):
    """One image per program."""

    opa: Image
    """OPA with the Envoy external authorization plugin, beside every service."""
    rate_limit: Image
    """envoyproxy/ratelimit."""
    valkey: Image
    """Valkey (Redis protocol): tenants' caches and the rate limiter's counters."""
    postgres: dict[Literal["17", "18"], Image] = Field(min_length=1)
    """CloudNativePG's PostgreSQL image by major version."""
    vault: Image
    """Vault: the server, and the agent beside a service that fetches what the server issues to it."""
    spiffe_helper: Image
    """spiffe-helper: writes a workload's JWT-SVID where the agent beside it reads it."""
    aws_cli: Image
    """AWS's command line, version 2: it carries Vault's snapshots to their bucket."""
    falco: Image
    """Falco with its stock rules and the container plugin, on every node."""
    falcosidekick: Image
    """Falcosidekick: takes Falco's events and tells the outputs."""
    backup: BackupImages | None = None
    """Backups; None for the charts' own images by tag, which assurance high does not take."""
    chaos: ChaosImages | None = None
    """Game days; needed where `chaos.enabled` is on."""
    delivery: DeliveryImages | None = None
    """GitOps, scans and runners; needed where `delivery` has one of them on."""
    collector: Image
    """The OpenTelemetry collector with its contributed components: agents, gateway, audit reader."""
    jaeger: Image | None = None
    """Jaeger, version 2; needed where `observability.traces.store` is jaeger."""
