"""The preview command: what it prints, what it writes, how it ends. The policies are a small pack of the test's own."""

import io
import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from rich.console import Console

from sandbox import preview
from sandbox.session import ROOT, Place, Program, program_of

pytestmark = pytest.mark.engine
PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy


def no_wide_range(args, report):
    if args.resource_type == "aws:ec2/vpc:Vpc" and args.props["cidrBlock"].endswith("/8"):
        report("range too wide. Remedy: take a /16 or smaller.")


def named_owner(args, report):
    if args.resource_type == "aws:ec2/subnet:Subnet" and not args.props["vpcId"].startswith("vpc-"):
        report("not in a VPC")


PolicyPack("small", [
    ResourceValidationPolicy("no-wide-range", "Ranges are small", no_wide_range, EnforcementLevel.MANDATORY),
    ResourceValidationPolicy("in-a-vpc", "Subnets lie in a VPC", named_owner, EnforcementLevel.MANDATORY),
])
"""


class NotSettledError(Exception):
    user_facing = True


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "PulumiPolicy.yaml").write_text("runtime:\n  name: python\n  options:\n    virtualenv: .venv\n", encoding="utf-8")
    (folder / "__main__.py").write_text(PACK, encoding="utf-8")
    return folder


def _regional(cidr: str) -> Program:
    def main() -> None:
        network = pulumi.ComponentResource("zerotrust:network:Vpc", "eu-west-1-network")
        below = pulumi.ResourceOptions(parent=network)
        vpc = aws.ec2.Vpc("vpc", cidr_block=cidr, opts=below)
        aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24", opts=below)
        aws.iam.Role("auditor", assume_role_policy="{}")

    return main


def _run(program: Program, place: Place, build: Path, pack: Path | None = None) -> tuple[int, str, dict[str, Any] | None]:
    console = Console(file=io.StringIO(), width=160)
    result = preview.run("dev", program, place=place, policy_pack=pack, console=console)
    code = preview.conclude(console, result, build=build, policies=pack is not None)
    file = build / "preview" / "dev.json"
    written = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    assert isinstance(console.file, io.StringIO)
    return code, console.file.getvalue(), written


def test_a_preview_counts_resources_by_layer_and_region(place: Place, tmp_path: Path) -> None:
    code, said, written = _run(_regional("10.0.0.0/16"), place, tmp_path)
    assert code == 0
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in said.splitlines() if line.startswith("│")]
    assert ["network", "", "3", "3"] in rows
    assert ["program", "1", "", "1"] in rows
    assert "stand-in for aws, eks, kubernetes, random, tls, vault; real: none" in said
    assert written is not None
    assert written["resources"]["total"] == 4
    assert written["resources"]["by_type"]["aws:ec2/subnet:Subnet"] == 1
    assert written["plugins"]["aws"] == "stand-in"
    assert written["engine"]["source"] in ("path", "download", "build")


def test_a_policy_that_met_an_unknown_value_is_listed_and_does_not_fail(place: Place, tmp_path: Path, pack: Path) -> None:
    code, said, written = _run(_regional("10.0.0.0/16"), place, tmp_path, pack)
    assert code == 0
    assert written is not None
    assert written["policies"]["checked"] == 2
    assert [line["policy"] for line in written["policies"]["could_not_run"]] == ["in-a-vpc"]
    assert written["policies"]["violations"] == []
    assert "2 checked, 1 could not run" in said


def test_a_mandatory_violation_fails_and_names_resource_and_remedy(place: Place, tmp_path: Path, pack: Path) -> None:
    code, said, written = _run(_regional("10.0.0.0/8"), place, tmp_path, pack)
    assert code == 1
    assert written is not None
    (violation,) = written["policies"]["violations"]
    assert violation["policy"] == "no-wide-range"
    assert violation["resource"].endswith("::vpc")
    assert violation["remedy"] == "take a /16 or smaller."
    assert "remedy: take a /16 or smaller." in said


def test_an_error_for_the_user_is_one_sentence_and_leaves_no_summary(place: Place, tmp_path: Path) -> None:
    _run(_regional("10.0.0.0/16"), place, tmp_path)

    def broken() -> None:
        msg = "network.cidr: 10.0.0.0/99 is not a range"
        raise NotSettledError(msg)

    code, said, written = _run(broken, place, tmp_path)
    assert code == 1
    assert said.strip() == "network.cidr: 10.0.0.0/99 is not a range"
    assert written is None


def test_any_other_error_of_the_program_shows_where_it_happened(place: Place, tmp_path: Path) -> None:
    def broken() -> None:
        msg = "no such thing"
        raise KeyError(msg)

    code, said, written = _run(broken, place, tmp_path)
    assert code == 1
    assert "KeyError: 'no such thing'" in said
    assert written is None


def test_an_encrypted_setting_is_replaced_and_said(place: Place, project: Path, tmp_path: Path) -> None:
    text = "config:\n  aws:region: eu-west-1\n  fixture:token:\n    secure: v1:abc\n"
    (project / "Pulumi.dev.yaml").write_text(text, encoding="utf-8")
    _, said, _ = _run(lambda: pulumi.export("token", pulumi.Config().require("token")), place, tmp_path)
    assert "encrypted settings replaced by a placeholder: fixture:token" in said


@pytest.mark.skipif(not (ROOT / "__main__.py").is_file(), reason="the program does not exist yet")
def test_the_real_program_previews_without_an_account(tmp_path: Path) -> None:
    place = Place.of("dev", ROOT, tmp_path)
    code, said, written = _run(program_of(ROOT / "__main__.py"), place, tmp_path)
    assert code == 0, said
    assert written is not None
    assert written["resources"]["total"] > 100
