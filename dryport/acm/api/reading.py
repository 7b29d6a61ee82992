"""What there is to know of certificates."""

from __future__ import annotations

from typing import Any

from dryport.acm import model
from dryport.acm.api.common import certificate
from dryport.acm.model import AMAZON_ISSUED, IMPORTED, PENDING, Certificate
from dryport.aws.errors import ServiceError
from dryport.aws.pages import page
from dryport.elb import published as elb
from dryport.gateway.service import Call, Output, Service
from dryport.store import Reader

_MOST = 1000  # of a page
_SHOWN = 100  # alternative names of a summary
_USUAL = ("RSA_1024", "RSA_2048")  # types of keys that are listed where no others are asked for
_ISSUER = "Dryport"  # whose authority it is


def register(service: Service) -> None:
    """Add the operations of this module."""
    unsupported = ("CertificateKeyPairOrigins", "RootHierarchyTypes")
    service.operation("DescribeCertificate")(describe)
    service.operation("GetCertificate")(get)
    service.operation("ListCertificates", unsupported=unsupported)(list_all)
    service.operation("ExportCertificate")(export)


def _eligible(each: Certificate, used: bool) -> str:
    """Whether it is renewed by itself: one that was issued here, while something uses it."""
    return "ELIGIBLE" if used and each.type == AMAZON_ISSUED and each.facts is not None else "INELIGIBLE"


def _times(each: Certificate) -> dict[str, float]:
    found = {"CreatedAt": each.created_at, "IssuedAt": each.issued_at, "ImportedAt": each.imported_at}
    if each.facts is not None:
        found |= {"NotBefore": each.facts.not_before, "NotAfter": each.facts.not_after}
    return {name: value for name, value in found.items() if value is not None}


def describe(call: Call, request: Any) -> Output:
    """A certificate with what it is used by."""
    found = certificate(call, request["CertificateArn"])
    return {"Certificate": detail(call.tx, found)}


def detail(reader: Reader, each: Certificate) -> dict[str, Any]:
    """A certificate as DescribeCertificate has it."""
    users = [elb.shown_arn(reader, one) for one in elb.users_of_certificate(reader, each.arn)]
    shown: dict[str, Any] = {
        "CertificateArn": each.arn,
        "DomainName": each.domain,
        "SubjectAlternativeNames": each.names,
        "DomainValidationOptions": [_validation(each, name) for name in each.names],
        "Subject": f"CN={each.domain}",
        "Issuer": _ISSUER,
        "Status": each.status,
        "KeyAlgorithm": each.key_type.replace("_", "-", 1),
        "SignatureAlgorithm": "SHA256WITHRSA",
        "InUseBy": users,
        "Type": each.type,
        "KeyUsages": [],
        "ExtendedKeyUsages": [],
        "RenewalEligibility": _eligible(each, bool(users)),
        "Options": {"CertificateTransparencyLoggingPreference": each.transparency, "Export": "DISABLED"},
        **_times(each),
    }
    if each.facts is not None:
        shown |= {
            "Serial": each.facts.serial,
            "Subject": each.facts.subject,
            "Issuer": each.facts.issuer,
            "SignatureAlgorithm": each.facts.signature_algorithm,
            "KeyUsages": [{"Name": name} for name in each.facts.key_usages],
            "ExtendedKeyUsages": [{"Name": name, "OID": oid} for name, oid in each.facts.extended_key_usages],
        }
    return shown


def _validation(each: Certificate, name: str) -> dict[str, Any]:
    if each.type == IMPORTED:
        return {"DomainName": name}
    shown: dict[str, Any] = {
        "DomainName": name,
        "ValidationDomain": each.validation_domains.get(name, name),
        "ValidationStatus": "PENDING_VALIDATION" if each.status == PENDING else "SUCCESS",
        "ValidationMethod": each.validation,
    }
    if name in each.records:
        record, value = each.records[name]
        shown["ResourceRecord"] = {"Name": record, "Type": "CNAME", "Value": value}
    if each.validation == "EMAIL":
        shown["ValidationEmails"] = []  # nobody is written to
    return shown


def get(call: Call, request: Any) -> Output:
    """A certificate and its chain as PEM."""
    found = certificate(call, request["CertificateArn"])
    if not found.body:
        raise ServiceError("RequestInProgressException", f"Certificate {found.arn} is not issued yet.")
    return {"Certificate": found.body, **({"CertificateChain": found.chain} if found.chain else {})}


def export(call: Call, request: Any) -> Output:
    """Only certificates that were asked for as exportable can be, and none can be here."""
    found = certificate(call, request["CertificateArn"])
    raise ServiceError("ValidationException", f"Certificate ARN: {found.arn} is not a private certificate")


def list_all(call: Call, request: Any) -> Output:
    """An account's certificates in a region, by default those with RSA keys of up to 2048 bits, as on AWS."""
    found = call.tx.find(model.CERTIFICATES, "scope", model.scope(call.account, call.region))
    chosen = [each for each in found if _chosen(each, request)]
    if request.get("SortBy"):
        chosen.sort(key=lambda each: each.created_at, reverse=request.get("SortOrder") == "DESCENDING")
    refusal = ServiceError("ValidationException", "The pagination token is not valid.")
    shown, more = page(chosen, request.get("NextToken"), request.get("MaxItems", _MOST), refusal)
    return {"CertificateSummaryList": [summary(call.tx, each) for each in shown], **more}


def _chosen(each: Certificate, request: Any) -> bool:
    includes = request.get("Includes") or {}
    statuses = request.get("CertificateStatuses")
    usages = each.facts.key_usages if each.facts is not None else []
    extended = [name for name, _ in each.facts.extended_key_usages] if each.facts is not None else []
    return (
        (not statuses or each.status in statuses)
        and each.key_type in (includes.get("keyTypes") or _USUAL)
        and _any_of(usages, includes.get("keyUsage"))
        and _any_of(extended, includes.get("extendedKeyUsage"))
        and includes.get("exportOption", "DISABLED") == "DISABLED"
        and "managedBy" not in includes
    )


def _any_of(present: list[str], wanted: list[str] | None) -> bool:
    return not wanted or "ANY" in wanted or any(each in wanted for each in present)


def summary(reader: Reader, each: Certificate) -> dict[str, Any]:
    """A certificate as ListCertificates has it."""
    used = bool(elb.users_of_certificate(reader, each.arn))
    return {
        "CertificateArn": each.arn,
        "DomainName": each.domain,
        "SubjectAlternativeNameSummaries": each.names[:_SHOWN],
        "HasAdditionalSubjectAlternativeNames": len(each.names) > _SHOWN,
        "Status": each.status,
        "Type": each.type,
        "KeyAlgorithm": each.key_type.replace("_", "-", 1),
        "KeyUsages": each.facts.key_usages if each.facts is not None else [],
        "ExtendedKeyUsages": [name for name, _ in each.facts.extended_key_usages] if each.facts is not None else [],
        "ExportOption": "DISABLED",
        "InUse": used,
        "RenewalEligibility": _eligible(each, used),
        **_times(each),
    }
