"""What is looked at beside the requests, while a component is away or when it is back, and whether it is as promised."""

import datetime as dt
import json
import time
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final
from urllib.parse import urlsplit

from components.graph.names import VAULT_NAMESPACE, VAULT_PORT, VAULT_SERVICE, database_name, service_host
from sandbox.live.client import ServerError
from sandbox.proof.load import Outcome, Stream
from sandbox.proof.refusals import Trail, judged
from sandbox.proof.results import Evidence
from sandbox.proof.traffic import call_of
from sandbox.proof.world import Answer, Pod, ProofError, World

Sight = tuple[Evidence, bool]
_CALL: Final = "bank-a-api-to-auth"
TRANSFER: Final = "bank-a-api-to-bank-b-trans"
_ROW: Final = 3
"""Answers of the end of a load that show that all is as before."""
_MANAGER: Final = "zerotrust-proof"
_DATABASE: Final = "ledger"
_LEAST_SECONDS: Final = 60.0
"""What an identity must have left for an outage to be shorter."""
_FLUSH_SECONDS: Final = 12.0
_NO_ENDPOINT: Final = "503 no healthy upstream"
"""Envoy's own answer for a service none of whose pods is ready."""
_TICK_SECONDS: Final = 1.0


def refused(
    world: World, streams: Sequence[Stream], outcomes: Iterable[Outcome], *, gone: AbstractSet[str] = frozenset()
) -> list[Sight]:
    """Who refused what is forbidden, by the proxies' logs: of each stream one refusal at least, and none by another layer.

    A stream to a service that is gone, of which the caller's own proxy had no endpoint at every request, went nowhere: that is
    no refusal, and none is missed.

    Args:
        world: the running sandbox.
        streams: those that are forbidden are looked at.
        outcomes: of the time that counts.
        gone: SPIFFE IDs of the services that were themselves away.
    """
    known = [one for one in outcomes if not one.authorised and not one.answered]
    since = min((one.answer.at for one in known), default="")
    waiting = [stream for stream in streams if not stream.authorised]
    found: dict[str, list[tuple[str, Evidence]]] = {stream.name: [] for stream in waiting}
    deadline = time.monotonic() + _FLUSH_SECONDS
    while known and (left := [stream for stream in waiting if not found[stream.name]]):
        trails = {str(pod): _trail(world, pod, since) for stream in left for pod in stream.passes}
        for stream in left:
            path = "" if stream.pod else urlsplit(stream.url).path
            passed = [trails[str(pod)] for pod in stream.passes]
            said = [judged(one.answer, passed, path=path) for one in known if one.stream == stream.name]
            found[stream.name] = [(layer, evidence) for layer, evidence in said if layer]
        if time.monotonic() > deadline:
            break
        time.sleep(_TICK_SECONDS)
    nowhere = {
        stream.name: [one.answer for one in known if one.stream == stream.name] for stream in waiting if stream.callees <= gone
    }
    return [_by(stream, found[stream.name], nowhere.get(stream.name, ())) for stream in waiting]


def _trail(world: World, pod: Pod, since: str) -> Trail:
    try:
        return Trail.of(world, pod, since)
    except ServerError:
        return Trail(pod, ())  # it is there no more: it was taken away


def _by(stream: Stream, said: Sequence[tuple[str, Evidence]], answers: Sequence[Answer]) -> Sight:
    layers = {layer for layer, _ in said}
    if not said and answers and all(str(one) == _NO_ENDPOINT for one in answers):
        return Evidence(source=stream.name, words=f"{len(answers)} times nowhere to go: {_NO_ENDPOINT}"), True
    if not said:
        return Evidence(source=stream.name, words="no log says who refused it"), False
    first = next((evidence for layer, evidence in said if layer != stream.refused_by), said[0][1])
    words = f"{len(said)} times refused by {', '.join(sorted(layers))}: {first.words}"
    return Evidence(source=f"{stream.name}, {first.source}", words=words), layers == {stream.refused_by}


