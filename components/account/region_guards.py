"""What watches one region of the account, and its safe defaults (AUD-05, AUD-06).

Guarantees, each by its setting: GuardDuty with EKS, runtime and data features; AWS Config recording all resources; Security
Hub with two standards; Access Analyzer. Always: encrypted volumes by default, IMDSv2, no public snapshots or images, no
serial console.
Relies on: a landing bucket with `config_delivery`, the service-linked role of AWS Config, the data key.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext
from components.settings.account import GuardSettings

DETECTOR_FEATURES: Mapping[str, Mapping[str, str]] = {
    "EBS_MALWARE_PROTECTION": {},
    "EKS_AUDIT_LOGS": {},
    "LAMBDA_NETWORK_LOGS": {},
    "RDS_LOGIN_EVENTS": {},
    # GuardDuty keeps its own agent on EKS nodes; without the add-on, runtime monitoring sees nothing.
    "RUNTIME_MONITORING": {"EKS_ADDON_MANAGEMENT": "ENABLED"},
    "S3_DATA_EVENTS": {},
}
"""GuardDuty features by the API's names, each with its additional configuration (AUD-05)."""

STANDARDS: Mapping[str, str] = {
    "foundational": "aws-foundational-security-best-practices/v/1.0.0",
    "nist-800-53": "nist-800-53/v/5.0.0",
}
"""Security Hub standards by the child's name; the catalogue of controls maps to NIST 800-53."""

HOP_LIMIT = 1
"""A pod without host network is two hops from the metadata service: one hop keeps node credentials from pods."""


def standard_arn(region: str, standard: str) -> str:
    """The ARN of a Security Hub standard, which belongs to the region and to no account."""
    return f"arn:aws:securityhub:{region}::standards/{standard}"


@dataclass(frozen=True, kw_only=True)
class RegionGuardsArgs:
    """Where findings' sources go and which guards the program owns."""

    context: RegionContext
    guards: GuardSettings
    home: bool
    """The home region: its recorder takes the global resource types, so that they are recorded once."""
    data_key_arn: pulumi.Input[str]
    """The key of volumes that name none."""
    logs_key_arn: pulumi.Input[str]
    """The key AWS Config writes with."""
    config_bucket: pulumi.Input[str]
    """Name of the landing bucket of this region's configuration history."""
    config_role_arn: pulumi.Input[str] | None
    """The service-linked role of AWS Config; needed with the recorder."""


class RegionGuards(Component, token="zerotrust:account:RegionGuards"):
    """One region's guards."""

    detector_id: pulumi.Output[str] | None

    def __init__(self, name: str, args: RegionGuardsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.detector_id = None
        self._defaults(name, args)
        if args.guards.guardduty:
            self._detector(name, args)
        recording = self._recorder(name, args) if args.guards.config_recorder else None
        if args.guards.security_hub:
            self._hub(name, args, [recording] if recording else [])
        if args.guards.access_analyzer:
            analyzer = args.context.physical("external-access")
            aws.accessanalyzer.Analyzer(
                f"{name}-analyzer",
                analyzer_name=analyzer,
                type="ACCOUNT",
                tags=args.context.tagged(analyzer),
                opts=self.child(),
            )
        self.register_outputs({"detector_id": self.detector_id})

    def _defaults(self, name: str, args: RegionGuardsArgs) -> None:
        aws.ebs.EncryptionByDefault(f"{name}-ebs-encryption", enabled=True, opts=self.child())
        aws.ebs.DefaultKmsKey(f"{name}-ebs-key", key_arn=args.data_key_arn, opts=self.child())
        aws.ebs.SnapshotBlockPublicAccess(f"{name}-snapshots", state="block-all-sharing", opts=self.child())
        aws.ec2.ImageBlockPublicAccess(f"{name}-images", state="block-new-sharing", opts=self.child())
        aws.ec2.SerialConsoleAccess(f"{name}-serial-console", enabled=False, opts=self.child())
        aws.ec2.InstanceMetadataDefaults(
            f"{name}-metadata",
            http_endpoint="enabled",
            http_tokens="required",
            http_put_response_hop_limit=HOP_LIMIT,
            instance_metadata_tags="disabled",
            opts=self.child(),
        )

    def _detector(self, name: str, args: RegionGuardsArgs) -> None:
        detector = aws.guardduty.Detector(
            f"{name}-detector",
            enable=True,
            finding_publishing_frequency="FIFTEEN_MINUTES",
            tags=args.context.tagged(f"{name}-detector"),
            opts=self.child(),
        )
        for feature, additional in sorted(DETECTOR_FEATURES.items()):
            aws.guardduty.DetectorFeature(
                f"{name}-detector-{feature.lower().replace('_', '-')}",
                detector_id=detector.id,
                name=feature,
                status="ENABLED",
                additional_configurations=[
                    aws.guardduty.DetectorFeatureAdditionalConfigurationArgs(name=key, status=status)
                    for key, status in sorted(additional.items())
                ]
                or None,
                opts=self.child(),
            )
        self.detector_id = detector.id

    def _recorder(self, name: str, args: RegionGuardsArgs) -> pulumi.Resource:
        if args.config_role_arn is None:
            msg = f"{name}: the recorder needs config_role_arn; turn account.guards.config_recorder on for the account too"
            raise ValueError(msg)
        recorder = aws.cfg.Recorder(
            f"{name}-recorder",
            name=args.context.physical("recorder"),
            role_arn=args.config_role_arn,
            recording_group=aws.cfg.RecorderRecordingGroupArgs(all_supported=True, include_global_resource_types=args.home),
            recording_mode=aws.cfg.RecorderRecordingModeArgs(recording_frequency="CONTINUOUS"),
            opts=self.child(),
        )
        channel = aws.cfg.DeliveryChannel(
            f"{name}-delivery",
            name=args.context.physical("delivery"),
            s3_bucket_name=args.config_bucket,
            s3_kms_key_arn=args.logs_key_arn,
            snapshot_delivery_properties=aws.cfg.DeliveryChannelSnapshotDeliveryPropertiesArgs(
                delivery_frequency="TwentyFour_Hours"
            ),
            # AWS takes a channel only where a recorder is, and starts a recorder only where a channel is.
            opts=self.child(depends_on=[recorder]),
        )
        return aws.cfg.RecorderStatus(
            f"{name}-recording", name=recorder.name, is_enabled=True, opts=self.child(depends_on=[channel])
        )

    def _hub(self, name: str, args: RegionGuardsArgs, recording: list[pulumi.Resource]) -> None:
        hub = aws.securityhub.Account(
            f"{name}-security-hub",
            enable_default_standards=False,
            control_finding_generator="SECURITY_CONTROL",
            auto_enable_controls=True,
            # Most of the standards' checks read AWS Config.
            opts=self.child(depends_on=recording),
        )
        for label, standard in sorted(STANDARDS.items()):
            aws.securityhub.StandardsSubscription(
                f"{name}-standard-{label}",
                standards_arn=standard_arn(args.context.region, standard),
                opts=self.child(depends_on=[hub]),
            )
