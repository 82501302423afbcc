"""The catalogue is the one source: rules, tokens, metadata and reference table agree with it in every direction."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest
from pulumi.runtime.proto import analyzer_pb2

from policy import catalogue, reference, servicer
from policy.client import Pack, Recorded

CONTROLS = catalogue.load()
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
POLICY = Path(catalogue.__file__).parent
NAME = re.compile(r"^(aws|any)-[a-z0-9]+(-[a-z0-9]+)*$")
TOKEN = re.compile(r'"(aws:[a-z0-9]+/[A-Za-z0-9]+:[A-Za-z0-9]+)"')


def sdk_class(token: str) -> type:
    """The SDK's class of a token; the pack itself never imports the SDK."""
    _, module, kind = token.split(":")
    return getattr(importlib.import_module(f"pulumi_aws.{module.split('/')[0]}"), kind)


def test_controls_and_rule_files_are_the_same_set() -> None:
    files = {path.stem for path in catalogue.RULES.glob("*.py")} - {"__init__"}
    assert files == {control.module for control in CONTROLS}
    assert len(CONTROLS) == 40


def test_ids_and_policy_names_are_unique_and_well_formed() -> None:
    assert len({control.id for control in CONTROLS}) == len(CONTROLS)
    assert len({control.policy for control in CONTROLS}) == len(CONTROLS)
    assert all(NAME.match(control.policy) for control in CONTROLS)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.id)
def test_a_control_says_everything_an_auditor_asks_for(control: catalogue.Control) -> None:
    assert control.level == "mandatory"
    assert control.severity in ("low", "medium", "high", "critical")
    assert control.nist
    assert all(re.fullmatch(r"[a-z]{2}-\d+(\.\d+)?", ref) for ref in control.nist)
    assert all(re.fullmatch(r"(CC|A|C)\d\.\d", ref) for ref in control.soc2)
    assert control.soc2
    assert control.title
    assert control.remediation.endswith(".")
    assert control.rationale.endswith(".")
    assert all("default" in schema and "type" in schema for schema in control.parameters.values())


@pytest.mark.parametrize("token", sorted({t for c in CONTROLS for t in c.tokens if t != "*"}))
def test_a_token_is_one_the_installed_sdk_registers(token: str) -> None:
    # The V2 names are aliases of the plain ones in the installed SDK; state files of older programs hold them.
    if token.endswith("V2") and ":s3/" in token:
        assert token in inspect.getsource(sdk_class(token.replace("V2", "")))
        return
    assert f"'{token}'" in inspect.getsource(sdk_class(token))


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.id)
def test_a_rule_names_no_type_that_its_control_does_not_declare(control: catalogue.Control) -> None:
    text = (catalogue.RULES / f"{control.module}.py").read_text(encoding="utf-8")
    if control.kind == "stack" and control.tokens != ("*",):
        assert set(TOKEN.findall(text)) <= set(control.tokens)
    parameters = set(re.findall(r'(?:params\.get\(|strings\(params, )"(\w+)"', text))
    assert parameters == set(control.parameters)


def test_compliant_properties_exist_in_the_installed_sdk(resources: list[Recorded]) -> None:
    for one in resources:
        if one.type.startswith("aws:"):
            accepted = inspect.signature(sdk_class(one.type)._internal_init).parameters
            strangers = {key for key in one.props if snake(key) not in accepted} - {"id", "arn"}
            assert not strangers, (one.type, strangers)


def snake(key: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", key).lower()


def test_the_pack_imports_neither_the_program_nor_a_provider_sdk() -> None:
    for path in POLICY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in {"components", "sandbox", "pulumi_aws", "pulumi_eks"}, path
                assert not name.startswith(("pulumi_kubernetes", "pulumi_vault")), path


def test_the_reference_page_is_current() -> None:
    assert reference.FILE.read_text(encoding="utf-8") == reference.render(CONTROLS)


def test_the_engine_is_told_all_metadata(pack: Pack) -> None:
    info = pack.info()
    assert info.name == servicer.PACK_NAME
    told = {one.name: one for one in info.policies}
    assert set(told) == {control.policy for control in CONTROLS}
    kinds = {"resource": analyzer_pb2.POLICY_TYPE_RESOURCE, "stack": analyzer_pb2.POLICY_TYPE_STACK}
    for control in CONTROLS:
        one = told[control.policy]
        assert one.enforcementLevel == analyzer_pb2.MANDATORY
        assert one.policy_type == kinds[control.kind]
        assert one.description == control.title
        assert one.remediation_steps == control.remediation
        assert control.id in one.tags
        assert one.severity == analyzer_pb2.PolicySeverity.Value(f"POLICY_SEVERITY_{control.severity.upper()}")
        assert set(one.configSchema.properties) == set(control.parameters)
