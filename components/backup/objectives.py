"""How long a loss lasts and how much it costs, reckoned from the settings. Pure; docs/runbooks/region-failover.md shows it.

These are the sums of what is configured, not measurements: what a provider promises nothing about is said to be so.
"""

from dataclasses import dataclass
from typing import Final

from components.backup.replication import PROMISED_MINUTES
from components.settings import Settings

MOVED_SECONDS: Final = 30
"""Within which Global Accelerator sends new connections elsewhere; records move with their TTL instead."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One kind of loss."""

    loss: str
    back_after: str
    """Recovery time."""
    lost: str
    """Recovery point."""
    because: str
    """The settings it comes from."""


def detection_seconds(settings: Settings) -> int:
    """Until the entry's own health check calls a region unhealthy."""
    failover = settings.edge.failover
    return failover.health_interval_seconds * failover.failure_threshold


def moved_seconds(settings: Settings) -> int:
    """From the verdict until new connections go elsewhere; clients that keep a record for longer than its TTL are not counted."""
    failover = settings.edge.failover
    return failover.record_ttl_seconds if failover.routing == "latency" else MOVED_SECONDS


def copy_words(settings: Settings) -> str:
    """How old the copy in the other region may be."""
    backup = settings.backup
    if backup.copy_region is None:
        return "everything: there is no copy in another region"
    if backup.copy_within_15_minutes:
        return f"{PROMISED_MINUTES} min (S3's promise for 99.9 % of objects)"
    return "usually minutes; S3 promises nothing"


def objectives(settings: Settings) -> tuple[Objective, ...]:
    """What each loss costs, the smallest first."""
    backup, seconds, moved = settings.backup, detection_seconds(settings), moved_seconds(settings)
    archive, every = backup.databases.archive_timeout_seconds, backup.namespaces.every_hours
    return (
        Objective(
            loss="a database's primary, or its zone",
            back_after="under 60 s, by itself",
            lost="nothing confirmed",
            because="three instances, one standby confirms every commit",
        ),
        Objective(
            loss="a region, for requests",
            back_after=f"{seconds + moved} s, by itself",
            lost="requests in flight",
            because=f"edge.failover: a check every {settings.edge.failover.health_interval_seconds} s, "
            f"{settings.edge.failover.failure_threshold} failures; {moved} s until new connections move",
        ),
        Objective(
            loss="a region, for a database",
            back_after="by hand: a restore from the copy, see database-restore.md",
            lost=f"{archive} s of a quiet log, and the copy's age: {copy_words(settings)}",
            because=f"backup.databases.archive_timeout_seconds {archive}, backup.copy_within_15_minutes",
        ),
        Objective(
            loss="a database's content, by mistake",
            back_after="by hand: base backup and log, see database-restore.md",
            lost="up to the second before the mistake",
            because=f"backup.databases.keep_days {backup.databases.keep_days}, one base backup a day",
        ),
        Objective(
            loss="a tenant's namespace",
            back_after="by hand: `pulumi up`, or velero-restore.md",
            lost=f"{every} h of what only the cluster knew",
            because=f"backup.namespaces.every_hours {every}",
        ),
        Objective(
            loss="Vault's content",
            back_after="by hand: the newest snapshot, unsealed by the region's key",
            lost=f"{settings.vault.snapshot_hours} h of roles and keys; credentials are issued anew",
            because=f"vault.snapshot_hours {settings.vault.snapshot_hours}",
        ),
        Objective(
            loss="a volume",
            back_after="by hand: a restore by AWS Backup",
            lost=f"{backup.volumes.every_hours} h",
            because=f"backup.volumes.every_hours {backup.volumes.every_hours}",
        ),
    )


def table(settings: Settings) -> str:
    """The objectives as a Markdown table."""
    rows = [f"| {each.loss} | {each.back_after} | {each.lost} | {each.because} |" for each in objectives(settings)]
    return "\n".join(["| lost | back after (RTO) | lost with it (RPO) | because |", "| --- | --- | --- | --- |", *rows])
