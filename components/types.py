"""Domain types of the settings: a field's type says its rule, and its refusal says the remedy.

Each type raises one sentence through pydantic; `components.settings.errors` puts the key and the value in front of it.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

ZONE_LETTERS = "abcdef"


def refuse(sentence: str) -> PydanticCustomError:
    """A refusal as pydantic wants it: the sentence states the rule and the remedy, never the value again."""
    return PydanticCustomError("refused", "{sentence}", {"sentence": sentence})


def matching(pattern: str, sentence: str) -> tuple[AfterValidator, WithJsonSchema]:
    """The two halves of a string type: the check with its sentence, and the pattern for the editor's schema."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise refuse(sentence)
        return value

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^(?:{pattern})$", "description": sentence})


def _text(value: object) -> object:
    """Numbers where text with a unit or a name belongs get the type's own sentence instead of a type error."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


_NAME = matching(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", "use 1 to 30 lower-case letters, digits and hyphens, starting with a letter")
Name = Annotated[str, *_NAME]
"""A name that becomes part of URNs, namespaces and SPIFFE ids (DNS label, 30 characters: room for suffixes)."""

_REGION = matching(r"(us|eu|ap|ca|sa|me|af|il|mx)(-gov)?-[a-z]+-[1-9]", "use an AWS region code such as eu-west-1")
RegionCode = Annotated[str, *_REGION]

_ACCOUNT = matching(r"\d{12}", "use the 12 digits of an AWS account id, in quotes")
AccountId = Annotated[str, BeforeValidator(_text), *_ACCOUNT]

_ARN = matching(
    r"arn:aws(-us-gov|-cn)?:[a-z0-9-]+:[a-z0-9-]*:(\d{12})?:\S+",
    "use a full ARN, arn:aws:<service>:<region>:<account>:<resource>",
)
Arn = Annotated[str, *_ARN]

_ROLE = matching(
    r"arn:aws(-us-gov|-cn)?:iam::\d{12}:role/[\w+=,.@/-]{1,512}",
    "use the ARN of an IAM role, arn:aws:iam::<account>:role/<name>; users and root are not accepted",
)
RoleArn = Annotated[str, *_ROLE]

_DNS = matching(
    r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
    "use a full lower-case DNS name without scheme, port or wildcard",
)
DnsName = Annotated[str, *_DNS]

_ISSUER = matching(
    r"https://[a-z0-9.-]+(:\d{1,5})?(/[\w./~-]*)?",
    "use an https URL without query or fragment, exactly as it stands in the tokens' iss claim",
)
IssuerUrl = Annotated[str, *_ISSUER]

_ZONE_ID = matching(r"Z[A-Z0-9]{4,31}", "use a Route 53 hosted zone id such as Z0123456789ABCDEFGHIJ")
HostedZoneId = Annotated[str, *_ZONE_ID]

_IMAGE = matching(
    r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}",
    "pin the image by digest, <registry>/<repository>@sha256:<64 hex digits>; tags move",
)
Image = Annotated[str, *_IMAGE]

_COUNTRY = matching(r"[A-Z]{2}", "use the two capital letters of ISO 3166, for example IE")
CountryCode = Annotated[str, BeforeValidator(_text), *_COUNTRY]

_COORDINATE = matching(r"[A-Za-z0-9_-]{43}", "use the 43 base64url characters of a P-256 coordinate, without padding")
Coordinate = Annotated[str, *_COORDINATE]

_MEMORY = matching(r"[1-9]\d{0,5}(Mi|Gi)", "add the unit, for example 256Mi or 2Gi")
Memory = Annotated[str, BeforeValidator(_text), *_MEMORY]
_CPU = matching(r"[1-9]\d{0,5}m", "write CPU in millicores with the unit, for example 250m")
Cpu = Annotated[str, BeforeValidator(_text), *_CPU]
_STORAGE = matching(r"[1-9]\d{0,5}(Gi|Ti)", "add the unit, for example 50Gi")
Storage = Annotated[str, BeforeValidator(_text), *_STORAGE]

_CLOCK = matching(r"([01]\d|2[0-3]):[0-5]\d", "write a 24-hour clock time in quotes, for example '08:30'")
ClockTime = Annotated[str, *_CLOCK]

_PATH = matching(
    r"/|(/[A-Za-z0-9._~-]+|/\{[a-z_]+\})+(/\*)?",
    "use an absolute path of plain segments; {name} stands for one segment, a closing /* for the rest; no dots-only segment, "
    "no query, no percent sign",
)


def _no_dot_segment(value: str) -> str:
    if any(segment in {".", ".."} for segment in value.split("/")):
        msg = "remove the . or .. segment: proxies normalise it away and the rule would name another path"
        raise refuse(msg)
    return value


HttpPath = Annotated[str, *_PATH, AfterValidator(_no_dot_segment)]

_METHOD = matching(r"GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS", "use an HTTP method in capitals; * is not accepted")
HttpMethod = Annotated[str, *_METHOD]

_SCOPE = matching(r"[a-z][a-z0-9.:_-]{1,63}", "use an OAuth scope of lower-case letters, digits and . : _ -")
Scope = Annotated[str, *_SCOPE]

_PAIR = matching(r"[a-z][-a-z0-9]*/[a-z][-a-z0-9]*", "write <tenant>/<name>, for example bank-a/api-ms")
Ref = Annotated[str, *_PAIR]
"""A reference to a service, database, cache, queue or client of a tenant."""


def _network(private: bool, shortest: int, longest: int) -> Callable[[Any], Any]:  # noqa: FBT001 - a closed pair of modes
    def check(value: str) -> str:
        try:
            network = ipaddress.IPv4Network(value)
        except ValueError as error:
            msg = f"write an IPv4 network in CIDR form with no host bits set ({error})"
            raise refuse(msg) from None
        if private and not any(network.subnet_of(ipaddress.IPv4Network(block)) for block in PRIVATE_BLOCKS):
            msg = "use a network inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10"
            raise refuse(msg)
        if not shortest <= network.prefixlen <= longest:
            msg = f"use a prefix length from /{shortest} to /{longest}"
            raise refuse(msg)
        return value

    return check


PRIVATE_BLOCKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
VpcCidr = Annotated[str, AfterValidator(_network(private=True, shortest=16, longest=19))]
ServiceCidr = Annotated[str, AfterValidator(_network(private=True, shortest=12, longest=24))]
SourceCidr = Annotated[str, AfterValidator(_network(private=False, shortest=24, longest=32))]
"""A network that an operator calls from: /24 or narrower, so the world cannot be spelled in halves."""

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""What CloudWatch Logs takes (PutRetentionPolicy)."""


def _retention(days: int) -> int:
    if days not in LOG_RETENTION_DAYS:
        msg = f"CloudWatch Logs keeps events for one of {', '.join(map(str, LOG_RETENTION_DAYS))} days; choose one of these"
        raise refuse(msg)
    return days


LogRetentionDays = Annotated[int, AfterValidator(_retention), WithJsonSchema({"enum": list(LOG_RETENTION_DAYS)})]
Port = Annotated[int, Field(ge=1, le=65535)]
Days = Annotated[int, Field(ge=1, le=3650)]
