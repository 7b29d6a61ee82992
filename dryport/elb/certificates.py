"""Which certificates listeners may have, and what their balancers show."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from dryport.acm import published as acm
from dryport.aws.errors import ServiceError
from dryport.iam import published as iam
from dryport.store import Reader
from dryport.store.sealing import Sealer


def check(reader: Reader, account: str, region: str, certificate_arn: str) -> None:
    """Refuse a certificate that a listener cannot have. Raises ServiceError (CertificateNotFound,
    UnsupportedCertificate)."""
    if iam.has_server_certificate(reader, account, certificate_arn):
        return
    found = acm.certificate(reader, account, region, certificate_arn)
    if found is None:
        raise ServiceError("CertificateNotFound", f"Certificate '{certificate_arn}' not found")
    if not acm.usable(found):
        raise ServiceError(
            "UnsupportedCertificate",
            f"The certificate '{certificate_arn}' must have a fully-qualified domain name, a supported signature, "
            "and a supported key size.",
        )


def file_id(certificate_arn: str) -> str:
    """What a certificate's file is called, without its ending."""
    return hashlib.sha256(certificate_arn.encode()).hexdigest()[:16]


def files(reader: Reader, sealer: Sealer, certificate_arns: Iterable[str]) -> dict[str, bytes]:
    """The PEM files of certificates, by ``file_id``. Raises LookupError for one that is gone."""
    return {file_id(arn): _pem(reader, sealer, arn) for arn in certificate_arns}


def _pem(reader: Reader, sealer: Sealer, certificate_arn: str) -> bytes:
    if ":server-certificate/" in certificate_arn:
        return iam.server_certificate(reader, sealer, certificate_arn)
    return acm.pem(reader, sealer, certificate_arn)
