"""Settings of Vault."""

from components.settings.base import Model


class VaultSettings(Model):
    """Vault."""
