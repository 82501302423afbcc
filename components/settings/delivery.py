"""Settings of GitOps, runners and scans."""

from components.settings.base import Model


class DeliverySettings(Model):
    """GitOps, runners and scans."""
