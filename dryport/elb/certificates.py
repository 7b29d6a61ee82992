"""Which certificates listeners may have.

Neither ACM nor IAM's server certificates are there yet, so that no ARN names one: HTTPS and TLS listeners are refused.
"""

from __future__ import annotations

from dryport.aws.errors import ServiceError
from dryport.store import Reader


def check(reader: Reader, account: str, region: str, certificate_arn: str) -> None:
    """Refuse a certificate that a listener cannot have. Raises ServiceError (CertificateNotFound)."""
    raise ServiceError("CertificateNotFound", f"Certificate '{certificate_arn}' not found")
