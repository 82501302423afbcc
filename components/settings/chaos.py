"""Settings of game days."""

from components.settings.base import Model


class ChaosSettings(Model):
    """Game days."""
