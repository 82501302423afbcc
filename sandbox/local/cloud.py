"""What AWS does for a region's cluster, beside the machine: `python -m sandbox.local.cloud --region <code>`, one per region.

Runs in the region's network namespace until it is ended, and brings what the program leaves to the cloud: load balancers at the
addresses of the program's plan, whose targets its TargetGroupBindings name; the names of its hosted zones, from its DNSEndpoints
and its settings, at a resolver that the clusters' own forwards to; volumes for claims; an address for a Service of type
LoadBalancer. All of it follows the clusters' objects, again and again, so that it can be killed at any time.
"""

import argparse
import contextlib
import http.client
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml

from components.graph.names import BUNDLE_PORT, EASTWEST_PORT, EXTERNAL_DNS_NAMESPACE, VAULT_PORT
from components.network.addresses import eastwest_address
from components.settings import Settings, load_file
from sandbox.apiclient import ApiServer, RefusedError
from sandbox.certificates import Authority
from sandbox.local import volumes
from sandbox.local.balancer import Balancer, Listener, Target
from sandbox.local.dns import Names, Resolver, ask
from sandbox.local.network import entering
from sandbox.local.plan import HOME, Plan, RegionPlan, plan
from sandbox.toolchain import ROOT

SETTINGS: Final = ROOT / "Pulumi.local.yaml"
RESOLVER_HOST: Final = 3
"""Of the region's network; the second address, where AWS has it, is this machine's."""
_PUBLIC_HOST, _FIRST_SERVICE = 10, 64
_HTTPS: Final = 443
_INGRESS: Final = "ingress"
BETWEEN_REGIONS: Final[Mapping[str, int]] = {"bundle": BUNDLE_PORT, "eastwest": EASTWEST_PORT, "vault": VAULT_PORT}
"""Listeners of the load balancer between the regions, by the names of their TargetGroupBindings (edge/region_balancer.py)."""
_BINDINGS: Final = "/apis/elbv2.k8s.aws/v1beta1/targetgroupbindings"
_RECORDS: Final = f"/apis/externaldns.k8s.io/v1alpha1/namespaces/{EXTERNAL_DNS_NAMESPACE}/dnsendpoints"
_TICK_SECONDS: Final = 1.0
_UNANSWERED: Final = (RefusedError, OSError, http.client.HTTPException)


def resolver_address(region: RegionPlan) -> str:
    """Where the region's names are answered, by UDP on port 53."""
    return str(region.network[RESOLVER_HOST])


def public_address(region: RegionPlan) -> str:
    """Of the region's public load balancer."""
    return str(region.balancers[_PUBLIC_HOST])


def inner_addresses(settings: Settings, code: str) -> tuple[str, ...]:
    """Of the load balancer between the regions: the program's own plan names them in its objects."""
    wanted = settings.regions[code]
    return tuple(eastwest_address(wanted.vpc_cidr, zone) for zone in sorted(wanted.zones))


def public_names(settings: Settings, code: str) -> tuple[str, ...]:
    """The names that the region's public load balancer has a certificate for."""
    issuer = settings.identity.issuer_kind == "keycloak" and code == settings.home_region
    names = (settings.edge.domain, f"{code}.{settings.edge.domain}")
    return (*names, settings.identity.issuer_host) if issuer else names


def prepare(whole: Plan, settings: Settings) -> Path:
    """Makes the certificates of the public load balancers, which stand for ACM's; called once, before any region's process.

    Returns:
        The authority that whoever calls from outside has to trust.

    Raises:
        CertificateError: openssl is missing or refuses.
    """
    authority = Authority(_certificates(whole))
    for name in sorted({name for region in whole.regions for name in public_names(settings, region.code)}):
        authority.server(name, also=(f"DNS:{name}",))
    return authority.certificate


def _certificates(whole: Plan) -> Path:
    return whole.home / "public"


def command(whole: Plan, region: RegionPlan, settings: Path = SETTINGS) -> list[str]:
    """What runs the region's cloud in its namespace; its working directory must be importable (`PYTHONPATH`)."""
    asked = ["--region", region.code, "--home", str(whole.home), "--settings", str(settings)]
    return [*entering(region.namespace), sys.executable, "-m", "sandbox.local.cloud", *asked]


def answers(region: RegionPlan, settings: Settings) -> bool:
    """Whether the region's cloud runs: it takes its listeners before it answers a name."""
    try:
        return bool(ask(resolver_address(region), f"{region.code}.{settings.edge.domain}", seconds=0.5))
    except OSError:
        return False


