"""What the telemetry's roles may do on AWS: the gateway writes to its sinks, the reader reads two log groups; nothing else."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from components.context import RegionContext
from components.observability.telemetry.releases import log_groups, reader_policy
from components.observability.telemetry.sinks import policy
from components.settings.siem import SiemSettings
from tests.support.telemetry import REGION, graph

GRAPH = graph()
CONTEXT = RegionContext(organization="clearing", environment="dev", region=REGION, account="111122223333", tags={})
ARN = "arn:aws:osis:eu-west-1:111122223333:pipeline/audit"
SINKS: dict[str, dict[str, Any]] = {
    "http": {"kind": "http", "url": "https://siem.example.org/v1/logs"},
    "opensearch": {"kind": "opensearch", "url": "https://x.eu-west-1.osis.amazonaws.com/v1/logs", "pipeline_arn": ARN},
    "s3": {"kind": "s3"},
    "firehose": {"kind": "firehose"},
}
ACTIONS = {
    "opensearch": {"osis:Ingest"},
    "s3": {"s3:PutObject", "kms:GenerateDataKey"},
    "firehose": {"kinesis:PutRecords", "kinesis:DescribeStreamSummary", "kms:GenerateDataKey"},
}


@pytest.fixture(autouse=True)
def a_loop() -> Iterator[None]:
    """An output belongs to a loop; a suite that ran one before leaves none behind."""
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        yield
    asyncio.set_event_loop(None)


def document(*kinds: str) -> dict[str, Any] | None:
    settings = SiemSettings.model_validate({"sinks": {kind: SINKS[kind] for kind in kinds}})
    return policy(settings, CONTEXT, {"s3": "bucket", "firehose": "stream"}, ["arn:aws:kms:eu-west-1:111122223333:key/k"])


@pytest.mark.parametrize("kind", sorted(ACTIONS))
def test_a_sink_of_aws_adds_the_rights_to_write_to_it_and_no_other(kind: str):
    made = document(kind)
    assert made is not None
    assert {action for one in made["Statement"] for action in one["Action"]} == ACTIONS[kind]
    assert all(one["Effect"] == "Allow" and one["Resource"] != "*" for one in made["Statement"])
    keys = [one for one in made["Statement"] if one["Action"] == ["kms:GenerateDataKey"]]
    services = [one["Condition"]["StringEquals"]["kms:ViaService"] for one in keys]
    through = {"s3": "s3", "firehose": "kinesis"}.get(kind)
    assert services == ([[f"{through}.{REGION}.amazonaws.com"]] if through else [])


def test_without_a_sink_of_aws_there_is_no_role():
    assert document() is document("http") is None


def test_the_reader_reads_its_log_groups_and_no_other():
    groups = log_groups(GRAPH, REGION, "clearing-dev", "clearing-dev-trail")
    (statement,) = reader_policy(groups, region=REGION, account="111122223333")["Statement"]
    assert set(statement["Action"]) == {"logs:DescribeLogStreams", "logs:FilterLogEvents"}
    before = f"arn:aws:logs:{REGION}:111122223333:log-group:"
    assert {one.removeprefix(before).removesuffix(":*") for one in statement["Resource"]} == set(groups.values())
