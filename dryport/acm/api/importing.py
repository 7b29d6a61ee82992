"""ImportCertificate."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.acm import model
from dryport.acm.api.common import certificate, check_limit, with_tags
from dryport.acm.model import IMPORTED, ISSUED, Certificate
from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import uuid4
from dryport.gateway.service import Call, Output, Service
from dryport.store.sealing import Sealer


def register(service: Service, sealer: Sealer) -> None:
    """Add the operation."""

    def import_certificate(call: Call, request: Any) -> Output:
        return _import(call, request, sealer)

    service.operation("ImportCertificate")(import_certificate)


def _import(call: Call, request: Any, sealer: Sealer) -> Output:
    """A certificate of the user's own; with an ARN, another one in that one's place."""
    from dryport.acm import x509

    before = certificate(call, request["CertificateArn"]) if "CertificateArn" in request else None
    if before is not None and before.type != IMPORTED:
        raise ServiceError("ValidationException", f"The certificate {before.arn} was not imported.")
    if before is not None and request.get("Tags"):
        message = "You can't specify tags when reimporting a certificate."
        raise ServiceError("InvalidParameterException", message)
    tags = with_tags(before.tags if before is not None else {}, request.get("Tags") or ())
    read, key = x509.read(request["Certificate"]), x509.read_key(request["PrivateKey"])
    chain = x509.read_chain(request["CertificateChain"]) if request.get("CertificateChain") else []
    x509.check(read, key, chain, call.now)
    domain, names = x509.domains(read)
    kind = x509.key_type(key)
    if before is None:
        check_limit(call)
        arn = model.certificate_arn(call.account, call.region, uuid4(call.random))
        before = Certificate(
            arn=arn,
            account=call.account,
            region=call.region,
            type=IMPORTED,
            domain=domain,
            names=names,
            created_at=call.now,
            transparency="DISABLED",
        )
    made = replace(
        before,
        domain=domain,
        names=names,
        status=ISSUED,
        key_type=kind,
        body=x509.pem(read),
        chain="".join(x509.pem(each) for each in chain),
        key=sealer.seal(x509.pem_of_key(key), before.arn),
        facts=x509.facts(read),
        imported_at=call.now,
        tags=tags,
    )
    call.tx.put(model.CERTIFICATES, made)
    return {"CertificateArn": made.arn}