def client_of(kubeconfig: Path) -> ApiServer:
    """The client of a kubeconfig as `ApiServer.write_kubeconfig` writes it."""
    said = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = said["clusters"][0]["cluster"], said["users"][0]["user"]
    return ApiServer(
        cluster["server"],
        authority=Path(cluster["certificate-authority"]),
        certificate=Path(user["client-certificate"]),
        key=Path(user["client-key"]),
    )


def listeners(whole: Plan, region: RegionPlan, settings: Settings) -> tuple[Listener, ...]:
    """Every place where the region's load balancers take connections."""
    folder = _certificates(whole)
    shown = {name: (folder / f"{name}.crt", folder / f"{name}.key") for name in public_names(settings, region.code)}
    return (
        Listener(address=public_address(region), port=_HTTPS, group=_INGRESS, certificates=shown),
        *(
            Listener(address=address, port=port, group=group)
            for address in inner_addresses(settings, region.code)
            for group, port in sorted(BETWEEN_REGIONS.items())
        ),
    )


def targets(client: ApiServer) -> dict[str, tuple[Target, ...]]:
    """The ready pods of every TargetGroupBinding, by the binding's name, at the port that its Service leads to."""
    found: dict[str, tuple[Target, ...]] = {}
    for binding in volumes.listed(client, _BINDINGS):
        space, wanted = binding["metadata"]["namespace"], binding["spec"]["serviceRef"]
        found[binding["metadata"]["name"]] = tuple(sorted(_ready(client, space, wanted["name"], wanted["port"])))
    return found


def _ready(client: ApiServer, namespace: str, service: str, port: int | str) -> Iterator[Target]:
    inside = f"/namespaces/{quote(namespace)}"
    selected = {"fieldSelector": f"metadata.name={service}"}
    ports = [
        one.get("name") or ""
        for said in volumes.listed(client, f"/api/v1{inside}/services", selected)
        for one in said["spec"].get("ports", [])
        if port in {one["port"], one.get("name")}
    ]
    labelled = {"labelSelector": f"kubernetes.io/service-name={service}"}
    for part in volumes.listed(client, f"/apis/discovery.k8s.io/v1{inside}/endpointslices", labelled):
        numbers = [one["port"] for one in part.get("ports") or [] if (one.get("name") or "") in ports]
        for endpoint in part.get("endpoints") or []:
            if endpoint.get("conditions", {}).get("ready", True):
                yield from ((address, number) for address in endpoint["addresses"] for number in numbers)


def private_records(client: ApiServer) -> dict[str, tuple[str, ...]]:
    """What external-dns would publish: the names of a cluster's DNSEndpoints, in its own namespace alone."""
    return {
        entry["dnsName"]: tuple(entry["targets"])
        for one in volumes.listed(client, _RECORDS)
        for entry in one["spec"].get("endpoints", [])
        if entry["recordType"] in {"A", "CNAME"} and entry.get("targets")
    }


