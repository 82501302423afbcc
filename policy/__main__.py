import sys
from pathlib import Path

# The engine starts the pack as a directory; its modules import each other from the directory above.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pulumi_policy import EnforcementLevel, PolicyPack  # noqa: E402

from policy import catalogue, engine, servicer  # noqa: E402

servicer.install(engine.default_engine(), catalogue.load())
PolicyPack(
    name=servicer.PACK_NAME,
    policies=servicer.policies(catalogue.load()),
    enforcement_level=EnforcementLevel.MANDATORY,
    description="Zero-trust controls for multi-tenant banks on AWS",
    provider="AWS",
)
