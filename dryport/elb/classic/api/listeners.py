"""Listeners of classic load balancers, with their certificates and policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.elb import certificates, model, names
from dryport.elb.classic import policies
from dryport.elb.classic.api.common import balancer, put
from dryport.elb.model import Listener, LoadBalancer, Policy
from dryport.elb.names import invalid
from dryport.gateway.service import Call, Output, Service

_MOST = 100  # a load balancer
_LAYERS = {"HTTP": "HTTP", "HTTPS": "HTTP", "TCP": "TCP", "SSL": "TCP"}  # also what instances are spoken to by default


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("CreateLoadBalancerListeners")(create)
    service.operation("DeleteLoadBalancerListeners")(delete)
    service.operation("SetLoadBalancerListenerSSLCertificate")(set_certificate)
    service.operation("SetLoadBalancerPoliciesOfListener")(set_policies)


def described(each: Listener) -> dict[str, Any]:
    """A listener as AWS has it."""
    made: dict[str, Any] = {
        "Protocol": each.protocol,
        "LoadBalancerPort": each.port,
        "InstanceProtocol": each.instance_protocol,
        "InstancePort": each.instance_port,
    }
    if each.certificates:
        made["SSLCertificateId"] = each.certificates[0]
    return made


def made(call: Call, found: LoadBalancer, given: Any) -> Listener:
    """A listener of a balancer's as it is asked for. Raises ServiceError."""
    protocol = given["Protocol"].upper()
    if protocol not in _LAYERS:
        raise ServiceError("UnsupportedProtocol", f"Listener protocol '{given['Protocol']}' is not supported")
    spoken = given.get("InstanceProtocol", _LAYERS[protocol]).upper()
    if spoken not in _LAYERS:
        raise ServiceError("UnsupportedProtocol", f"Instance protocol '{spoken}' is not supported")
    if _LAYERS[spoken] != _LAYERS[protocol]:
        raise invalid(f"The front-end protocol {protocol} and the back-end protocol {spoken} must be of the same layer")
    port = given["LoadBalancerPort"]
    if not 1 <= port <= 65535:
        raise invalid("LoadBalancerPort must be in the range 1-65535")
    certificate = given.get("SSLCertificateId", "")
    if protocol in policies.SECURE and not certificate:
        raise invalid(f"SSL Certificate must be specified for {protocol} listeners")
    if protocol not in policies.SECURE and certificate:
        raise invalid(f"SSL Certificate cannot be specified for {protocol} listeners")
    if certificate:
        check_certificate(call, certificate)
    return Listener(
        arn=names.listener_arn(found.arn, str(port)),
        load_balancer=found.arn,
        protocol=protocol,
        port=port,
        actions=[],
        certificates=[certificate] if certificate else [],
        instance_protocol=spoken,
        instance_port=given["InstancePort"],
        policies=[policies.DEFAULT_SSL] if certificate else [],
    )


def check_certificate(call: Call, arn: str) -> None:
    """Refuse a certificate that a listener cannot have. Raises ServiceError."""
    try:
        certificates.check(call.tx, call.account, call.region, arn)
    except ServiceError as error:
        if error.code != "CertificateNotFound":
            raise policies.refused(error.message) from None
        raise ServiceError("CertificateNotFound", f"Server Certificate not found for the key: {arn}") from None


def check_together(found: LoadBalancer, listeners: Sequence[Listener]) -> None:
    """Refuse listeners that a balancer cannot have at the same time. Raises ServiceError."""
    if len({each.port for each in listeners}) < len(listeners):
        raise invalid("Listeners must have different LoadBalancerPorts")
    if len(listeners) > _MOST:
        raise policies.refused(f"The maximum number of listeners has been reached on load balancer '{found.name}'")
    for port in {each.instance_port for each in listeners}:
        secure = {each.instance_protocol in policies.SECURE for each in listeners if each.instance_port == port}
        if len(secure) > 1:
            raise policies.refused(
                f"The listeners of the InstancePort {port} must all have a secure InstanceProtocol, or none of them"
            )


