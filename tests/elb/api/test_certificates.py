"""Certificates of listeners, called by boto3 through the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.acm.test_api import Made
from tests.served import Served, refusal

Make = Callable[..., Any]
ANSWER = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}]


@pytest.fixture(scope="module")
def acm(served: Served) -> Any:
    return served.client("acm")


@pytest.fixture(scope="module")
def imported(acm: Any) -> Callable[[], str]:
    given = Made().given()
    return lambda: str(acm.import_certificate(**given)["CertificateArn"])


@pytest.fixture
def listener(elb: Any, balancer: Make, imported: Callable[[], str]) -> tuple[str, str]:
    """An HTTPS listener, and its default certificate."""
    first = imported()
    made = elb.create_listener(
        LoadBalancerArn=balancer()["LoadBalancerArn"],
        Protocol="HTTPS",
        Port=443,
        Certificates=[{"CertificateArn": first}],
        DefaultActions=ANSWER,
    )
    return made["Listeners"][0]["ListenerArn"], first


def shown(elb: Any, listener_arn: str) -> list[tuple[str, bool]]:
    pages = elb.get_paginator("describe_listener_certificates").paginate(
        ListenerArn=listener_arn, PaginationConfig={"PageSize": 2}
    )
    return [(each["CertificateArn"], each["IsDefault"]) for page in pages for each in page["Certificates"]]


def test_added_listed_removed_and_replaced(
    elb: Any, acm: Any, listener: tuple[str, str], imported: Callable[[], str]
) -> None:
    arn, first = listener
    more = [imported() for _ in range(3)]
    for each in (*more, more[0]):  # again: it is there once
        added = elb.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": each}])
        assert added["Certificates"] == [{"CertificateArn": each, "IsDefault": False}]
    assert shown(elb, arn) == [(first, True), *((each, False) for each in more)]
    remove = elb.remove_listener_certificates
    assert refusal(remove, ListenerArn=arn, Certificates=[{"CertificateArn": first}])[0] == "OperationNotPermitted"
    remove(ListenerArn=arn, Certificates=[{"CertificateArn": more[1]}])
    remove(ListenerArn=arn, Certificates=[{"CertificateArn": more[1]}])  # gone is gone
    assert shown(elb, arn) == [(first, True), (more[0], False), (more[2], False)]
    assert refusal(acm.delete_certificate, CertificateArn=more[0])[0] == "ResourceInUseException"
    acm.delete_certificate(CertificateArn=more[1])
    elb.modify_listener(ListenerArn=arn, Certificates=[{"CertificateArn": more[2]}])
    assert shown(elb, arn) == [(more[2], True), (more[0], False)]
    acm.delete_certificate(CertificateArn=first)


def test_one_call_takes_one_certificate(elb: Any, listener: tuple[str, str], imported: Callable[[], str]) -> None:
    arn, _ = listener
    two = [{"CertificateArn": imported()}, {"CertificateArn": imported()}]
    for call in (elb.add_listener_certificates, elb.remove_listener_certificates):
        assert refusal(call, ListenerArn=arn, Certificates=two) == (
            "ValidationError", "You must specify exactly one certificate"
        )  # fmt: skip


def test_one_that_is_not_issued_is_not_supported(elb: Any, acm: Any, listener: tuple[str, str]) -> None:
    arn, _ = listener
    pending = acm.request_certificate(DomainName="shop.test", ValidationMethod="DNS")["CertificateArn"]
    wanted = [{"CertificateArn": pending}]
    for call in (elb.add_listener_certificates, elb.modify_listener):
        assert refusal(call, ListenerArn=arn, Certificates=wanted) == (
            "UnsupportedCertificate",
            f"The certificate '{pending}' must have a fully-qualified domain name, a supported signature, and a "
            "supported key size.",
        )


def test_a_load_balancer_has_twenty_five_more_than_its_default_ones(
    elb: Any, listener: tuple[str, str], imported: Callable[[], str]
) -> None:
    arn, _ = listener
    for _ in range(25):
        elb.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": imported()}])
    one_more = [{"CertificateArn": imported()}]
    assert refusal(elb.add_listener_certificates, ListenerArn=arn, Certificates=one_more)[0] == "TooManyCertificates"
