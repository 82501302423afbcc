"""Settings of the audit stream: where it is forwarded, and what is taken out of it first."""

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import Name

HttpsUrl = Annotated[str, Field(pattern=r"^https://[a-z0-9.\-]+(:443)?(/[A-Za-z0-9._~/\-]*)?$")]
BucketName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]$")]


class HttpSink(Model):
    """Any receiver of OTLP over HTTP (JSON), by a bearer token that lies in Vault."""

    kind: Literal["http"]
    """`http`."""
    url: HttpsUrl
    """Where records are sent, in full."""


class OpenSearchSink(Model):
    """An OpenSearch Ingestion pipeline with an OTLP source, by the pod's own AWS role (SigV4)."""

    kind: Literal["opensearch"]
    """`opensearch`."""
    url: HttpsUrl
    """The pipeline's endpoint and path."""
    pipeline_arn: Annotated[str, Field(pattern=r"^arn:aws:osis:[a-z0-9\-]+:[0-9]{12}:pipeline/[a-z][a-z0-9\-]+$")]
    """The pipeline: the one resource that the role may write to."""


class S3Sink(Model):
    """Objects of OTLP JSON in a bucket."""

    kind: Literal["s3"]
    """`s3`."""
    bucket: BucketName | None = None
    """A bucket of the same account and region; left out, the region's locked audit bucket."""


class FirehoseSink(Model):
    """A Kinesis stream of the platform, from which a Firehose of the operator's choice reads."""

    kind: Literal["firehose"]
    """`firehose`."""
    shards: int = Field(default=1, ge=1, le=64)
    """1 MiB per second each."""
    retention_hours: int = Field(default=24, ge=24, le=168)
    """Hours a record waits for its reader."""


Sink = Annotated[HttpSink | OpenSearchSink | S3Sink | FirehoseSink, Field(discriminator="kind")]


class SiemSettings(Model):
    """The audit stream."""

    sinks: dict[Name, Sink] = Field(default_factory=dict)
    """Where every audit record goes besides the platform's own log store, by a name; several at once."""
    queue_storage_gib: int = Field(default=10, ge=1, le=500)
    """GiB on disk of each collector for what a sink does not take at the moment."""
    read_cluster_audit: bool = True
    """Whether the API server's audit log is read into the stream."""
    read_cloud_trail: bool = True
    """Whether the account's trail is read into the stream, in the home region."""
    trace_sample_percent: int = Field(default=10, ge=1, le=100)
    """Percent of the traces kept that are neither slow nor failed nor denied; those are kept all."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts that sinks of a given address are at."""
        addressed = [sink for sink in self.sinks.values() if isinstance(sink, HttpSink | OpenSearchSink)]
        return tuple(sorted({str(urlsplit(sink.url).hostname) for sink in addressed}))

    @property
    def tokens(self) -> tuple[str, ...]:
        """Sinks whose bearer token lies in Vault, under `siem/<sink>`, key `token`."""
        return tuple(name for name, sink in sorted(self.sinks.items()) if isinstance(sink, HttpSink))

    def problems(self) -> Iterator[Problem]:
        buckets = [sink.bucket for sink in self.sinks.values() if isinstance(sink, S3Sink)]
        for name, sink in sorted(self.sinks.items()):
            if isinstance(sink, S3Sink) and buckets.count(sink.bucket) > 1:
                yield Problem(("sinks", name, "bucket"), sink.bucket, "give each s3 sink a bucket of its own")
