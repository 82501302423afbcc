"""The real OPA (the build with the Envoy plugin) over the decision layer's rules: their tests, and decisions by the thousand.

`evaluate` asks many requests in one process; `request` writes a request as the plugin hands it to the rules. Neither proves
anything about Envoy: what it puts into the request is the mesh's to prove.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox import toolchain

FILES: Final = toolchain.ROOT / "components" / "decision" / "files"
CLAIMS: Final = "envoy.filters.http.jwt_authn"
_QUESTIONS: Final = Path(__file__).with_name("opa.rego")


class OpaError(Exception):
    """OPA refused what it was given; the message is its own."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request to one workload's OPA."""

    data: Mapping[str, Any]
    """`{"workload": workload_data(...), "risk": {<principal>: level}}`; a risk left out is `{}`."""
    input: Any
    """What the plugin hands over; see `request`."""
    now_ns: int | None = None
    """OPA's clock, nanoseconds since 1970 UTC; None is now."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the rules answered."""

    allowed: bool
    http_status: int
    reasons: tuple[str, ...]
    edges: tuple[str, ...]
    answer: Mapping[str, Any]
    """The whole document that the plugin reads."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """A run of the rules' own tests."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    percent: float
    """Lines of the rules and their tests that were evaluated, 0 to 100."""
    missed: tuple[str, ...]
    """`<file>:<row>` of each range that was not."""


def binary(progress: Callable[[str], None] = lambda _: None) -> Path:
    """The `opa` with the Envoy plugin, built when the cache has none.

    Raises:
        sandbox.toolchain.ToolError: when it cannot be built.
    """
    return toolchain.build("opa-envoy", progress)


def opa(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of OPA's own commands to its end."""
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, check=False)


def rule_files() -> tuple[Path, ...]:
    """The modules that a pod loads."""
    return tuple(file for file in sorted(FILES.glob("*.rego")) if not file.stem.endswith("_test"))


def test_coverage() -> Coverage:
    """Run `opa test --coverage` over the rules and their tests.

    Raises:
        OpaError: when the modules do not compile or OPA says something else than a result.
    """
    verbose = opa("test", "--format=json", FILES)
    covered = opa("test", "--coverage", "--format=json", FILES)
    results, report = _answer(verbose), _answer(covered) if verbose.returncode == 0 else {}
    names = {f"{result['package']}.{result['name']}": not result.get("fail", False) for result in results}
    return Coverage(
        passed=tuple(sorted(name for name, passed in names.items() if passed)),
        failed=tuple(sorted(name for name, passed in names.items() if not passed)),
        percent=float(report.get("coverage", 0.0)),
        missed=tuple(
            f"{Path(name).name}:{part['start']['row']}"
            for name, file in sorted(report.get("files", {}).items())
            for part in file.get("not_covered", [])
        ),
    )


def evaluate(data: Mapping[str, Any], inputs: Iterable[Any], now_ns: int | None = None) -> list[Decision]:
    """Decide many requests to one workload in one process; same order as `inputs`.

    Raises:
        OpaError: when OPA cannot evaluate, or leaves a decision undefined.
    """
    return ask([Question(data=data, input=asked, now_ns=now_ns) for asked in inputs])


def ask(questions: Sequence[Question]) -> list[Decision]:
    """Decide many requests, each to its own workload, in one process; same order.

    Raises:
        OpaError: when OPA cannot evaluate, or leaves a decision undefined.
    """
    known: dict[int, int] = {}
    documents: list[dict[str, Any]] = []
    asked: list[dict[str, Any]] = []
    now = time.time_ns()
    for question in questions:
        if id(question.data) not in known:
            known[id(question.data)] = len(documents)
            documents.append({"risk": {}, **question.data})
        moment = now if question.now_ns is None else question.now_ns
        asked.append({"data": known[id(question.data)], "input": question.input, "now_ns": moment})
    rules = [part for file in rule_files() for part in ("--data", file)]
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump({"questions": {"known": documents, "asked": asked}}, file)
        file.flush()
        run = opa("eval", "--format=json", *rules, "--data", _QUESTIONS, "--input", file.name, "data.sandbox.opa.answers")
    answers = _answer(run)["result"][0]["expressions"][0]["value"]
    if undefined := [i for i in range(len(asked)) if str(i) not in answers]:
        msg = f"no decision for {len(undefined)} of {len(asked)} requests, first: {json.dumps(asked[undefined[0]])[:400]}"
        raise OpaError(msg)
    return [decision(answers[str(i)]) for i in range(len(asked))]


def decision(answer: Mapping[str, Any]) -> Decision:
    """The rules' document as a `Decision`."""
    return Decision(
        allowed=answer["allowed"] is True,
        http_status=answer["http_status"],
        reasons=tuple(answer["reasons"]),
        edges=tuple(answer["edges"]),
        answer=answer,
    )


def request(
    principal: str,
    method: str,
    path: str,
    *,
    claims: Mapping[str, Any] | None = None,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A request as the plugin hands it over, with `principal` as a full SPIFFE id and `claims` as the JWT filter verified them.

    A body is JSON unless `headers` name another content type.
    """
    sent = {":authority": "callee", ":method": method, ":path": path, ":scheme": "https", **(headers or {})}
    http: dict[str, Any] = {"method": method, "path": path, "scheme": "https", "host": "callee", "protocol": "HTTP/1.1"}
    if body is not None:
        sent = {"content-type": "application/json", "content-length": str(len(body.encode())), **sent}
        sent = {"x-envoy-auth-partial-body": "false", **sent}
        http["body"] = body
    http["headers"] = sent
    attributes: dict[str, Any] = {"source": {"principal": principal}, "request": {"http": http}, "metadataContext": {}}
    if claims is not None:
        attributes["metadataContext"] = {"filterMetadata": {CLAIMS: {"payload": dict(claims)}}}
    bare = path.split("?", maxsplit=1)[0]
    return {
        "attributes": attributes,
        "parsed_path": bare.lstrip("/").split("/"),
        "parsed_query": {},
        "source_principal": principal,
        "version": {"encoding": "protojson", "ext_authz": "v3"},
    }


def _answer(run: subprocess.CompletedProcess[str]) -> Any:
    try:
        said = json.loads(run.stdout)
    except ValueError:
        said = None
    if said is None or (isinstance(said, dict) and "errors" in said):
        raise OpaError((run.stderr or run.stdout).strip()[:2000])
    return said
