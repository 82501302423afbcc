"""Settings of detection at run time and whom it tells."""

from components.settings.base import Model


class RuntimeSettings(Model):
    """Detection at run time and whom it tells."""
