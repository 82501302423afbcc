"""Certificate, entry and Shield over regions: adding one touches no other, and a dead mesh takes its region out."""

import functools
from typing import Any

import pytest

from components.context import RegionContext
from components.edge.certificate import Certificate, CertificateArgs, certificate_names, validation_option
from components.edge.entry import Entry, EntryArgs, RegionEntry
from components.edge.load_balancer_rules import HEALTH_PORT
from components.edge.shield import Shield, ShieldArgs, response_team_trust
from components.settings.edge import FailoverSettings, ShieldSettings
from tests.support.aws_model import request, tag_list, violations
from tests.support.monitor import Recording, record

RECORD, CHECK = "aws:route53/record:Record", "aws:route53/healthCheck:HealthCheck"
DOMAIN, ISSUER, ZONE = "api.clearing.example", "id.api.clearing.example", "Z0123456789PRDZONE"
HOME, OTHER, THIRD = "eu-west-1", "eu-central-1", "eu-north-1"


def context(region: str) -> RegionContext:
    return RegionContext(
        organization="clearing", environment="prod", region=region, account="444455556666", tags={"owner": "security"}
    )


def options(*regions: str) -> dict[str, Any]:
    """What ACM answers: per name one option, in an order of its own; the same for a name in every region."""
    names = (*(f"{region}.{DOMAIN}" for region in regions), ISSUER, DOMAIN)
    return {
        "aws:acm/certificate:Certificate": {
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
    }


@functools.cache
def certificates(*regions: str) -> Recording:
    def program() -> None:
        shared: tuple[Any, ...] = ()
        for region in regions:
            args = CertificateArgs(
                context=context(region),
                domain=DOMAIN,
                hosted_zone=ZONE,
                shared_names={"issuer": ISSUER},
                owns_shared_records=region == HOME,
                shared_records=shared,
            )
            certificate = Certificate(f"{region}-certificate", args)
            shared = shared or certificate.records

    return record(program, outputs=options(*regions))


def entry(routing: str = "latency", regions: tuple[str, ...] = (HOME, OTHER), bucket: str | None = "flow-logs") -> Recording:
    args = EntryArgs(
        context=context(HOME),
        domain=DOMAIN,
        hosted_zone=ZONE,
        failover=FailoverSettings.model_validate({"routing": routing}),
        shared_names={"issuer": ISSUER},
        flow_log_bucket=bucket,
        regions={
            region: RegionEntry(
                load_balancer_arn=f"arn:aws:elasticloadbalancing:{region}:444455556666:loadbalancer/app/edge/1",
                dns_name=f"edge-1.{region}.elb.amazonaws.com",
                zone_id=f"ZELB{region.upper().replace('-', '')}",
            )
            for region in regions
        },
    )
    return record(lambda: Entry("entry", args))


def inputs_by_urn(recording: Recording) -> dict[str, Any]:
    return {one.urn: one.inputs for one in recording.resources}


def test_no_validation_record_is_declared_twice_over_the_regions():
    names = [one.inputs["name"] for one in certificates(HOME, OTHER, THIRD).of(RECORD)]
    assert len(names) == len(set(names))
    assert {f"_x.{name}." for name in (DOMAIN, ISSUER, *(f"{one}.{DOMAIN}" for one in (HOME, OTHER, THIRD)))} == set(names)


def test_each_record_is_the_one_of_its_name():
    for one in certificates(HOME, OTHER).of(RECORD):
        name = one.inputs["name"].removeprefix("_x.")
        assert one.inputs["records"] == [f"_y.{name}acm-validations.aws."]


def test_adding_a_region_touches_no_other_regions_certificate():
    before, after = (inputs_by_urn(certificates(*regions)) for regions in ((HOME, OTHER), (HOME, OTHER, THIRD)))
    assert before.items() <= after.items()


def test_every_region_waits_for_all_of_its_names():
    recording = certificates(HOME, OTHER)
    shared = {one.urn for one in recording.of(RECORD) if one.name.startswith(HOME) and not one.name.endswith("region")}
    for region in (HOME, OTHER):
        validation = recording.one("aws:acm/certificateValidation:CertificateValidation", f"{region}-certificate-validation")
        assert set(validation.inputs["validationRecordFqdns"]) == {f"_x.{one}." for one in (DOMAIN, ISSUER, f"{region}.{DOMAIN}")}
        assert shared <= validation.dependencies


def test_the_certificate_is_known_only_when_it_is_issued():
    recording = certificates(HOME, OTHER)
    for one in recording.of("aws:acm/certificate:Certificate"):
        assert one.inputs["validationMethod"] == "DNS"
        names = request(one.inputs, {"tags": tag_list()}, capital=True)
        del names["Options"]
        assert violations("acm", "RequestCertificate", names) == []


def test_a_name_without_option_or_twice_is_refused():
    with pytest.raises(LookupError, match="no validation option"):
        validation_option([], DOMAIN)
    with pytest.raises(ValueError, match="stands twice"):
        certificate_names(DOMAIN, HOME, {"issuer": DOMAIN})
    with pytest.raises(ValueError, match="the certificate's own"):
        certificate_names(DOMAIN, HOME, {"region": ISSUER})


def test_a_regions_health_is_the_meshs_own_answer():
    for check in entry().of(CHECK):
        assert (check.inputs["type"], check.inputs["port"]) == ("HTTPS", HEALTH_PORT)
        assert check.inputs["resourcePath"] == FailoverSettings().health_path
        assert check.inputs["fqdn"] in {f"{region}.{DOMAIN}" for region in (HOME, OTHER)}


@pytest.mark.parametrize("routing", ["latency", "global_accelerator"])
def test_every_shared_name_leaves_a_region_whose_mesh_is_dead(routing: str):
    recording = entry(routing)
    checks = {one.inputs["fqdn"]: f"{one.name}-id" for one in recording.of(CHECK) if one.inputs["type"] == "HTTPS"}
    for public in (DOMAIN, ISSUER):
        name = public if routing == "latency" else f"latency.{public}"
        answers = {one.inputs["setIdentifier"]: one.inputs for one in recording.of(RECORD) if one.inputs["name"] == name}
        assert answers.keys() == {HOME, OTHER}
        for region, one in answers.items():
            assert one["healthCheckId"] == checks[f"{region}.{DOMAIN}"]
            assert one["latencyRoutingPolicies"] == [{"region": region}]
            assert region in one["aliases"][0]["name"]


def test_the_accelerator_answers_only_while_every_mesh_is_healthy():
    recording = entry("global_accelerator")
    every = recording.one(CHECK, "entry-mesh-every-region")
    assert every.inputs["childHealthThreshold"] == len(every.inputs["childHealthchecks"]) == 2
    for public in (DOMAIN, ISSUER):
        kinds = {
            one.inputs["failoverRoutingPolicies"][0]["type"]: one for one in recording.of(RECORD) if one.inputs["name"] == public
        }
        assert kinds["PRIMARY"].inputs["healthCheckId"] == f"{every.name}-id"
        (fallback,) = kinds["SECONDARY"].inputs["aliases"]
        assert (fallback["name"], fallback["evaluateTargetHealth"]) == (f"latency.{public}", True)
    groups = recording.of("aws:globalaccelerator/endpointGroup:EndpointGroup")
    assert {one.inputs["endpointGroupRegion"] for one in groups} == {HOME, OTHER}
    assert all(one.inputs["endpointConfigurations"][0]["clientIpPreservationEnabled"] for one in groups)


def test_an_accelerator_without_flow_logs_is_refused():
    with pytest.raises(Exception, match="flow_log_bucket"):
        entry("global_accelerator", bucket=None)


def test_adding_a_region_changes_no_record_that_exists():
    before, after = (inputs_by_urn(entry(regions=regions)) for regions in ((HOME, OTHER), (HOME, OTHER, THIRD)))
    component = next(urn for urn in before if urn.endswith("Entry::entry"))
    assert {urn: one for urn, one in before.items() if urn != component}.items() <= after.items()


def test_route_53s_own_model_accepts_the_checks():
    for check in entry("global_accelerator").of(CHECK):
        names = {
            "tags": None,
            "fqdn": "FullyQualifiedDomainName",
            "enableSni": "EnableSNI",
            "childHealthchecks": "ChildHealthChecks",
            "childHealthThreshold": "HealthThreshold",
        }
        config = request(check.inputs, names, capital=True)
        whole = {"CallerReference": check.name, "HealthCheckConfig": config}
        assert violations("route53", "CreateHealthCheck", whole) == []


def shield() -> Recording:
    settings = ShieldSettings(
        advanced=True,
        proactive_engagement_contacts=("soc@clearing.example", "cto@clearing.example"),
        proactive_engagement_phone="+33123456789",
    )
    arns = {region: f"arn:aws:elasticloadbalancing:{region}:444455556666:loadbalancer/app/edge/1" for region in (HOME, OTHER)}
    checks = {region: f"arn:aws:route53:::healthcheck/{region}" for region in (HOME, OTHER)}
    others = {"accelerator": "arn:aws:globalaccelerator::444455556666:accelerator/1"}
    args = ShieldArgs(
        context=context(HOME), settings=settings, load_balancers=arns, health_check_arns=checks, associations=(), others=others
    )
    return record(lambda: Shield("shield", args))


def test_every_load_balancer_is_protected_judged_and_mitigated():
    recording = shield()
    protected = {one.inputs["resourceArn"] for one in recording.of("aws:shield/protection:Protection")}
    mitigated = recording.of("aws:shield/applicationLayerAutomaticResponse:ApplicationLayerAutomaticResponse")
    assert len(protected) == 3
    assert {one.inputs["resourceArn"] for one in mitigated} < protected
    assert {one.inputs["action"] for one in mitigated} == {"BLOCK"}
    judged = recording.of("aws:shield/protectionHealthCheckAssociation:ProtectionHealthCheckAssociation")
    assert {one.inputs["healthCheckArn"].rpartition("/")[2] for one in judged} == {HOME, OTHER}
    (subscription,) = recording.of("aws:shield/subscription:Subscription")
    assert all(subscription.urn in one.dependencies for one in recording.of("aws:shield/protection:Protection"))


def test_the_response_team_can_be_reached_and_is_nobody_else():
    (engagement,) = shield().of("aws:shield/proactiveEngagement:ProactiveEngagement")
    first, *rest = engagement.inputs["emergencyContacts"]
    assert first["phoneNumber"] == "+33123456789"
    assert [one["emailAddress"] for one in (first, *rest)] == ["soc@clearing.example", "cto@clearing.example"]
    (statement,) = response_team_trust()["Statement"]
    assert statement["Principal"] == {"Service": "drt.shield.amazonaws.com"}
    contacts = {"EmergencyContactList": request({"contacts": [first, *rest]}, capital=True)["Contacts"]}
    assert violations("shield", "AssociateProactiveEngagementDetails", contacts) == []


def test_shield_without_a_telephone_number_does_not_load():
    with pytest.raises(ValueError, match="rules over several keys"):
        ShieldSettings(advanced=True, proactive_engagement_contacts=("soc@clearing.example",))
    with pytest.raises(ValueError, match="rules over several keys"):
        ShieldSettings(proactive_engagement_phone="0123456789")
