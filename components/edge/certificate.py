"""A region's server certificate for the public names, validated by DNS.

Guarantees: covers `<domain>`, `<region>.<domain>` and what else is named; renews itself for as long as the validation records
stand. Relies on: the public hosted zone of these names.

ACM gives an account the same validation record for a name in every region. So the records of shared names belong to one region
(`owns_shared_records`, the home region), and every other region declares the record of its own name alone: adding or removing a
region touches no other region's renewal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi import Input, Resource

from components.base import Component
from components.context import RegionContext

VALIDATION_TTL_SECONDS = 300
"""ACM reads the record once in a while for renewal; nothing depends on it changing fast."""


def certificate_names(domain: str, region: str, shared: Mapping[str, str]) -> dict[str, str]:
    """The names on a region's certificate by role: `domain`, `region`, and the keys of `shared`.

    Raises:
        ValueError: a key of `shared` is taken, or a name stands twice (ACM would give it one validation option).
    """
    if taken := {"domain", "region"} & shared.keys():
        msg = f"the names {', '.join(sorted(taken))} are the certificate's own; choose other keys"
        raise ValueError(msg)
    names = {"domain": domain, "region": f"{region}.{domain}", **dict(sorted(shared.items()))}
    if len(set(names.values())) < len(names):
        msg = f"a name stands twice on the certificate: {', '.join(names.values())}"
        raise ValueError(msg)
    return names


def validation_option(options: Sequence[Any] | None, name: str) -> Any:
    """The validation option of a name; ACM answers one for each name, in no promised order.

    Raises:
        LookupError: ACM gave none for this name.
    """
    for option in options or ():
        if option["domain_name"] == name:
            return option
    msg = f"the certificate has no validation option for {name}"
    raise LookupError(msg)


@dataclass(frozen=True, kw_only=True)
class CertificateArgs:
    """One region's certificate."""

    context: RegionContext
    domain: str
    hosted_zone: str
    shared_names: Mapping[str, str] = field(default_factory=dict)
    """Further names that every region answers to, by role (`issuer`: the token issuer's host)."""
    owns_shared_records: bool
    """True in exactly one region of the environment."""
    shared_records: Sequence[Resource] = ()
    """In the other regions: what the owner declared, so that validation waits for it."""


class Certificate(Component, token="zerotrust:edge:Certificate"):
    """The certificate of one region; `arn` is known once ACM has issued it."""

    arn: pulumi.Output[str]
    records: tuple[aws.route53.Record, ...]
    """The validation records declared here: the owner's are the other regions' `shared_records`."""

    def __init__(self, name: str, args: CertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        names = certificate_names(args.domain, args.context.region, args.shared_names)
        certificate = aws.acm.Certificate(
            f"{name}-certificate",
            domain_name=names["domain"],
            subject_alternative_names=[value for role, value in names.items() if role != "domain"],
            validation_method="DNS",
            key_algorithm="EC_prime256v1",
            options={"certificate_transparency_logging_preference": "ENABLED"},
            tags=args.context.tagged(f"{name}-certificate"),
            opts=self.child(),
        )
        own = names if args.owns_shared_records else {"region": names["region"]}
        self.records = tuple(
            aws.route53.Record(
                f"{name}-validation-{role}",
                zone_id=args.hosted_zone,
                name=_option(certificate, own[role], "resource_record_name"),
                type=_option(certificate, own[role], "resource_record_type"),
                records=[_option(certificate, own[role], "resource_record_value")],
                ttl=VALIDATION_TTL_SECONDS,
                opts=self.child(),
            )
            for role in sorted(own)
        )
        validation = aws.acm.CertificateValidation(
            f"{name}-validation",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[_option(certificate, names[role], "resource_record_name") for role in sorted(names)],
            opts=self.child(depends_on=[*self.records, *args.shared_records]),
        )
        self.arn = validation.certificate_arn
        self.register_outputs({"arn": self.arn})


def _option(certificate: aws.acm.Certificate, name: str, key: str) -> Input[str]:
    return certificate.domain_validation_options.apply(lambda options: validation_option(options, name)[key])