def public_records(whole: Plan, settings: Settings, here: str, serving: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What the public hosted zone answers in a region: the environment's name leads to a region that serves, the own one first.

    Args:
        whole: the plan.
        settings: of the stack.
        here: the region that asks, which is the nearest one.
        serving: regions whose health check is good; none of them is as if all were, as in Route 53.
    """
    edges = {region.code: public_address(region) for region in whole.regions}
    good = set(serving) or set(edges)
    order = sorted(good & set(edges), key=lambda code: (code != here, code))
    found: dict[str, tuple[str, ...]] = {f"{code}.{settings.edge.domain}": (address,) for code, address in edges.items()}
    found[settings.edge.domain] = tuple(edges[code] for code in order)[:1]
    if settings.identity.issuer_kind == "keycloak":
        found[settings.identity.issuer_host] = (edges[settings.home_region],)
    return found


def give_addresses(client: ApiServer, region: RegionPlan) -> None:
    """Gives every Service of type LoadBalancer an address of the region's own range, the same for the same name.

    Raises:
        RefusedError, OSError: the server refuses or does not answer.
    """
    wanted = [one for one in volumes.listed(client, "/api/v1/services") if one["spec"].get("type") == "LoadBalancer"]
    taken = {given["ip"] for one in wanted for given in _given(one) if "ip" in given}
    free = [str(address) for address in list(region.balancers)[_FIRST_SERVICE:-1]]
    for one in sorted(wanted, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"])):
        if not _given(one):
            namespace, name = one["metadata"]["namespace"], one["metadata"]["name"]
            place = zlib.crc32(f"{namespace}/{name}".encode()) % len(free)
            address = next(found for found in (*free[place:], *free[:place]) if found not in taken)
            taken.add(address)
            about = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}}
            status = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
            path = f"/api/v1/namespaces/{namespace}/services/{name}/status"
            client.request("PATCH", path, {**about, **status}, query={"fieldManager": "cloud", "force": "true"})


def _given(service: Mapping[str, Any]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    return found


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One region's cloud: `look` at every region, `serve` the own one."""

    whole: Plan
    region: RegionPlan
    settings: Settings
    names: Names
    balancer: Balancer
    serving: dict[str, bool]
    """Region → whether its ingress gateway has a pod that is ready; a region that does not answer has none."""

    def look(self, region: RegionPlan, client: ApiServer) -> None:
        """Follows one region's records and targets. What a hosted zone holds stays while the region does not answer."""
        try:
            found, records = targets(client), private_records(client)
        except _UNANSWERED:
            self._health(region, good=False)
            raise
        self.names.tell(f"private {region.code}", records)
        self._health(region, good=bool(found.get(_INGRESS)))
        if region.code == self.region.code:
            for group in (_INGRESS, *BETWEEN_REGIONS):
                self.balancer.point(group, found.get(group, ()))

    def _health(self, region: RegionPlan, *, good: bool) -> None:
        self.serving[region.code] = good
        serving = [code for code, serves in tuple(self.serving.items()) if serves]
        self.names.tell("public", public_records(self.whole, self.settings, self.region.code, serving))

    def serve(self, client: ApiServer) -> None:
        """Volumes and addresses that the own cluster waits for."""
        volumes.reconcile(client, self.region)
        give_addresses(client, self.region)


def again(work: Callable[[], None], what: str, ended: threading.Event) -> None:
    """Does it every second; a failure is said once, until it is another one or over."""
    said = ""
    while not ended.wait(_TICK_SECONDS):
        try:
            work()
            sentence = ""
        except _UNANSWERED as error:
            sentence = f"{what}: {error or type(error).__name__}"
        if sentence != said:
            sys.stdout.write(f"{time.strftime('%H:%M:%S')} {sentence or f'{what}: well again'}\n")
            sys.stdout.flush()
        said = sentence


def attach(addresses: Iterable[str]) -> None:
    """Makes addresses this namespace's own."""
    for address in addresses:
        subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)


def run(whole: Plan, region: RegionPlan, settings: Settings, records: Mapping[str, str], ended: threading.Event) -> None:
    """Runs one region's cloud until it is ended; `records` are names of hosts outside the platform."""
    taken = listeners(whole, region, settings)
    attach(sorted({resolver_address(region), *(one.address for one in taken)}))
    names = Names()
    names.tell("outside", {name: (address,) for name, address in records.items()})
    with contextlib.ExitStack() as open_things:
        balancer = open_things.enter_context(Balancer(taken))
        names.tell("public", public_records(whole, settings, region.code, ()))
        open_things.enter_context(Resolver(names, resolver_address(region)))
        cloud = Cloud(whole=whole, region=region, settings=settings, names=names, balancer=balancer, serving={})
        work: list[tuple[str, Callable[[], None]]] = [("volumes and services", _with(region, cloud.serve))]
        work += [(f"names and targets of {one.code}", _looking(one, cloud)) for one in whole.regions]
        threads = [threading.Thread(target=again, args=(each, what, ended)) for what, each in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _looking(region: RegionPlan, cloud: Cloud) -> Callable[[], None]:
    return _with(region, lambda client: cloud.look(region, client))


def _with(region: RegionPlan, work: Callable[[ApiServer], None]) -> Callable[[], None]:
    """The work with a client of its own, which is made when the kubeconfig is there."""
    made: list[ApiServer] = []

    def once() -> None:
        if not made:
            made.append(client_of(region.kubeconfig))
        work(made[0])

    return once


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.local.cloud", description=__doc__)
    parser.add_argument("--region", required=True)
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    parser.add_argument("--record", action="append", default=[], metavar="NAME=ADDRESS", help="a host outside the platform")
    asked = parser.parse_args(arguments)
    settings = load_file(asked.settings)
    whole = plan({code: (one.vpc_cidr, one.service_cidr) for code, one in settings.regions.items()}, home=asked.home)
    ended = threading.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: ended.set())
    run(whole, whole.region(asked.region), settings, dict(one.split("=", 1) for one in asked.record), ended)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
