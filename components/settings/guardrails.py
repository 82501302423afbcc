"""Settings of what admission refuses, and for whom not."""

from components.settings.base import Model


class GuardrailSettings(Model):
    """What admission refuses, and for whom not."""
