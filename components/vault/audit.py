"""Vault's two audit devices: a file on the server's audit volume, and the container's output, which the log pipeline carries on.

Both stand before anything secret does. Values are hashed with a key of the device's own, never written as they are. Vault
answers as long as one of the two takes the entry and refuses everything when neither does: what is not recorded does not happen.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import pulumi
import pulumi_vault as vault

from components.base import Component
from components.vault.server import AUDIT_FILE

DEVICES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "file": {"file_path": AUDIT_FILE, "log_raw": "false", "hmac_accessor": "true", "mode": "0600"},
        "stdout": {"file_path": "stdout", "log_raw": "false", "hmac_accessor": "true"},
    }
)
"""Options of the devices of type `file`, by path."""


class AuditDevices(Component, token="zerotrust:vault:AuditDevices"):
    """Both devices. `ready` gates everything else inside Vault. The Vault provider is the caller's to give.

    `protect` keeps them where taking one away must be asked for twice; elsewhere a stack can be taken down.
    """

    ready: tuple[pulumi.Resource, ...]

    def __init__(
        self, name: str, *, protect: bool, after: Sequence[pulumi.Resource] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self.ready = tuple(
            vault.Audit(
                f"{name}-{path}",
                type="file",
                path=path,
                options=dict(options),
                opts=self.child(depends_on=list(after), protect=protect),
            )
            for path, options in sorted(DEVICES.items())
        )
        self.register_outputs({})
