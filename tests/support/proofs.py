"""A small proof of hand-made results, with words that would be markup if they were not text."""

from sandbox.proof.results import Attack, Attempt, Cell, Evidence, Outage, Proof, Rotation, Step

HOSTILE = "<script>alert(1)</script> [red]&amp;\"'"
NAMES = {"mesh-mtls": "Istio mTLS", "opa": "OPA"}
SAID = (Evidence(source="Envoy", words=f"tls=TLSv1.3 {HOSTILE}\nsecond line"),)


def attempt(by: str, without: str = "", *, stopped: bool = True, failed: bool = False, words: str = "") -> Attempt:
    seen = Evidence(source="Envoy", words=words) if words else SAID[0]
    return Attempt(without=without, stopped=stopped, by=by if stopped else "", evidence=seen, failed=failed)


def attack(key: str, *attempts: Attempt, family: str = "wire", technique: str = "T1557", single: str = "", **more: str) -> Attack:
    return Attack(
        key=key,
        title=f"{key} {HOSTILE}",
        family=family,
        techniques=(technique,),
        case="A25",
        expected=attempts[0].by or "mesh-mtls",
        attempts=attempts,
        single=single,
        **more,
    )


def cell(caller: str, callee: str, *, edge: str = "", allowed: bool = False, stopped_by: str = "opa") -> Cell:
    return Cell(
        region="eu-west-1",
        caller=caller,
        callee=callee,
        method="POST",
        path="/transfer",
        edge=edge,
        allowed=allowed,
        status=200 if allowed else 403,
        stopped_by="" if allowed else stopped_by,
        expected="" if edge else "opa",
    )


def proof() -> Proof:
    return Proof(
        began="2026-11-21T20:00:00Z",
        seconds=183.2,
        revision="7c41fa8",
        steps=tuple(Step(number=one, title=f"step {one}", holds=True, evidence=SAID) for one in range(1, 8)),
        cells=(cell("bank-a/api-ms", "bank-b/trans-ms", edge="pay", allowed=True), cell("bank-b/worker", "bank-b/trans-ms")),
        attacks=(
            attack("plain", attempt("mesh-mtls"), attempt("mesh-authorization", "mesh-mtls")),
            attack(
                "image",
                attempt("gatekeeper"),
                attempt("", "gatekeeper", stopped=False),
                family="admission",
                technique="T1525",
                single="nothing else reads images",
            ),
        ),
        outages=(
            Outage(
                component="SPIRE server",
                how="killed",
                promise="kept",
                source="docs/runbooks",
                allowed=1200,
                lost=0,
                forbidden=300,
                answered=0,
                recovered=None,
                holds=True,
                evidence=SAID,
            ),
        ),
        rotations=(Rotation(subject="SVID", seconds=60, requests=900, failed=0, changes=3, holds=True),),
        not_running={"eu-west-1": {"cilium": HOSTILE}, "eu-central-1": {"cilium": HOSTILE}},
        figures={"memory_gib": 7.25, "sandbox_seconds": 260.0},
    )
