"""RequestCertificate, and what may be said of a request later."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace

from dryport.acm import model
from dryport.acm.api.common import certificate, check_limit, with_tags
from dryport.acm.model import AMAZON_ISSUED, Certificate
from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import hexadecimal, uuid4
from dryport.gateway.service import Call, Output, Service

_REMEMBERED = 3600.0  # seconds for which a token is
_MOST_NAMES = 100
_OF_OTHERS = ("CertificateAuthorityArn", "ManagedBy", "CertificateUsage", "RootHierarchyType")
_UNSUPPORTED = (*_OF_OTHERS, "Options.ValidationMethod")


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("RequestCertificate", unsupported=_UNSUPPORTED)(request_certificate)
    service.operation("RenewCertificate")(renew)
    service.operation("UpdateCertificateOptions", unsupported=("Options.ValidationMethod",))(update_options)


def request_certificate(call: Call, request: Any) -> Output:
    """A certificate for domains, issued a moment later. The same token within an hour gives the same one."""
    domain = request["DomainName"].lower()
    names = sorted({domain, *(each.lower() for each in request.get("SubjectAlternativeNames") or ())})
    method = request.get("ValidationMethod", "EMAIL")
    if method == "HTTP":
        message = "HTTP validation is only supported for certificates that CloudFront manages."
        raise ServiceError("InvalidParameterException", message)
    if request.get("KeyAlgorithm") == "RSA_1024":
        message = "The key algorithm RSA_1024 is not supported for requested certificates."
        raise ServiceError("InvalidParameterException", message)
    if len(names) > _MOST_NAMES:
        raise ServiceError("LimitExceededException", f"The number of domain names is more than {_MOST_NAMES}.")
    token = request.get("IdempotencyToken", "")
    for each in (
        call.tx.find(model.CERTIFICATES, "token", model.scope(call.account, call.region, token)) if token else ()
    ):
        if each.created_at > call.now - _REMEMBERED and each.names == names:
            return {"CertificateArn": each.arn}
    check_limit(call)
    made = Certificate(
        arn=model.certificate_arn(call.account, call.region, uuid4(call.random)),
        account=call.account,
        region=call.region,
        type=AMAZON_ISSUED,
        domain=domain,
        names=names,
        created_at=call.now,
        key_type=request.get("KeyAlgorithm", "RSA_2048"),
        validation=method,
        validation_domains=_validation_domains(request, names),
        records={each: _record(call.random, each) for each in names} if method == "DNS" else {},
        transparency=_options(request).get("CertificateTransparencyLoggingPreference", "ENABLED"),
        token=token,
        tags=with_tags({}, request.get("Tags") or ()),
    )
    call.tx.put(model.CERTIFICATES, made)
    return {"CertificateArn": made.arn}


def _options(request: Any) -> dict[str, str]:
    """The options that are acted on. Raises ServiceError."""
    options: dict[str, str] = request.get("Options") or {}
    if options.get("Export", "DISABLED") != "DISABLED":
        raise ServiceError("InvalidParameterException", "Dryport does not act on Options.Export: it must be DISABLED.")
    return options


def _validation_domains(request: Any, names: list[str]) -> dict[str, str]:
    """The domains that were named for validation. Raises ServiceError."""
    found = {
        each["DomainName"].lower(): each["ValidationDomain"].lower()
        for each in request.get("DomainValidationOptions") or ()
    }
    for name, above in found.items():
        plain = name.removeprefix("*.")
        if name not in names or not (plain == above or plain.endswith(f".{above}")):
            message = f"The validation domain {above} is not the domain {name} or a superdomain of it."
            raise ServiceError("InvalidDomainValidationOptionsException", message)
    return found


def _record(random: Random, domain: str) -> tuple[str, str]:
    """The CNAME record that would show who owns a domain; a wildcard has that of the domain below it."""
    name = f"_{hexadecimal(random, 32)}.{domain.removeprefix('*.')}."
    return name, f"_{hexadecimal(random, 32)}.{hexadecimal(random, 10)}.acm-validations.aws."


def renew(call: Call, request: Any) -> Output:
    """Only exported certificates are renewed by this call, and none is exported."""
    found = certificate(call, request["CertificateArn"])
    raise ServiceError("ValidationException", f"The certificate {found.arn} is not eligible for renewal.")


def update_options(call: Call, request: Any) -> Output:
    """Whether a certificate that ACM issued is logged publicly."""
    found = certificate(call, request["CertificateArn"])
    if found.type != AMAZON_ISSUED:
        message = f"The options of certificate {found.arn} cannot be updated: it was imported."
        raise ServiceError("InvalidStateException", message)
    preference = _options(request).get("CertificateTransparencyLoggingPreference", found.transparency)
    call.tx.put(model.CERTIFICATES, replace(found, transparency=preference))
    return None
