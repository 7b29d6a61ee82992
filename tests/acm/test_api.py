"""Certificates by ACM's API: imported and issued, and what of them is refused."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509 as library

from dryport.acm import x509
from dryport.acm.room import room
from tests.served import Served, refusal

DAY = 86_400.0


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-acm-"))
    made = Served(state_dir, [room])
    yield made
    made.stop()
    shutil.rmtree(state_dir)


@pytest.fixture
def acm(served: Served) -> Any:
    return served.client("acm")


class Made:
    """An authority of the user's own, a certificate that it issued, both as PEM."""

    def __init__(self, domain: str = "shop.test", kind: str = "EC_prime256v1", at: float | None = None) -> None:
        now = time.time() if at is None else at
        signing = x509.new_key("EC_prime256v1")
        self.authority = x509.new_authority(signing, "An authority", now)
        self.private = x509.new_key(kind)
        issued = x509.issue(self.authority, signing, domain, [domain, f"*.{domain}"], self.private, now)
        self.body, self.chain = x509.pem(issued).encode(), x509.pem(self.authority).encode()
        self.key = x509.pem_of_key(self.private)

    def given(self, **more: Any) -> dict[str, Any]:
        return {"Certificate": self.body, "PrivateKey": self.key, "CertificateChain": self.chain, **more}


def issued(acm: Any, arn: str) -> Any:
    acm.get_waiter("certificate_validated").wait(CertificateArn=arn, WaiterConfig={"Delay": 1})
    return acm.describe_certificate(CertificateArn=arn)["Certificate"]


def test_an_imported_certificate_is_described_as_aws_does(acm: Any) -> None:
    made = Made(kind="RSA_2048")
    arn = acm.import_certificate(**made.given(Tags=[{"Key": "team", "Value": "a"}]))["CertificateArn"]
    found = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    times = {name: found.pop(name) for name in ("CreatedAt", "ImportedAt", "NotBefore", "NotAfter")}
    assert times["NotAfter"] > times["NotBefore"] and times["CreatedAt"] == times["ImportedAt"]
    assert len(found.pop("Serial").split(":")) > 10
    assert found == {
        "CertificateArn": arn,
        "DomainName": "shop.test",
        "SubjectAlternativeNames": ["*.shop.test", "shop.test"],
        "DomainValidationOptions": [{"DomainName": "*.shop.test"}, {"DomainName": "shop.test"}],
        "Subject": "CN=shop.test",
        "Issuer": "Dryport",
        "Status": "ISSUED",
        "KeyAlgorithm": "RSA-2048",
        "SignatureAlgorithm": "SHA256WITHECDSA",
        "InUseBy": [],
        "Type": "IMPORTED",
        "KeyUsages": [{"Name": "DIGITAL_SIGNATURE"}, {"Name": "KEY_ENCIPHERMENT"}],
        "ExtendedKeyUsages": [
            {"Name": "TLS_WEB_SERVER_AUTHENTICATION", "OID": "1.3.6.1.5.5.7.3.1"},
            {"Name": "TLS_WEB_CLIENT_AUTHENTICATION", "OID": "1.3.6.1.5.5.7.3.2"},
        ],
        "RenewalEligibility": "INELIGIBLE",
        "Options": {"CertificateTransparencyLoggingPreference": "DISABLED", "Export": "DISABLED"},
    }
    got = acm.get_certificate(CertificateArn=arn)
    assert (got["Certificate"].encode(), got["CertificateChain"].encode()) == (made.body, made.chain)
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]


def test_another_certificate_takes_an_imported_ones_place(acm: Any) -> None:
    arn = acm.import_certificate(**Made().given())["CertificateArn"]
    other = Made("other.test")
    assert acm.import_certificate(**other.given(CertificateArn=arn))["CertificateArn"] == arn
    found = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert found["DomainName"] == "other.test" and found["ImportedAt"] > found["CreatedAt"]
    assert refusal(acm.import_certificate, **other.given(CertificateArn=arn, Tags=[{"Key": "a"}]))[0] == (
        "InvalidParameterException"
    )


def test_what_cannot_be_imported_is_refused(acm: Any) -> None:
    made, other = Made(), Made("other.test")
    old, young = Made(at=time.time() - 400 * DAY), Made(at=time.time() + DAY)
    cases: list[tuple[dict[str, Any], str]] = [
        (made.given(Certificate=b"nonsense"), "Unable to parse certificate"),
        (made.given(Certificate=made.body + made.chain), "contains more than one certificate"),
        (made.given(CertificateChain=b"nonsense"), "Unable to parse certificate chain"),
        (made.given(CertificateChain=other.chain), "index within the chain of the invalid certificate is: 0"),
        (
            made.given(CertificateChain=made.chain + other.chain),
            "index within the chain of the invalid certificate is: 1",
        ),
        (made.given(PrivateKey=other.key), "does not match"),
        (made.given(PrivateKey=b"nonsense"), "not PEM-encoded"),
        (old.given(), "expired"),
        (young.given(), "not valid yet"),
        ({"Certificate": made.body, "PrivateKey": made.key}, "not a valid self signed"),
    ]
    for given, words in cases:
        code, message = refusal(acm.import_certificate, **given)
        assert code == "ValidationException" and words in message, (words, message)


