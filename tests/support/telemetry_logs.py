"""Log lines in the formats that a cluster's pods write, with a phrase in each, as containerd keeps them on a node."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

STAMP: Final = "2026-11-21T10:34:55.123456789Z"
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PEER: Final = "spiffe://eu-west-1.dev.mycompany.internal/ns/bank-a/sa/api-ms"
SELF: Final = "spiffe://eu-west-1.dev.mycompany.internal/ns/bank-b/sa/trans-ms"


def plain(phrase: str) -> str:
    """A sentence."""
    return f"INFO {PEER}: {phrase}"


def structured(phrase: str) -> str:
    """An application's JSON, with the phrase nested."""
    return json.dumps({"level": "info", "peer": PEER, "msg": f"seen: {phrase}", "more": {"list": [phrase]}}, ensure_ascii=False)


def logfmt(phrase: str) -> str:
    """Keys and values."""
    return f'level=info peer={PEER} msg="{_line(phrase)}"'


def envoy(phrase: str) -> str:
    """The mesh's access log, with the phrase in a path."""
    line = {
        "source": PEER,
        "self": SELF,
        "upstream_cluster": "inbound|8080||",
        "method": "GET",
        "path": f"/search/{quote(phrase, safe='')}",
        "status": 200,
        "trace": f"00-{TRACE}-00f067aa0ba902b7-01",
    }
    return json.dumps(line)


def java(phrase: str) -> str:
    """A stack trace of several lines."""
    return (
        f"2026-11-21 10:34:55.123 ERROR [{TRACE}] c.b.Ledger - {phrase}\njava.lang.IllegalStateException: {phrase}\n"
        f"\tat com.bank.Ledger.post(Ledger.java:42)\nCaused by: java.io.IOException: {phrase}\n\t... 12 more"
    )


def nginx(phrase: str) -> str:
    """The combined format."""
    return f'10.0.3.7 - - [21/Nov/2026:10:34:55 +0000] "GET /a?q={quote(phrase, safe="")} HTTP/1.1" 200 612 "-" "curl/8.9"'


def syslog(phrase: str) -> str:
    """RFC 5424."""
    return f'<165>1 2026-11-21T10:34:55.003Z host app 1234 ID47 [peer@32473 id="{PEER}"] {_line(phrase)}'


def kubernetes(phrase: str) -> str:
    """An audit event with its request's body."""
    event = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "auditID": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "verb": "create",
        "user": {"username": "system:serviceaccount:bank-a:api-ms"},
        "requestObject": {"metadata": {"annotations": {"note": phrase}}},
    }
    return json.dumps(event, ensure_ascii=False)


def postgres(phrase: str) -> str:
    """A statement in PostgreSQL's stderr format."""
    return f"2026-11-21 10:34:55.123 UTC [4711] ledger@ledger ERROR:  duplicate key; DETAIL:  Key is ({_line(phrase)})"


def falco(phrase: str) -> str:
    """An alert with a command line."""
    fields = {"proc.cmdline": f"curl {phrase}", "k8s.ns.name": "bank-a", "container.name": "api-ms"}
    return json.dumps({"rule": "Unexpected process", "priority": "Warning", "output": phrase, "output_fields": fields})


def vault(phrase: str) -> str:
    """An audit entry whose request's data was not hashed."""
    request = {"id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "operation": "update", "path": "kv/data/x", "data": {"v": phrase}}
    return json.dumps({"type": "request", "auth": {"metadata": {"spiffe_id": PEER}}, "request": request})


def xml(phrase: str) -> str:
    """A SOAP-like body."""
    return f"<m:call><m:peer>{PEER}</m:peer><m:text>{_line(phrase)}</m:text></m:call>"


FORMATS: Final[Mapping[str, Callable[[str], str]]] = {
    one.__name__: one for one in (plain, structured, logfmt, envoy, java, nginx, syslog, kubernetes, postgres, falco, vault, xml)
}


def _line(phrase: str) -> str:
    return phrase.replace("\n", "\\n")


def write_pod(
    root: Path, namespace: str, container: str, texts: Sequence[str], *, pod: str = "pod-0", broken_at: int = 0
) -> Path:
    """The log file of a container below `root`, as the kubelet lays it: each text's lines, `broken_at` characters a piece.

    The pod's uid is made of its names.
    """
    folder = root / f"{namespace}_{pod}_00000000-0000-4000-8000-{abs(hash((namespace, container))) % 10**12:012d}" / container
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for text in texts:
        for line in text.split("\n"):
            pieces = [line[at : at + broken_at] for at in range(0, len(line), broken_at)] if broken_at else [line]
            lines += [f"{STAMP} stdout P {piece}" for piece in pieces[:-1]] + [f"{STAMP} stdout F {pieces[-1]}"]
    path = folder / "0.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
