"""Settings of the audit stream: where it is forwarded, and what is taken out of it first."""

from components.settings.base import Model


class SiemSettings(Model):
    """The audit stream."""
