import subprocess
import sys
from pathlib import Path

import policy
from policy.client import Pack
from tests.policy import corpus, scale

ROOT = Path(policy.__file__).parent.parent


def test_a_large_resource_costs_one_decoding_and_not_one_per_control() -> None:
    ours, naive = min(scale.compare(500) for _ in range(3))
    assert naive > 10 * ours, (ours, naive)


def test_serving_loads_no_provider_sdk() -> None:
    code = "import sys, policy.servicer, policy.engine as e; e.default_engine(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "pulumi_policy" in loaded
    assert not loaded & {"pulumi_aws", "pulumi_kubernetes", "pulumi_eks", "pulumi_vault", "components"}


def test_answers_do_not_depend_on_what_was_asked_before(pack: Pack) -> None:
    resources = corpus.build()
    first = [pack.analyze(one) for one in resources]
    assert [pack.analyze(one) for one in reversed(resources)] == first[::-1]
