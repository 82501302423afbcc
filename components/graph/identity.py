"""Identities: one trust domain per region, one SPIFFE id per service account, and no other form of id anywhere.

Istio matches principals of the form `<trust domain>/ns/<namespace>/sa/<service account>` only (istio.io, SPIRE integration),
so the documents' short ids (`spiffe://bank-a/api-ms`) are logical names; these functions are the one mapping.
"""


def trust_domain(base: str, region: str) -> str:
    """The trust domain of a region, `eu-west-1.mycompany.internal`."""
    return f"{region}.{base}"


def principal(domain: str, namespace: str, service_account: str) -> str:
    """What Istio's and OPA's rules compare: the SPIFFE id without its scheme, always with the trust domain in full.

    A shorter form (`source.namespaces`, `*/ns/...`) would also admit a federated caller of another trust domain.
    """
    return f"{domain}/ns/{namespace}/sa/{service_account}"


def spiffe_id(domain: str, namespace: str, service_account: str) -> str:
    """The SPIFFE id of a service account."""
    return f"spiffe://{principal(domain, namespace, service_account)}"


def logical_name(namespace: str, service_account: str) -> str:
    """The short id of the documents, for people: `spiffe://bank-a/api-ms`. It is never issued."""
    return f"spiffe://{namespace}/{service_account}"
