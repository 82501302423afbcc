"""Settings of backups: how often, how long, and where a second copy lies."""

from components.settings.base import Model


class BackupSettings(Model):
    """Backups: how often, how long, and where a second copy lies."""
