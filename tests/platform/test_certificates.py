"""Certificates of listeners that are replaced while clients are connected."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from tests.acm.test_api import Made
from tests.conftest import Platform
from tests.platform.support import eventually
from tests.ports import free_port

pytestmark = pytest.mark.platform


def _connected(name: str, port: int) -> ssl.SSLSocket:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    return trusting.wrap_socket(socket.create_connection((name, port), timeout=10), server_hostname=name)


def _asked(client: ssl.SSLSocket, name: str) -> str:
    """The answer to a request whose first line was sent."""
    client.sendall(f"Host: {name}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"safe"):
        part = client.recv(4096)
        assert part, answer
        answer += part
    return answer.decode()


def _shown(name: str, port: int) -> bytes:
    """The certificate that a new client sees; b"" while it cannot connect."""
    try:
        with _connected(name, port) as client:
            return client.getpeercert(binary_form=True) or b""
    except OSError:
        return b""


def test_replaced_and_imported_anew_under_open_connections(platform: Platform) -> None:
    """New connections get the new certificate; what a client had begun to ask on an open one is answered."""
    elb, acm, ec2 = platform.client("elbv2"), platform.client("acm"), platform.client("ec2")
    subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda each: str(each["AvailabilityZone"]))[:2]
    group = ec2.create_security_group(GroupName="safe", Description="-", VpcId=subnets[0]["VpcId"])["GroupId"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=everything)
    made = elb.create_load_balancer(
        Name="replaced", Subnets=[each["SubnetId"] for each in subnets], SecurityGroups=[group]
    )["LoadBalancers"][0]
    name, port = made["DNSName"].lower(), free_port()
    certificates = [Made(domain=name) for _ in range(3)]
    first, second = (acm.import_certificate(**each.given())["CertificateArn"] for each in certificates[:2])
    answer = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "safe"}}]
    listener = elb.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"],
        Protocol="HTTPS",
        Port=port,
        Certificates=[{"CertificateArn": first}],
        DefaultActions=answer,
    )["Listeners"][0]["ListenerArn"]
    shows = [ssl.PEM_cert_to_DER_cert(each.body.decode()) for each in certificates]
    eventually(lambda: _shown(name, port) == shows[0], 30)

    def asking() -> ssl.SSLSocket:
        client = _connected(name, port)
        client.sendall(b"GET / HTTP/1.1\r\n")
        return client

    kept = asking()
    elb.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": second}])
    eventually(lambda: _shown(name, port) == shows[1], 30)
    assert _asked(kept, name).startswith("HTTP/1.1 200")
    kept.close()

    kept = asking()
    acm.import_certificate(**certificates[2].given(CertificateArn=second))
    eventually(lambda: _shown(name, port) == shows[2], 30)
    assert _asked(kept, name).startswith("HTTP/1.1 200")
    kept.close()
    elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    for arn in (first, second):
        eventually(lambda arn=arn: _deleted(acm, arn), 20)  # type: ignore[misc]
    eventually(lambda: not _interfaces(ec2, group), 30)
    ec2.delete_security_group(GroupId=group)


def _deleted(acm: Any, arn: str) -> bool:
    try:
        acm.delete_certificate(CertificateArn=arn)
    except acm.exceptions.ResourceInUseException:
        return False
    return True


def _interfaces(ec2: Any, group: str) -> list[Any]:
    found = ec2.describe_network_interfaces()["NetworkInterfaces"]
    return [each for each in found if group in [one["GroupId"] for one in each["Groups"]]]
