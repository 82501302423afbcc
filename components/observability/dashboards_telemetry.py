"""The page about what watches the others: Prometheus, the stores, and the way of logs and spans to them."""

from typing import Final

from components.observability.dashboards import Page, Panel, rate

KINDS: Final = ("log_records", "spans")
"""What the collectors count, as their metrics call it; a test asks a running one for each name."""
TELEMETRY: Final = Page(
    name="telemetry",
    title="Metrics, logs and traces",
    folder="Platform",
    panels=(
        Panel(title="Series in memory", legend="{{pod}}", queries=("prometheus_tsdb_head_series",)),
        Panel(title="Targets that do not answer", legend="{{namespace}}", queries=("count by (namespace) (up == 0)",)),
        Panel(
            title="Logs taken",
            unit="Bps",
            legend="{{tenant}}",
            queries=(rate("loki_distributor_bytes_received_total", "tenant"),),
        ),
        Panel(
            title="Logs and spans refused",
            legend="{{tenant}} {{reason}}",
            queries=(
                rate("loki_discarded_samples_total", "tenant, reason"),
                rate("tempo_discarded_spans_total", "tenant, reason"),
            ),
        ),
        Panel(
            title="Collectors: share of a queue in use",
            unit="percentunit",
            legend="{{pod}} {{exporter}}",
            queries=("otelcol_exporter_queue_size / otelcol_exporter_queue_capacity",),
        ),
        Panel(
            title="Collectors: records and spans taken a second",
            legend="{{pod}} {{receiver}}",
            queries=tuple(rate(f"otelcol_receiver_accepted_{kind}_total", "pod, receiver") for kind in KINDS),
        ),
        Panel(
            title="Collectors: refused at the door",
            legend="{{pod}} {{receiver}}",
            queries=tuple(rate(f"otelcol_receiver_refused_{kind}_total", "pod, receiver") for kind in KINDS),
        ),
        Panel(
            title="Collectors: lost on the way out",
            legend="{{pod}} {{exporter}}",
            queries=tuple(
                rate(f"otelcol_exporter_{loss}_failed_{kind}_total", "pod, exporter")
                for loss in ("send", "enqueue")
                for kind in KINDS
            ),
        ),
    ),
)
