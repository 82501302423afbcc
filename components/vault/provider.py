"""How the program reaches a region's Vault: by its private name, as the deployer's AWS role, for as long as one `up` takes.

No token is stored anywhere: the role signs a request to STS, Vault has STS say whose it is (the `aws` login that the ceremony
makes). The header names the one Vault that the signature is for, so another server that gets to see it cannot use it here.
Relies on: the ceremony; a runner inside the network that has the authorities' certificates at `vault.ca_file`.
"""

from typing import Final

import pulumi
import pulumi_vault as vault

from components.graph.names import VAULT_PORT, vault_host

LOGIN_MOUNT: Final = "aws"
DEPLOYER: Final = "deployer"
"""The login's role and its policy."""


def address(trust_domain: str) -> str:
    """Where a region's Vault is reached from inside the network."""
    return f"https://{vault_host(trust_domain)}:{VAULT_PORT}"


def deployer_principal(role_arn: str) -> str:
    """The deployer's role as Vault's aws login knows it: STS leaves a role's path out of what it says about a session."""
    account, _, name = role_arn.partition(":role/")
    return f"{account}:role/{name.rsplit('/', 1)[-1]}"


def sts_endpoint(region: str) -> str:
    """The regional endpoint of STS, which stands inside the network."""
    return f"https://sts.{region}.amazonaws.com"


def vault_provider(name: str, *, trust_domain: str, region: str, ca_file: str, opts: pulumi.ResourceOptions) -> vault.Provider:
    """The provider of everything inside a region's Vault."""
    return vault.Provider(
        name,
        address=address(trust_domain),
        ca_cert_file=ca_file,
        auth_login_aws=vault.ProviderAuthLoginAwsArgs(
            mount=LOGIN_MOUNT,
            role=DEPLOYER,
            aws_region=region,
            aws_sts_endpoint=sts_endpoint(region),
            header_value=vault_host(trust_domain),
        ),
        # The login's own token: it lives minutes, and its policy makes no others.
        skip_child_token=True,
        max_retries=5,
        opts=opts,
    )