def test_a_requested_certificate_is_issued_by_an_authority_that_clients_can_trust(acm: Any, served: Served) -> None:
    arn = acm.request_certificate(
        DomainName="example.test", SubjectAlternativeNames=["*.Example.test"], ValidationMethod="DNS"
    )["CertificateArn"]
    found = issued(acm, arn)
    assert found["SubjectAlternativeNames"] == ["*.example.test", "example.test"]
    (first, second) = found["DomainValidationOptions"]
    assert first["ValidationStatus"] == "SUCCESS" and first["ValidationMethod"] == "DNS"
    assert second["ResourceRecord"]["Type"] == "CNAME"
    assert second["ResourceRecord"]["Name"].endswith(".example.test.")
    assert (found["Type"], found["KeyAlgorithm"], found["RenewalEligibility"]) == (
        "AMAZON_ISSUED",
        "RSA-2048",
        "INELIGIBLE",
    )
    got = acm.get_certificate(CertificateArn=arn)
    authority = (served.state_dir / "ca.pem").read_bytes()
    assert got["CertificateChain"].encode() == authority
    certificate = library.load_pem_x509_certificate(got["Certificate"].encode())
    certificate.verify_directly_issued_by(library.load_pem_x509_certificate(authority))


def test_an_authority_and_its_certificates_outlive_a_killed_control_plane(served: Served) -> None:
    arn = served.client("acm").request_certificate(DomainName="a.test", ValidationMethod="DNS")["CertificateArn"]
    issued(served.client("acm"), arn)
    before = served.client("acm").get_certificate(CertificateArn=arn)
    served.restart()
    acm = served.client("acm")
    assert acm.get_certificate(CertificateArn=arn)["Certificate"] == before["Certificate"]
    other = acm.request_certificate(DomainName="b.test", ValidationMethod="DNS")["CertificateArn"]
    issued(acm, other)
    assert acm.get_certificate(CertificateArn=other)["CertificateChain"] == before["CertificateChain"]


def test_the_same_token_gives_the_same_certificate(acm: Any) -> None:
    asked = {"DomainName": "token.test", "ValidationMethod": "DNS", "IdempotencyToken": "once"}
    arns = {acm.request_certificate(**asked)["CertificateArn"] for _ in range(3)}
    assert len(arns) == 1
    assert acm.request_certificate(**{**asked, "DomainName": "else.test"})["CertificateArn"] not in arns


def test_certificates_are_listed_by_page_and_by_what_they_are(acm: Any) -> None:
    plain = acm.request_certificate(DomainName="list.test", ValidationMethod="DNS")["CertificateArn"]
    curve = acm.request_certificate(DomainName="ec.test", ValidationMethod="DNS", KeyAlgorithm="EC_secp384r1")
    issued(acm, plain)
    issued(acm, curve["CertificateArn"])

    def arns(**asked: Any) -> list[str]:
        pages = acm.get_paginator("list_certificates").paginate(PaginationConfig={"PageSize": 2}, **asked)
        return [each["CertificateArn"] for page in pages for each in page["CertificateSummaryList"]]

    assert plain in arns() and curve["CertificateArn"] not in arns()
    assert arns(Includes={"keyTypes": ["EC_secp384r1"]}) == [curve["CertificateArn"]]
    assert plain not in arns(CertificateStatuses=["EXPIRED"])
    newest = arns(SortBy="CREATED_AT", SortOrder="DESCENDING")
    assert newest == arns(SortBy="CREATED_AT", SortOrder="ASCENDING")[::-1]


def test_tags_come_and_go(acm: Any) -> None:
    arn = acm.request_certificate(DomainName="tags.test", ValidationMethod="DNS")["CertificateArn"]
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "a", "Value": "other"}, {"Key": "b"}])
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
    assert refusal(acm.add_tags_to_certificate, CertificateArn=arn, Tags=[{"Key": "aws:x"}])[0] == "InvalidTagException"
    many = [{"Key": str(number)} for number in range(50)]
    assert refusal(acm.add_tags_to_certificate, CertificateArn=arn, Tags=many)[0] == "TooManyTagsException"


def test_what_is_not_there_and_what_is_not_done_is_said(acm: Any) -> None:
    nobody = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
    assert refusal(acm.describe_certificate, CertificateArn=nobody) == (
        "ResourceNotFoundException",
        f"Could not find certificate {nobody}.",
    )
    asked = {"DomainName": "no.test"}
    export = refusal(acm.request_certificate, **asked, Options={"Export": "ENABLED"})
    assert export[0] == "InvalidParameterException"
    assert refusal(acm.request_certificate, **asked, KeyAlgorithm="RSA_1024")[0] == "InvalidParameterException"
    wrong = [{"DomainName": "no.test", "ValidationDomain": "other.test"}]
    assert refusal(acm.request_certificate, **asked, DomainValidationOptions=wrong)[0] == (
        "InvalidDomainValidationOptionsException"
    )
    arn = acm.import_certificate(**Made().given())["CertificateArn"]
    acm.delete_certificate(CertificateArn=arn)
    assert refusal(acm.get_certificate, CertificateArn=arn)[0] == "ResourceNotFoundException"


def test_no_private_key_lies_open_in_the_store(acm: Any, served: Served) -> None:
    made = Made()
    acm.import_certificate(**made.given())
    secret = b"".join(made.key.splitlines()[1:3])[:40]
    for path in served.state_dir.rglob("control.db*"):
        assert secret not in path.read_bytes() and made.key.splitlines()[1] not in path.read_bytes()
