"""What other services may ask of ACM: plain functions inside their own transactions. Watch CERTIFICATES."""

from __future__ import annotations

from typing import NamedTuple

from dryport.acm import model
from dryport.acm.model import Certificate
from dryport.aws.arn import Arn
from dryport.aws.errors import ServiceError
from dryport.store import Reader
from dryport.store.sealing import Sealer


class Read(NamedTuple):
    """A certificate that was checked: PEM, its key PKCS #8; ``expires`` in seconds since the epoch."""

    body: str
    chain: str
    key: bytes
    expires: float


class Mismatch(ServiceError):
    """The key is not the certificate's."""


def read(body: bytes, key: bytes, chain: bytes, now: float) -> Read:
    """A certificate, its key and its chain (all PEM; no chain where it is empty), checked as ImportCertificate does.

    Raises ServiceError (ValidationException), Mismatch.
    """
    from dryport.acm import x509  # megabytes

    certificate, private = x509.read(body), x509.read_key(key)
    issuers = x509.read_chain(chain) if chain else []
    if not x509.belong(certificate, private):
        message = "The private key does not match the public key of the certificate."
        raise Mismatch("ValidationException", message)
    x509.check(certificate, private, issuers, now)
    return Read(
        x509.pem(certificate),
        "".join(x509.pem(each) for each in issuers),
        x509.pem_of_key(private),
        x509.facts(certificate).not_after,
    )


def certificate(reader: Reader, account: str, region: str, certificate_arn: str) -> Certificate | None:
    """A certificate of this account and region."""
    found = reader.get(model.CERTIFICATES, certificate_arn)
    return found if found is not None and (found.account, found.region) == (account, region) else None


def usable(found: Certificate) -> bool:
    """Whether it can be shown to clients."""
    return found.status == model.ISSUED


def pem(reader: Reader, sealer: Sealer, certificate_arn: str) -> bytes:
    """A certificate, its chain and its private key, one after the other.

    Raises LookupError where there is none that is issued, ``store.sealing.Broken`` where the key does not open.
    """
    found = reader.get(model.CERTIFICATES, certificate_arn)
    if found is None or not found.body:
        raise LookupError(certificate_arn)
    parts = [found.body.encode(), found.chain.encode(), sealer.open(found.key, found.arn)]
    return b"\n".join(part.strip() for part in parts if part) + b"\n"


def resource_tags(reader: Reader, parts: Arn) -> dict[str, str] | None:
    """The tags of the resource of an ARN, none of one that does not exist; ``None`` where its kind has none."""
    found = reader.get(model.CERTIFICATES, str(parts))
    return found.tags if found is not None else {}