def cache_was_missed(world: World, region: str, outcomes: Sequence[Outcome]) -> Sequence[Sight]:
    """Transfers were booked without the cache, as the region's own service says; the last ones with it again."""
    here = f"spiffe://{world.graph.principal(call_of(world, TRANSFER).callee, region)}"
    answers = [one.answer.json() for one in outcomes if one.stream == TRANSFER and one.answered]
    errors = [str(one["result"].get("cache_error", "")) for one in answers if one["identity"] == here]
    missed = [one for one in errors if one]
    words = f"{len(missed)} of {len(errors)} transfers say that the cache did not answer: {missed[0] if missed else 'none'}"
    again = len(errors) >= _ROW and not any(errors[-_ROW:])
    return ((Evidence(source="the service that uses the cache", words=words), bool(missed) and again),)


def vault_gives_nothing(world: World, region: str) -> Sequence[Sight]:
    """Who asks Vault for anything gets no answer."""
    url = f"https://{service_host(VAULT_NAMESPACE, VAULT_SERVICE)}:{VAULT_PORT}/v1/sys/health"
    said = world.call(world.pod(region, call_of(world, TRANSFER).callee), url, "-any-server", "-timeout=2s")
    return ((Evidence(source="Vault, asked by a service", words=str(said)), bool(said.error)),)


def identities_last(world: World, region: str) -> Sequence[Sight]:
    """The agents give what they have, and it lasts longer than the outage."""
    call, found = call_of(world, _CALL), []
    for workload in (call.caller, call.callee):
        identity = world.identity(world.pod(region, workload))
        left = dt.datetime.fromisoformat(identity["not_after"]) - dt.datetime.now(dt.UTC)
        words = f"{identity['spiffe_id']} has {left.total_seconds():.0f} s left: its expiry was not waited for"
        found.append((Evidence(source="SPIRE agent", words=words), left.total_seconds() > _LEAST_SECONDS))
    return found


def no_identity_is_given(world: World, region: str) -> Sequence[Sight]:
    """A process that asks anew on the node gets no identity, from this agent or from anybody else."""
    pod = world.pod(region, call_of(world, _CALL).callee)
    try:
        given = world.identity(pod)
    except ProofError as error:
        return ((Evidence(source="a process that asks anew", words=str(error)), True),)
    return ((Evidence(source="a process that asks anew", words=f"was given {given['spiffe_id']}"), False),)


def no_pod_without_proxy(world: World, region: str) -> Sequence[Sight]:
    """A pod that is to be made is refused, since nobody can give it its proxy; on trial, so that none is made."""
    cluster, workload = world.clusters[region], call_of(world, _CALL).caller
    deployment = cluster.get("apps/v1", "Deployment", workload.tenant, workload.name)
    if deployment is None:
        msg = f"{workload.ref} has no Deployment in {region}"
        raise ProofError(msg)
    template: dict[str, Any] = deployment["spec"]["template"]
    about = {**template["metadata"], "generateName": f"{workload.name}-trial-", "namespace": workload.tenant}
    trial = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"]}
    try:
        cluster.apply(trial, _MANAGER, dry_run=True)
    except ServerError as error:
        return ((Evidence(source="API server, asked for a pod", words=error.message[:300]), "istio" in error.message),)
    return ((Evidence(source="API server, asked for a pod", words="would make it"), False),)


def no_transfer_is_missing(world: World, region: str, outcomes: Sequence[Outcome]) -> Sequence[Sight]:
    """Every transfer that the region's own service confirmed stands in the region's ledger."""
    callee = call_of(world, TRANSFER).callee
    here, tenant = f"spiffe://{world.graph.principal(callee, region)}", callee.tenant
    answers = [one.answer.json() for one in outcomes if one.stream == TRANSFER and one.answered]
    confirmed = {int(one["result"]["id"]) for one in answers if one["identity"] == here}
    pod = next(iter(world.pods(region, tenant, **{"cnpg.io/cluster": _DATABASE})))
    listed = ",".join(str(number) for number in sorted(confirmed))
    question = f"SELECT json_agg(id) FROM transfers WHERE id = ANY('{{{listed}}}'::bigint[])"  # noqa: S608 - numbers
    command = [
        "psql",
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        f"--dbname={database_name(_DATABASE)}",
        f"--command={question}",
    ]
    done = world.run(pod, command)
    if done.returncode != 0:
        return ((Evidence(source="PostgreSQL", words=done.stderr.strip()), False),)
    missing = confirmed - set(json.loads(done.stdout.strip() or "null") or [])
    words = f"{len(confirmed)} transfers were confirmed, {len(missing)} are missing"
    return ((Evidence(source="PostgreSQL", words=words), bool(confirmed) and not missing),)
