"""The real custom resource definitions of every kind the program creates, from the modules that define them.

Each source is taken in the version whose controller the program installs (`tools/crds/go.mod`). A source that no module
brings comes from a folder of definitions, one sub-folder per source: the setting `ZEROTRUST_CRDS`, or `shared/crds`
beside the project when there is one. `unjudged()` says what is missing without it.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.modules import module_folders
from sandbox.toolchain import ROOT, cache_root

SETTING: Final = "ZEROTRUST_CRDS"
_BESIDE: Final = ROOT.parent / "shared" / "crds"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the definitions lie inside a module: globs below its folder."""

    module: str
    files: tuple[str, ...]


FROM_MODULES: Final[Mapping[str, Source]] = {
    "argo-cd": Source(module="github.com/argoproj/argo-cd/v3", files=("manifests/crds/*-crd.yaml",)),
    "cert-manager": Source(module="github.com/cert-manager/cert-manager", files=("deploy/crds/*.yaml",)),
    "cilium": Source(module="github.com/cilium/cilium", files=("pkg/k8s/apis/cilium.io/client/crds/v2*/*.yaml",)),
    "cloudnative-pg": Source(module="github.com/cloudnative-pg/cloudnative-pg", files=("config/crd/bases/*.yaml",)),
    "external-dns": Source(module="sigs.k8s.io/external-dns", files=("config/crd/standard/*.yaml",)),
    "gatekeeper": Source(module="github.com/open-policy-agent/gatekeeper/v3", files=("charts/gatekeeper/crds/*.yaml",)),
    "gateway-api": Source(module="sigs.k8s.io/gateway-api", files=("config/crd/standard/*.yaml",)),
    "istio": Source(module="istio.io/api", files=("kubernetes/customresourcedefinitions.gen.yaml",)),
    "karpenter": Source(module="github.com/aws/karpenter-provider-aws", files=("pkg/apis/crds/*.yaml",)),
    "kyverno": Source(module="github.com/kyverno/kyverno", files=("config/crds/*/*.yaml",)),
    "plugin-barman-cloud": Source(module="github.com/cloudnative-pg/plugin-barman-cloud", files=("config/crd/bases/*.yaml",)),
    "policy-controller": Source(module="github.com/sigstore/policy-controller", files=("config/300-*.yaml",)),
    "prometheus-operator": Source(
        module="github.com/prometheus-operator/prometheus-operator", files=("example/prometheus-operator-crd/*.yaml",)
    ),
    "spire-controller-manager": Source(module="github.com/spiffe/spire-controller-manager", files=("config/crd/bases/*.yaml",)),
    "velero": Source(module="github.com/vmware-tanzu/velero", files=("config/crd/v*/bases/*.yaml",)),
}

FROM_FOLDER: Final[Mapping[str, tuple[str, ...]]] = {
    "aws-load-balancer-controller": ("elbv2.k8s.aws",),
    "chaos-mesh": ("chaos-mesh.org",),
    "external-secrets": ("external-secrets.io", "generators.external-secrets.io"),
    "opentelemetry-operator": ("opentelemetry.io",),
    "trivy-operator": ("aquasecurity.github.io",),
    "vault-secrets-operator": ("secrets.hashicorp.com",),
}
"""Sources whose module is not to be had in the version the program installs → the API groups they define."""


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml's where there is one
    """A safe loader to which a lone `=` is text, as it is to Kubernetes (an enumeration of matchers has it)."""


Loader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)


class CrdError(Exception):
    """The definitions cannot be read; the message says which folder or source and what to do."""

    user_facing = True


def folder() -> Path | None:
    """The folder of definitions that no module brings, None when there is none.

    Raises:
        CrdError: when the setting names a folder that does not exist.
    """
    if chosen := os.environ.get(SETTING):
        if not Path(chosen).is_dir():
            msg = f"{SETTING} names {chosen}, which is no folder"
            raise CrdError(msg)
        return Path(chosen)
    return _BESIDE if _BESIDE.is_dir() else None


def crd_files() -> dict[str, list[Path]]:
    """Source → its files, sorted; a file may hold other objects besides definitions.

    Raises:
        CrdError: when a module no longer has files where the table says.
        ToolError: when a module cannot be fetched.
    """
    modules = module_folders("crds")
    found = {
        name: sorted(path for pattern in source.files for path in modules[source.module].glob(pattern))
        for name, source in FROM_MODULES.items()
    }
    if empty := [f"{name} ({FROM_MODULES[name].module})" for name, files in found.items() if not files]:
        msg = f"no definitions where sandbox/crds.py looks for them: {', '.join(empty)}"
        raise CrdError(msg)
    beside = folder()
    for name in FROM_FOLDER if beside else ():
        if files := sorted((beside / name).glob("*.yaml")):  # type: ignore[operator]  # the loop is empty for None
            found[name] = files
    return dict(sorted(found.items()))


def unjudged() -> dict[str, tuple[str, ...]]:
    """Source → API groups nothing here can judge, because no module and no folder brings their definitions."""
    beside = folder()
    return {name: groups for name, groups in FROM_FOLDER.items() if not (beside and any((beside / name).glob("*.yaml")))}


def load_crds() -> list[dict[str, Any]]:
    """Every definition once, by name, ready for a server that runs none of the controllers.

    A conversion webhook has nobody to answer it: such a definition keeps its versions and their schemas and converts
    nothing, so an object is judged in the version it is written in. Thirty megabytes of YAML take seconds to read: the
    result is kept in the cache under the hash of this file and of all of theirs.

    Raises:
        CrdError: when two sources define one name.
        ToolError: when a module cannot be fetched.
    """
    texts = {source: [file.read_bytes() for file in files] for source, files in crd_files().items()}
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for text in (text for several in texts.values() for text in several):
        digest.update(hashlib.sha256(text).digest())
    kept = cache_root() / "crds" / f"{digest.hexdigest()[:32]}.json"
    if kept.is_file():
        return list(json.loads(kept.read_bytes()))
    found = _parse(texts)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=kept.parent, encoding="utf-8", delete=False) as fresh:
        json.dump(found, fresh)
    Path(fresh.name).replace(kept)
    return found


def _parse(texts: Mapping[str, Sequence[bytes]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    origin: dict[str, str] = {}
    for source, several in texts.items():
        for document in (document for text in several for document in yaml.load_all(text, Loader=Loader)):
            if not document or document.get("kind") != "CustomResourceDefinition":
                continue
            name = document["metadata"]["name"]
            if name in found:
                msg = f"{name} is defined by {origin[name]} and by {source}"
                raise CrdError(msg)
            document.pop("status", None)
            document["spec"].pop("conversion", None)
            found[name], origin[name] = document, source
    return [found[name] for name in sorted(found)]
