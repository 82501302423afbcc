"""The program: settings in, platform out. Reads like the architecture; declares no resource of its own."""

import pulumi

from components.platform import Platform
from components.settings import load


def main() -> None:
    """Build one environment and export what its operators and peers need."""
    settings = load(pulumi.Config("zerotrust").get_object("settings"), f"stack {pulumi.get_stack()}")
    platform = Platform(settings.environment, settings)

    pulumi.export("domain", settings.edge.domain)
    pulumi.export("clusters", {code: region.cluster_name for code, region in platform.regions.items()})
    pulumi.export("load_balancers", {code: region.load_balancer_dns_name for code, region in platform.regions.items()})
    pulumi.export("audit_bucket", platform.audit_bucket)


if __name__ == "__main__":
    main()
