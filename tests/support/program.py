"""The real program under the recording monitor, with a stack's settings or a change of them."""

import base64
import copy
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.settings import CONFIG_KEY
from tests.support.monitor import Answer, Recording, record
from tests.support.recordings import kept

ROOT = Path(__file__).parents[2]
STACKS = ("dev", "prod")


def validation_options(certificate: dict[str, Any]) -> dict[str, Any]:
    """What ACM answers: a record to create for each name."""
    names = [certificate["domainName"], *certificate.get("subjectAlternativeNames", [])]
    return {
        "domainValidationOptions": [
            {
                "domainName": name,
                "resourceRecordName": f"_x.{name}.",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": f"_y.{name}.acm-validations.aws.",
            }
            for name in names
        ]
    }


def published(config_map: dict[str, Any]) -> dict[str, Any]:
    """What a region's SPIRE server publishes, for the one ConfigMap that is read and not made."""
    key = {"use": "x509-svid", "kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ", "x5c": ["Y2VydA=="]}
    return {} if "data" in config_map else {"data": {"bundle.spiffe": json.dumps({"keys": [key], "spiffe_sequence": 1})}}


def issued(secret: dict[str, Any]) -> dict[str, Any]:
    """What cert-manager puts into a Secret: authority, certificate and key, for each that is read and not made."""
    pem = "-----BEGIN {0}-----\nQ0E=\n-----END {0}-----\n"
    kinds = {"ca.crt": "CERTIFICATE", "tls.crt": "CERTIFICATE", "tls.key": "PRIVATE KEY"}
    data = {key: base64.b64encode(pem.format(kind).encode()).decode() for key, kind in kinds.items()}
    return {} if secret.get("metadata") else {"data": data}


OUTPUTS: dict[str, Answer] = {
    "eks:index:Cluster": {
        "kubeconfig": {"clusters": [{"cluster": {"server": "https://abc.eks.internal", "certificate-authority-data": "Q0E="}}]},
        "oidcProviderUrl": "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC",
    },
    "aws:acm/certificate:Certificate": validation_options,
    "aws:apigateway/restApi:RestApi": {"executionArn": "arn:aws:execute-api:eu-west-1:111122223333:abc"},
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 3},
    "aws:route53/zone:Zone": {"zoneId": "Z0123456789ABCDEFGHIJ"},
    "kubernetes:core/v1:ConfigMap": published,
    "kubernetes:core/v1:Secret": issued,
}
"""What is answered beyond the inputs, where the program reads it; the component's children are the engine tier's."""


@cache
def stack_settings(stack: str) -> dict[str, Any]:
    """The settings of a shipped stack as plain data. Do not change what you get: take `changed`."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"][CONFIG_KEY]
    return settings


def changed(stack: str) -> dict[str, Any]:
    """A copy of a stack's settings, to be changed."""
    return copy.deepcopy(stack_settings(stack))


def program() -> None:
    """The program's own `main`."""
    spec = importlib.util.spec_from_file_location("zerotrust_program", ROOT / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()


def record_settings(settings: dict[str, Any], stack: str) -> Recording:
    """What the program registers for these settings; made once for every process that asks."""
    config = {CONFIG_KEY: json.dumps(settings)}
    return kept(lambda: record(program, outputs=OUTPUTS, config=config, stack=stack), settings, stack)


@cache
def record_stack(stack: str) -> Recording:
    """What the program registers for a shipped stack; one copy for all tests of a process."""
    return record_settings(stack_settings(stack), stack)
