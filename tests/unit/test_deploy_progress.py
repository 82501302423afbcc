"""What a start says while the engine works: what is done, and what it waits for."""

from types import SimpleNamespace

from sandbox.local.deploy import UnderWay

STACK = "urn:pulumi:local::zerotrust::"


def _event(kind: str, urn: str) -> SimpleNamespace:
    said = SimpleNamespace(metadata=SimpleNamespace(urn=STACK + urn))
    return SimpleNamespace(**{"resource_pre_event": None, "res_outputs_event": None, kind: said})


def test_what_is_waited_for_longest_is_named_and_a_component_never():
    under_way = UnderWay()
    release, service = "kubernetes:helm.sh/v3:Release::vault", "kubernetes:core/v1:Service::gateway"
    under_way.see(_event("resource_pre_event", "pulumi:pulumi:Stack::zerotrust-local"))
    for urn in ("zerotrust:vault:Platform::eu-west-1-vault", f"zerotrust:vault:Platform${release}", service):
        under_way.see(_event("resource_pre_event", urn))
    assert str(under_way) == "0 resources, under way vault and 1 more"
    under_way.see(_event("res_outputs_event", f"zerotrust:vault:Platform${release}"))
    assert str(under_way) == "1 resources, under way gateway"
    under_way.see(_event("res_outputs_event", service))
    assert str(under_way) == "2 resources"
    urns = [line.split("\t") for line in under_way.times()]
    assert [fields[0].rpartition("::")[2] for fields in urns] == ["zerotrust-local", "eu-west-1-vault", "vault", "gateway"]
    assert [bool(fields[2]) for fields in urns] == [False, False, True, True]
