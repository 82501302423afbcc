"""Settings of metrics, logs and traces."""

from components.settings.base import Model


class ObservabilitySettings(Model):
    """Metrics, logs and traces."""
