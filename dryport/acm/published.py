"""What other services may ask of ACM: plain functions inside their own transactions. Watch CERTIFICATES."""

from __future__ import annotations

from dryport.acm import model
from dryport.acm.model import Certificate
from dryport.store import Reader
from dryport.store.sealing import Sealer


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
