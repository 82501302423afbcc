"""Where the audit stream goes, by setting: exporters of the gateway, and the AWS rights that they need.

Every sink has a queue of its own on disk, so one that is down delays no other. Credentials: Pod Identity for AWS, a token that
Vault's agent writes into a file for the rest; none is in the configuration.
"""

from collections.abc import Mapping
from typing import Any, Final

import pulumi

from components.context import RegionContext
from components.observability.telemetry.names import RETRY, TOKEN_FOLDER, queue
from components.settings.siem import FirehoseSink, HttpSink, OpenSearchSink, S3Sink, SiemSettings, Sink

PREFIX: Final = "siem"
"""Of objects in a bucket."""


def stream_name(context: RegionContext, sink: str) -> str:
    """The physical name of a sink's Kinesis stream."""
    return context.physical(context.region, "audit", sink, limit=128)


def exporter_name(name: str, sink: Sink) -> str:
    """The exporter of a sink, as the pipeline names it."""
    kinds = {"s3": "awss3", "firehose": "awskinesis"}
    return f"{kinds.get(sink.kind, 'otlp_http')}/siem-{name}"


def _exporter(name: str, sink: Sink, region: str, places: Mapping[str, pulumi.Input[str]]) -> dict[str, Any]:
    common = {"sending_queue": queue(), "retry_on_failure": dict(RETRY)}
    match sink:
        case HttpSink():
            sending = {"compression": "gzip", "encoding": "json", "auth": {"authenticator": f"bearertokenauth/siem-{name}"}}
            return {"logs_endpoint": sink.url, **sending, **common}
        case OpenSearchSink():
            return {
                "logs_endpoint": sink.url,
                "compression": "gzip",
                "auth": {"authenticator": f"sigv4auth/siem-{name}"},
                **common,
            }
        case S3Sink():
            uploader = {
                "region": region,
                "s3_bucket": places[name],
                "s3_prefix": PREFIX,
                "s3_partition_format": "%Y/%m/%d/%H",
                "s3_partition_timezone": "UTC",
                "compression": "gzip",
                "unique_key_func_name": "uuidv7",
            }
            return {"s3uploader": uploader, "marshaler": "otlp_json", **common}
        case FirehoseSink():
            stream = {"stream_name": places[name], "region": region}
            return {"aws": stream, "encoding": {"name": "otlp_json", "compression": "gzip"}, **common}


def exporters(settings: SiemSettings, region: str, places: Mapping[str, pulumi.Input[str]]) -> dict[str, Any]:
    """The sinks' exporters by name.

    Args:
        settings: The sinks.
        region: The region's code.
        places: By sink, the bucket or stream that it writes to; KeyError for one of these kinds without a place.
    """
    return {exporter_name(name, sink): _exporter(name, sink, region, places) for name, sink in sorted(settings.sinks.items())}


def authenticators(settings: SiemSettings, region: str) -> dict[str, Any]:
    """Extensions by which sinks are told who writes."""
    made: dict[str, Any] = {}
    for name, sink in sorted(settings.sinks.items()):
        if isinstance(sink, HttpSink):
            made[f"bearertokenauth/siem-{name}"] = {"scheme": "Bearer", "filename": f"{TOKEN_FOLDER}/siem-{name}"}
        elif isinstance(sink, OpenSearchSink):
            made[f"sigv4auth/siem-{name}"] = {"region": region, "service": "osis"}
    return made


def policy(
    settings: SiemSettings, context: RegionContext, places: Mapping[str, pulumi.Input[str]], key_arns: list[pulumi.Input[str]]
) -> dict[str, Any] | None:
    """What the gateway's role may do: write to each sink, and nothing else. None where no sink is AWS's.

    Args:
        settings: The sinks.
        context: Account and region.
        places: By sink, the bucket or stream.
        key_arns: The keys that buckets and streams are encrypted with.
    """
    statements: list[dict[str, Any]] = []
    services = set()
    for name, sink in sorted(settings.sinks.items()):
        title = "".join(part.capitalize() for part in name.split("-"))
        match sink:
            case OpenSearchSink():
                statements.append(_allow(f"Ingest{title}", ["osis:Ingest"], sink.pipeline_arn))
            case S3Sink():
                services.add(f"s3.{context.region}.amazonaws.com")
                objects = pulumi.Output.concat("arn:aws:s3:::", places[name], f"/{PREFIX}/*")
                statements.append(_allow(f"Keep{title}", ["s3:PutObject"], objects))
            case FirehoseSink():
                services.add(f"kinesis.{context.region}.amazonaws.com")
                stream = context.arn("kinesis", f"stream/{stream_name(context, name)}")
                statements.append(_allow(f"Stream{title}", ["kinesis:PutRecords", "kinesis:DescribeStreamSummary"], stream))
            case HttpSink():
                pass
    if services:
        through = {"StringEquals": {"kms:ViaService": sorted(services)}}
        statements.append({**_allow("Encrypt", ["kms:GenerateDataKey"], key_arns), "Condition": through})
    return {"Version": "2012-10-17", "Statement": statements} if statements else None


def _allow(sid: str, actions: list[str], resource: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