def needed(listeners: Sequence[Listener], present: Sequence[Policy]) -> list[Policy]:
    """A balancer's policies with those that its listeners have of all balancers."""
    known = {each.name for each in present}
    wanted = dict.fromkeys(name for each in listeners for name in each.policies if name not in known)
    found = [policies.predefined(name) for name in wanted]
    return [*present, *(each for each in found if each is not None)]


def create(call: Call, request: Any) -> Output:
    """Listen at further ports. A listener of the same settings stays as it is."""
    found, classic = balancer(call, request["LoadBalancerName"])
    there = {each.port: each for each in call.tx.find(model.LISTENERS, "load_balancer", found.arn)}
    new = []
    for given in request["Listeners"]:
        wanted = made(call, found, given)
        other = there.get(wanted.port)
        if other is not None and replace(other, policies=[]) != replace(wanted, policies=[]):
            raise ServiceError(
                "DuplicateListener",
                f"A listener already exists for {found.name} with LoadBalancerPort {wanted.port}, but with a "
                "different InstancePort, Protocol, or SSLCertificateId",
            )
        new += [wanted] if other is None else []
    check_together(found, [*there.values(), *new])
    for each in new:
        call.tx.put(model.LISTENERS, each)
    put(call, found, policies=needed(new, classic.policies))
    return {}


def delete(call: Call, request: Any) -> Output:
    """Listen at some ports no more. Where nothing listens nothing is done."""
    found, _ = balancer(call, request["LoadBalancerName"])
    for port in request["LoadBalancerPorts"]:
        call.tx.delete(model.LISTENERS, names.listener_arn(found.arn, str(port)))
    return {}


def _listener(call: Call, found: LoadBalancer, port: int) -> Listener:
    listener = call.tx.get(model.LISTENERS, names.listener_arn(found.arn, str(port)))
    if listener is None:
        message = f"The load balancer '{found.name}' does not have a listener configured at the port {port}"
        raise ServiceError("ListenerNotFound", message)
    return listener


def set_certificate(call: Call, request: Any) -> Output:
    """Show another certificate."""
    found, _ = balancer(call, request["LoadBalancerName"])
    listener = _listener(call, found, request["LoadBalancerPort"])
    if listener.protocol not in policies.SECURE:
        raise policies.refused(f"SSL Certificate cannot be specified for {listener.protocol} listeners")
    check_certificate(call, request["SSLCertificateId"])
    call.tx.put(model.LISTENERS, replace(listener, certificates=[request["SSLCertificateId"]]))
    return {}


def set_policies(call: Call, request: Any) -> Output:
    """Have these policies, and no others. What terminates TLS keeps one that says how."""
    found, classic = balancer(call, request["LoadBalancerName"])
    listener = _listener(call, found, request["LoadBalancerPort"])
    wanted = [named(found, classic.policies, name) for name in dict.fromkeys(request["PolicyNames"])]
    policies.check_listener(listener.protocol, wanted)
    enabled = [each.name for each in wanted]
    if listener.protocol in policies.SECURE and all(each.type != policies.SSL for each in wanted):
        before = [policies.of(classic.policies, name) for name in listener.policies]
        enabled += [each.name for each in before if each is not None and each.type == policies.SSL]
    listener = replace(listener, policies=enabled)
    call.tx.put(model.LISTENERS, listener)
    put(call, found, policies=needed([listener], classic.policies))
    return {}


def named(found: LoadBalancer, present: Sequence[Policy], name: str) -> Policy:
    """A policy of a balancer's, or of those that all have. Raises ServiceError."""
    policy = policies.of(present, name)
    if policy is None:
        raise ServiceError("PolicyNotFound", f"There is no policy with name {name} for load balancer {found.name}")
    return policy
