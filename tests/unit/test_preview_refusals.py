"""`make preview` with settings that must not load: every sentence, exit code 1, and nothing begun."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def preview(project: Path, stack: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox.preview", "--stack", stack, "--project", str(project)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("Pulumi.yaml", "__main__.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def test_bad_settings_end_the_preview_before_the_engine_starts(project):
    text = (ROOT / "Pulumi.prod.yaml").read_text()
    for right, wrong in (
        ("trust_domain_base: trust.clearing-platform.internal", "trust_domain_base: bank.example"),
        ("callee: bank-a/auth-ms", "callee: bank-a/nobody"),
        ("    home_region: eu-west-1\n", "    home_region: eu-west-1\n    home_regoin: eu-west-1\n"),
    ):
        assert right in text
        text = text.replace(right, wrong, 1)
    (project / "Pulumi.refused.yaml").write_text(text)
    done = preview(project, "refused")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "3 settings refused, nothing was done." in said
    for begin in ("identity.trust_domain_base = ", "access.calls.bank-a-api-to-auth.callee = ", "home_regoin = "):
        assert sum(line.strip().startswith(begin) for line in said.splitlines()) == 1, said
    assert "Traceback" not in said
    assert "resources" not in said
    assert not (ROOT / "build/preview/refused.json").exists()
    assert not (ROOT / "build/state/refused").exists()


def test_a_key_given_twice_is_refused(project):
    text = (
        (ROOT / "Pulumi.dev.yaml").read_text().replace("    environment: dev\n", "    environment: dev\n    environment: prod\n")
    )
    (project / "Pulumi.twice.yaml").write_text(text)
    done = preview(project, "twice")
    assert done.returncode == 1
    assert "this key stands here twice" in done.stdout


def test_a_stack_that_does_not_exist_is_refused(project):
    done = preview(project, "nowhere")
    assert done.returncode == 1
    assert "Pulumi.nowhere.yaml" in done.stdout
