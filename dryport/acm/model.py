"""What is stored of certificates. Times are seconds since the epoch."""

from __future__ import annotations

import msgspec

from dryport.aws import arn
from dryport.store import Table

PENDING, ISSUED, EXPIRED = "PENDING_VALIDATION", "ISSUED", "EXPIRED"
IMPORTED, AMAZON_ISSUED = "IMPORTED", "AMAZON_ISSUED"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what is stored."""


class Facts(Record, frozen=True, kw_only=True):
    """What a certificate says of itself, in the words of DescribeCertificate."""

    serial: str
    subject: str
    issuer: str
    key_algorithm: str
    signature_algorithm: str
    not_before: float
    not_after: float
    key_usages: list[str] = []
    extended_key_usages: list[tuple[str, str]] = []  # names and OIDs


class Certificate(Record, frozen=True, kw_only=True):
    """``body`` and ``chain`` are PEM; ``key`` is sealed for the certificate's ARN. One that is not issued has none.

    ``names`` are all its domains, sorted, ``domain`` among them. ``records`` are the CNAME records (name and value)
    by domain that show who owns it, where ``validation`` is DNS.
    """

    arn: str
    account: str
    region: str
    type: str
    domain: str
    names: list[str]
    created_at: float
    status: str = PENDING
    key_type: str = "RSA_2048"  # as RequestCertificate and ListCertificates spell it
    body: str = ""
    chain: str = ""
    key: bytes = b""
    facts: Facts | None = None
    issued_at: float | None = None
    imported_at: float | None = None
    validation: str = ""
    validation_domains: dict[str, str] = {}
    records: dict[str, tuple[str, str]] = {}
    transparency: str = "ENABLED"
    token: str = ""
    tags: dict[str, str] = {}


class Authority(Record, frozen=True, kw_only=True):
    """The authority that issues: one a Dryport. ``key`` is sealed for ``AUTHORITY``."""

    id: str
    body: str
    key: bytes


AUTHORITY = "authority"


def scope(account: str, region: str, *more: str) -> str:
    """The index value for what an account has in a region."""
    return "/".join((account, region, *more))


def certificate_arn(account: str, region: str, certificate_id: str) -> str:
    """The ARN of a certificate."""
    return arn.make("acm", region, account, f"certificate/{certificate_id}")


CERTIFICATES = Table(
    "acm.certificate",
    Certificate,
    key=lambda c: c.arn,
    indexes={
        "scope": lambda c: scope(c.account, c.region),
        "token": lambda c: scope(c.account, c.region, c.token) if c.token else None,
    },
)
AUTHORITIES = Table("acm.authority", Authority, key=lambda a: a.id)
