"""DeleteCertificate."""

from __future__ import annotations

from typing import Any

from dryport.acm import model
from dryport.acm.api.common import certificate
from dryport.aws.errors import ServiceError
from dryport.elb import published as elb
from dryport.gateway.service import Call, Output, Service


def register(service: Service) -> None:
    """Add the operation."""
    service.operation("DeleteCertificate")(delete)


def delete(call: Call, request: Any) -> Output:
    """Forget a certificate that nothing uses."""
    found = certificate(call, request["CertificateArn"])
    if elb.users_of_certificate(call.tx, found.arn):
        message = f"Certificate {found.arn} in account {found.account} is in use."
        raise ServiceError("ResourceInUseException", message)
    call.tx.delete(model.CERTIFICATES, found.arn)
    return None
