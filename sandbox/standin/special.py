"""Outputs whose form matters to a program: endpoints, issuers, certificates, generated passwords.

Generated secrets are derived from the URN, so they are reproducible and worthless: no stand-in value is secret.
"""

import base64
import hashlib
import json
import string
from collections.abc import Mapping
from typing import Any

from sandbox.standin import wire


def _hex(urn: str, salt: str, length: int) -> str:
    return hashlib.sha256(f"{urn}\0{salt}".encode()).hexdigest()[:length]


def _eks_cluster(urn: str, region: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    mark = _hex(urn, "eks", 32).upper()
    authority = base64.b64encode(b"stand-in certificate authority").decode()
    return {
        "endpoint": f"https://{mark}.gr7.{region}.eks.amazonaws.com",
        "identities": [{"oidcs": [{"issuer": f"https://oidc.eks.{region}.amazonaws.com/id/{mark}"}]}],
        "certificateAuthority": {"data": authority},
        "certificateAuthorities": [{"data": authority}],
        "status": "ACTIVE",
        "platformVersion": "eks.1",
        "version": inputs.get("version", "1.35"),
    }


def _certificate(urn: str, _region: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    names = [inputs.get("domainName", ""), *(wire.plain(inputs.get("subjectAlternativeNames")) or [])]
    options = [
        {
            "domainName": name,
            "resourceRecordName": f"_{_hex(urn, str(name), 32)}.{name}.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": f"_{_hex(urn, f'value {name}', 32)}.acm-validations.aws.",
        }
        for name in dict.fromkeys(map(str, names))
    ]
    return {"domainValidationOptions": options, "status": "PENDING_VALIDATION"}


def _zone(urn: str, _region: str, _inputs: Mapping[str, Any]) -> dict[str, Any]:
    servers = [f"ns-{i}.awsdns-{i:02}.{tld}" for i, tld in enumerate(("com", "net", "org", "co.uk"))]
    return {"zoneId": f"Z{_hex(urn, 'zone', 13).upper()}", "nameServers": servers}


def _generated(urn: str, _region: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    length = int(wire.plain(inputs.get("length")) or 16)
    alphabet = string.ascii_letters + string.digits
    seed = b"".join(hashlib.sha256(f"{urn}\0{i}".encode()).digest() for i in range(length // 32 + 1))
    return {"result": "".join(alphabet[byte % len(alphabet)] for byte in seed[:length])}


def _random_id(urn: str, _region: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    raw = hashlib.sha512(urn.encode()).digest()[: int(wire.plain(inputs.get("byteLength")) or 8)]
    prefix = wire.plain(inputs.get("prefix")) or ""
    url = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return {
        "hex": prefix + raw.hex(),
        "dec": prefix + str(int.from_bytes(raw, "big")),
        "b64Url": prefix + url,
        "b64Std": prefix + base64.b64encode(raw).decode(),
    }


def _pem(urn: str, label: str) -> str:
    body = base64.b64encode(f"stand-in, no key material: {_hex(urn, label, 32)}".encode()).decode()
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


def _key(urn: str, _region: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    label = {"RSA": "RSA PRIVATE KEY", "ECDSA": "EC PRIVATE KEY"}.get(str(inputs.get("algorithm")), "PRIVATE KEY")
    openssh = base64.b64encode(_hex(urn, "ssh", 32).encode()).decode()
    return {
        "privateKeyPem": _pem(urn, label),
        "privateKeyPemPkcs8": _pem(urn, "PRIVATE KEY"),
        "privateKeyOpenssh": _pem(urn, "OPENSSH PRIVATE KEY"),
        "publicKeyPem": _pem(urn, "PUBLIC KEY"),
        "publicKeyOpenssh": f"ssh-stand-in {openssh}\n",
    }


def _certificate_pem(urn: str, _region: str, _inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"certPem": _pem(urn, "CERTIFICATE"), "certRequestPem": _pem(urn, "CERTIFICATE REQUEST")}


def _load_balancer(urn: str, region: str, _inputs: Mapping[str, Any]) -> dict[str, Any]:
    host = f"{_hex(urn, 'load balancer', 32)}.elb.{region}.amazonaws.com"
    return {"status": {"loadBalancer": {"ingress": [{"hostname": host}]}}}


_SPECIAL = {
    "kubernetes:core/v1:Service": _load_balancer,
    "kubernetes:networking.k8s.io/v1:Ingress": _load_balancer,
    "aws:eks/cluster:Cluster": _eks_cluster,
    "aws:acm/certificate:Certificate": _certificate,
    "aws:route53/zone:Zone": _zone,
    "random:index/randomPassword:RandomPassword": _generated,
    "random:index/randomString:RandomString": _generated,
    "random:index/randomId:RandomId": _random_id,
    "tls:index/privateKey:PrivateKey": _key,
    "tls:index/selfSignedCert:SelfSignedCert": _certificate_pem,
    "tls:index/locallySignedCert:LocallySignedCert": _certificate_pem,
    "tls:index/certRequest:CertRequest": _certificate_pem,
}


def _spiffe_bundle(urn: str) -> dict[str, Any]:
    """What a SPIRE server publishes of its trust domain, in the form of a SPIFFE bundle."""
    authority = base64.b64encode(f"stand-in, no certificate: {_hex(urn, 'bundle', 32)}".encode()).decode()
    key = {"use": "x509-svid", "kty": "EC", "crv": "P-256", "x": _hex(urn, "x", 43), "y": _hex(urn, "y", 43), "x5c": [authority]}
    return {"data": {"bundle.spiffe": json.dumps({"keys": [key], "spiffe_sequence": 1})}}


def _certificate_secret(urn: str) -> dict[str, Any]:
    """What cert-manager writes for a certificate: the only secrets that the program reads."""
    files = {
        "ca.crt": _pem(urn, "CERTIFICATE"),
        "tls.crt": _pem(f"{urn} leaf", "CERTIFICATE"),
        "tls.key": _pem(urn, "PRIVATE KEY"),
    }
    return {"type": "kubernetes.io/tls", "data": {name: base64.b64encode(pem.encode()).decode() for name, pem in files.items()}}


_PUBLISHED = {("kubernetes:core/v1:ConfigMap", "spire-system/spire-bundle"): _spiffe_bundle}
"""Objects that no program registers: what runs in a cluster makes them."""


def published_outputs(token: str, identifier: str, urn: str) -> dict[str, Any]:
    """The outputs of an object that is only read, by its type and id; empty for what nothing is known of."""
    if token == "kubernetes:core/v1:Secret":  # noqa: S105 - a type of resource
        return _certificate_secret(urn)
    make = _PUBLISHED.get((token, identifier))
    return make(urn) if make else {}


def special_outputs(token: str, urn: str, region: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a type that have a form of their own; empty for every other type."""
    make = _SPECIAL.get(token)
    return make(urn, region, inputs) if make else {}
