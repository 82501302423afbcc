"""Settings of backups: how often, how long, and where a second copy lies.

Three kinds of copies, because three kinds of data: objects of the cluster and chosen files (Velero), databases with every write
ahead of them (CloudNativePG), volumes as a whole (AWS Backup). All of them end in something locked.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import Days, Name, matching

_CRON = matching(
    r"(\*|[0-9,/*-]+) (\*|[0-9,/*-]+) (\*|[0-9,/*-]+) (\*|[0-9,/*-]+) (\*|[0-9,/*-]+)",
    "write the five fields of cron in numbers, minute hour day month weekday, in UTC",
)
Cron = Annotated[str, *_CRON]
EVERY_HOURS = Literal[1, 2, 3, 4, 6, 8, 12, 24]
LEAST_LOCK_DAYS = 35
"""What the catalogue asks of production (S3-05, BKP-02)."""


class TenantBackupSettings(Model):
    """Backups of one tenant's namespace, where they differ from everybody's."""

    schedule: Cron | None = None
    """When, once a day at least; None for everybody's schedule."""
    keep_days: Days | None = None
    """Days a backup is kept; None for everybody's."""


class NamespaceBackupSettings(Model):
    """Velero: the objects of each tenant's namespace, and files of volumes whose pod asks for it by annotation."""

    schedule: Cron = "17 */6 * * *"
    """When, for every tenant; each is moved by some minutes of its own, so that not all begin at once."""
    every_hours: EVERY_HOURS = 6
    """The longest time between two runs of `schedule`: what the alert and the recovery objectives reckon with."""
    keep_days: Days = 30
    """Days a backup is kept before Velero hides it; the lock keeps it for longer."""
    node_agent: bool = True
    """Whether an agent on every node can read files of volumes. It is root there; without it objects alone are kept."""
    tenants: dict[Name, TenantBackupSettings] = Field(default_factory=dict)
    """Differences by tenant."""

    @property
    def longest_wait_hours(self) -> int:
        """The longest time between two runs for any tenant: a schedule of a tenant's own is taken to run every day."""
        own = any(tenant.schedule is not None for tenant in self.tenants.values())
        return max(self.every_hours, 24 if own else 0)


class DatabaseBackupSettings(Model):
    """CloudNativePG: base backups and the write-ahead log of every database, the platform's own too."""

    base_hour: int = Field(default=2, ge=0, le=23)
    """The hour (UTC) of the daily base backup."""
    keep_days: Days = 30
    """Days back to which a database can be set, to the second."""
    archive_timeout_seconds: int = Field(default=60, ge=30, le=3600)
    """A segment of the log that is not full is archived after this time: what a lost region loses of a quiet database."""


class VolumeBackupSettings(Model):
    """AWS Backup: recovery points of every volume that a cluster's claims made."""

    every_hours: EVERY_HOURS = 24
    """Hours between two recovery points."""
    keep_days: Days = 35
    """Days a recovery point is kept, here and in the other region; at least the lock's."""
    changeable_days: int = Field(default=7, ge=3, le=90)
    """With COMPLIANCE, days in which the vault's lock can still be lifted; then nobody can, AWS included."""
    restore_test: bool = True
    """Whether AWS Backup restores a recovery point every month and says whether it could."""


class BackupSettings(Model):
    """Backups: how often, how long, and where a second copy lies."""

    lock_days: Days = LEAST_LOCK_DAYS
    """Days during which nobody removes a backup: the bucket's lock and the vaults'. How hard, `audit.worm_mode` says."""
    copy_region: str | None = None
    """The region whose locked buckets and vault hold the home region's copies of backups and evidence; the home region holds
    every other region's. Named rather than derived: locked copies cannot move when a region is added. None: no copies."""
    copy_within_15_minutes: bool = True
    """Whether S3 promises the copy within 15 minutes, measures it and charges for it (replication time control)."""
    namespaces: NamespaceBackupSettings = NamespaceBackupSettings()
    """Objects and files."""
    databases: DatabaseBackupSettings = DatabaseBackupSettings()
    """Databases."""
    volumes: VolumeBackupSettings = VolumeBackupSettings()
    """Volumes."""

    def problems(self) -> Iterator[Problem]:
        kept: dict[tuple[str, ...], int] = {
            ("namespaces", "keep_days"): self.namespaces.keep_days,
            ("databases", "keep_days"): self.databases.keep_days,
        }
        for tenant, wanted in sorted(self.namespaces.tenants.items()):
            if wanted.keep_days is not None:
                kept["namespaces", "tenants", tenant, "keep_days"] = wanted.keep_days
        for path, days in kept.items():
            if days >= self.lock_days:
                yield Problem(
                    path,
                    days,
                    f"keep fewer days than lock_days ({self.lock_days}): what the lock no longer holds can be removed early",
                )
        if self.volumes.keep_days < self.lock_days:
            yield Problem(
                ("volumes", "keep_days"),
                self.volumes.keep_days,
                f"keep at least lock_days ({self.lock_days}); a vault refuses a recovery point that ends before its lock",
            )
