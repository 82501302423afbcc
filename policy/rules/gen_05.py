"""Every exemption is complete, current and in use."""

from policy.model import Findings, Params, Stack, Violation


def validate(stack: Stack, _params: Params) -> Findings:
    """The register is judged when it is read; what is wrong with it is a violation of its own."""
    for problem in stack.exemption_problems:
        yield Violation(path="policy/exemptions.yaml", problem=problem, urn=stack.urn)
