"""Helm releases by the real Helm, on the charts that are here; what no chart is here for is declared and written down.

`<home>/not_installed.json` has region → release → why, for whoever wants to know what does not run.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.charts import ChartError
from sandbox.crds import Loader
from sandbox.live import charts
from sandbox.live.client import Cluster
from sandbox.live.definitions import supply
from sandbox.live.running import Running
from sandbox.live.vault import ceremony
from sandbox.live.waiting import unready_pods
from sandbox.toolchain import ToolError, build

NOT_INSTALLED: Final = "not_installed.json"
DECLARED: Final = "declared"
_NO_CHART: Final = "no chart here"
_USUAL_SECONDS: Final = 300
_GRACE_SECONDS: Final = 30.0
_UNSERVED: Final = re.compile(r'no matches for kind "(\w+)" in version "([^"]+)"')
_FLAGS: Final[Mapping[str, str]] = {
    "atomic": "--atomic",
    "cleanupOnFail": "--cleanup-on-fail",
    "createNamespace": "--create-namespace",
    "dependencyUpdate": "--dependency-update",
    "devel": "--devel",
    "disableOpenapiValidation": "--disable-openapi-validation",
    "disableWebhooks": "--no-hooks",
    "forceUpdate": "--force",
    "renderSubchartNotes": "--render-subchart-notes",
    "reuseValues": "--reuse-values",
    "skipCrds": "--skip-crds",
    "takeOwnership": "--take-ownership",
    "verify": "--verify",
    "waitForJobs": "--wait-for-jobs",
}
_UNFINISHED: Final = frozenset({"failed", "pending-install"})
_at_once = threading.BoundedSemaphore(12)
_writing = threading.Lock()


class ReleaseError(Exception):
    """Helm refuses or gives up: its own sentence and the pods that are not ready. `stands` says whether the release is stored."""

    def __init__(self, message: str, *, stands: bool = False) -> None:
        super().__init__(message)
        self.stands = stands


class Releases:
    """The releases of one cluster. `say` gets what a user should know, `cancelled` ends a running Helm."""

    def __init__(self, running: Running, cluster: Cluster, say: Callable[[str], None], cancelled: threading.Event) -> None:
        self._running, self._cluster, self._say, self._cancelled = running, cluster, say, cancelled
        self._region = cluster.access.region

    def install(self, wanted: Mapping[str, Any], *, new: bool) -> dict[str, Any]:
        """Installs or upgrades; the outputs that a release has beyond its inputs.

        Args:
            wanted: the inputs of `kubernetes:helm.sh/v3:Release` as plain values.
            new: whether no release of this name is this program's yet.

        Raises:
            ReleaseError: in Helm's words.
        """
        name, namespace = wanted["name"], wanted["namespace"]
        chart, version = str(wanted["chart"]), str(wanted.get("version") or "")
        pin = charts.pin_of(chart, version)
        values = _without_nulls(wanted.get("values") or {}, keep=bool(wanted.get("allowNullValues")))
        with contextlib.ExitStack() as held:
            scratch = held.enter_context(tempfile.TemporaryDirectory())
            try:
                reason = self._running.left_out.get(pin, "")
                repository = str((wanted.get("repositoryOpts") or {}).get("repo") or "")
                found = None if reason else charts.find(chart, version, repository, values, Path(scratch))
            except (ChartError, ToolError, charts.WrongDigestError) as error:
                raise ReleaseError(str(error)) from error
            if found is None:
                return self._declared(wanted, pin, reason or _NO_CHART)
            if new:
                self._clear_unfinished(name, namespace)
            if pin == "vault":
                held.enter_context(ceremony(self._cluster, self._running.home))
            arguments = ["upgrade", "--install", name, str(found.path), "--namespace", namespace, "--output", "json"]
            over = self._running.values.get(pin, ())
            arguments += ["--values", "-", *(part for file in over for part in ("--values", str(file)))]
            self._upgrade([*arguments, *_options(wanted)], wanted, values)
        self.note(name, None)
        return self._outputs(name, namespace)

    def read(self, name: str, namespace: str) -> dict[str, Any] | None:
        """The outputs of a release that is installed; None when there is none."""
        return self._outputs(name, namespace) if self._status(name, namespace) else None

    def uninstall(self, name: str, namespace: str, *, wait: bool, timeout: float) -> None:
        """Removes a release; nothing when it is gone.

        Raises:
            ReleaseError: in Helm's words.
        """
        self.note(name, None)
        arguments = ["uninstall", name, "--namespace", namespace, "--ignore-not-found", "--timeout", f"{timeout:.0f}s"]
        done = self._helm([*arguments, *(["--wait"] if wait else [])])
        if done.returncode != 0:
            msg = f"release {namespace}/{name}: {_sentence(done.stderr)}"
            raise ReleaseError(msg, stands=True)

    def note(self, name: str, why: str | None) -> None:
        """Writes down that a release is not installed, or (None) that there is nothing to say about it."""
        path = self._running.home / NOT_INSTALLED
        with _writing:
            known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            if (known.get(self._region) or {}).get(name) == why:
                return
            entries = {**(known.get(self._region) or {}), name: why}
            known[self._region] = {key: entries[key] for key in sorted(entries) if entries[key] is not None}
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            fresh.replace(path)

    def is_anything_declared(self) -> bool:
        """Whether a release of this cluster is declared and not installed, so that its kinds may be wanting."""
        path = self._running.home / NOT_INSTALLED
        with _writing:
            return bool(path.is_file() and json.loads(path.read_text(encoding="utf-8")).get(self._region))

    def _declared(self, wanted: Mapping[str, Any], pin: str, why: str) -> dict[str, Any]:
        name, namespace = wanted["name"], wanted["namespace"]
        self.note(name, why)
        self._say(f"{self._region}: release {namespace}/{name} is declared, not installed: {pin}: {why}")
        return {"status": {"name": name, "namespace": namespace, "chart": pin, "status": DECLARED}, "resourceNames": {}}

    def _upgrade(self, arguments: Sequence[str], wanted: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        name, namespace = wanted["name"], wanted["namespace"]
        supplied: set[tuple[str, str]] = set()
        while (done := self._helm(arguments, json.dumps(values))).returncode != 0:
            missing = set(_UNSERVED.findall(done.stderr)) - supplied
            if missing and self.is_anything_declared():
                supplied |= missing
                if all(supply(self._cluster, version, kind) for kind, version in sorted(missing)):
                    continue
            stands = self._status(name, namespace) is not None
            pods = unready_pods(self._cluster, namespace, f"app.kubernetes.io/instance={name}") if stands else []
            pods = pods or (unready_pods(self._cluster, namespace, "") if stands else [])
            message = f"release {namespace}/{name}: " + "; ".join([_sentence(done.stderr), *pods])
            raise ReleaseError(message, stands=stands)

    def _clear_unfinished(self, name: str, namespace: str) -> None:
        """Helm refuses to go on from a first installation that failed or was cut off."""
        found = self._status(name, namespace)
        if found and found["info"]["status"] in _UNFINISHED:
            self.uninstall(name, namespace, wait=True, timeout=_USUAL_SECONDS)

    def _status(self, name: str, namespace: str) -> dict[str, Any] | None:
        done = self._helm(["status", name, "--namespace", namespace, "--output", "json"])
        if done.returncode != 0:
            if "not found" in done.stderr:
                return None
            msg = f"release {namespace}/{name}: {_sentence(done.stderr)}"
            raise ReleaseError(msg)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _outputs(self, name: str, namespace: str) -> dict[str, Any]:
        found = self._status(name, namespace) or {}
        described = self._helm(["get", "metadata", name, "--namespace", namespace, "--output", "json"])
        about: dict[str, Any] = json.loads(described.stdout or "{}")
        status = {
            "name": name,
            "namespace": namespace,
            "chart": about.get("chart", ""),
            "version": about.get("version", ""),
            "appVersion": about.get("appVersion", ""),
            "revision": found.get("version", 0),
            "status": (found.get("info") or {}).get("status", ""),
        }
        return {"status": status, "resourceNames": _resource_names(found.get("manifest", ""), namespace)}

    def _helm(self, arguments: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
        helm = build("helm", lambda _line: None)
        home = self._running.home / "helm"
        homes = {f"HELM_{part}_HOME": str(home / part.lower()) for part in ("CACHE", "CONFIG", "DATA")}
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HELM_", "KUBE"))}
        command = [str(helm), *arguments, "--kubeconfig", str(self._cluster.access.kubeconfig)]
        with (
            _at_once,
            tempfile.TemporaryFile("w+") as stdin,
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as err,
        ):
            stdin.write(given)
            stdin.seek(0)
            process = subprocess.Popen(command, env=kept | homes, stdin=stdin, stdout=out, stderr=err)
            asked_to_end = 0.0
            while process.poll() is None:
                if self._cancelled.wait(0.1) and not asked_to_end:
                    process.send_signal(signal.SIGTERM)
                    asked_to_end = time.monotonic()
                if asked_to_end and time.monotonic() - asked_to_end > _GRACE_SECONDS:
                    process.kill()
                if asked_to_end:
                    time.sleep(0.1)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, process.returncode, out.read(), err.read())


def _options(wanted: Mapping[str, Any]) -> list[str]:
    """Helm's flags for what a release says of itself."""
    options = [flag for key, flag in _FLAGS.items() if wanted.get(key)]
    if not wanted.get("reuseValues"):
        # without values of its own an upgrade would keep those that the program has dropped
        options.append("--reset-values")
    if not wanted.get("skipAwait"):
        options.append("--wait")
    if wanted.get("maxHistory"):
        options += ["--history-max", str(wanted["maxHistory"])]
    if wanted.get("description"):
        options += ["--description", str(wanted["description"])]
    return [*options, "--timeout", f"{int(wanted.get('timeout') or _USUAL_SECONDS)}s"]


def _without_nulls(values: Any, *, keep: bool) -> Any:
    if isinstance(values, Mapping):
        return {key: _without_nulls(value, keep=keep) for key, value in values.items() if keep or value is not None}
    return [_without_nulls(value, keep=keep) for value in values] if isinstance(values, list) else values


def _resource_names(manifest: str, namespace: str) -> dict[str, list[str]]:
    """`<kind and group>/<apiVersion>` → the names of what a release made, as the real provider lists them."""
    found: dict[str, list[str]] = {}
    for one in (document for document in yaml.load_all(manifest, Loader=Loader) if document):
        group = one["apiVersion"].rpartition("/")[0]
        key = f"{one['kind']}{f'.{group}' if group else ''}/{one['apiVersion']}"
        about = one["metadata"]
        found.setdefault(key, []).append(f"{about.get('namespace', namespace)}/{about['name']}")
    return found


def _sentence(text: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith(("WARNING", "I0", "W0"))]
    return " ".join(" ".join(lines or [text]).split())
