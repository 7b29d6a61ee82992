"""Listeners, with their certificates."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.elb import actions, certificates, model, names, ssl_policies
from dryport.elb.actions import Where, not_acted_on
from dryport.elb.api import carrying, forwarding
from dryport.elb.api.common import all_of, find_listener, listener, load_balancer, page, with_tags
from dryport.elb.model import APPLICATION, Listener, LoadBalancer
from dryport.elb.names import invalid
from dryport.gateway.service import Call, Output, Service

_MOST = 50  # a load balancer
_MOST_CERTIFICATES = 25  # a load balancer, beside the default ones
_SECURE = ("HTTPS", "TLS")
_PROTOCOLS = {APPLICATION: ("HTTP", "HTTPS"), model.NETWORK: ("TCP", "QUIC", "TCP_QUIC", "UDP", "TCP_UDP", "TLS")}
_CARRIED = ("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP")
_MUTUAL = (
    "TrustStoreArn",
    "IgnoreClientCertificateExpiry",
    "TrustStoreAssociationStatus",
    "AdvertiseTrustStoreCaNames",
    "ClientCertificateIdentityFilters",
)
_ACTION = ("AuthenticateOidcConfig", "AuthenticateCognitoConfig", "JwtValidationConfig")
ACTIONS_REFUSED = tuple(f"Actions.{name}" for name in _ACTION)


def register(service: Service) -> None:
    """Add the operations of this module."""
    refused = (
        *(f"DefaultActions.{name}" for name in _ACTION),
        *(f"MutualAuthentication.{name}" for name in _MUTUAL),
        "Certificates.IsDefault",
    )
    service.operation("CreateListener", unsupported=refused)(create)
    service.operation("DescribeListeners")(describe_all)
    service.operation("ModifyListener", unsupported=refused)(modify)
    service.operation("DeleteListener")(delete)
    service.operation("AddListenerCertificates", unsupported=("Certificates.IsDefault",))(add_certificates)
    service.operation("RemoveListenerCertificates", unsupported=("Certificates.IsDefault",))(remove_certificates)
    service.operation("DescribeListenerCertificates")(describe_certificates)


def describe(each: Listener) -> dict[str, Any]:
    """A listener as DescribeListeners has it."""
    made: dict[str, Any] = {
        "ListenerArn": each.arn,
        "LoadBalancerArn": each.load_balancer,
        "Port": each.port,
        "Protocol": each.protocol,
        "DefaultActions": each.actions,
    }
    if each.protocol in _SECURE:
        made["Certificates"] = [{"CertificateArn": arn} for arn in each.certificates[:1]]
        made["SslPolicy"] = each.ssl_policy
    if each.protocol == "HTTPS":
        made["MutualAuthentication"] = {"Mode": "off"}
    if each.alpn:
        made["AlpnPolicy"] = each.alpn
    return made


def create(call: Call, request: Any) -> Output:
    """Listen at a port. A listener of the same settings is answered as it is."""
    balancer = load_balancer(call, request["LoadBalancerArn"])
    for member in ("Protocol", "Port"):
        if member not in request:
            raise invalid(f"A listener {member.lower()} must be specified")
    empty = Listener(
        arn=names.listener_arn(balancer.arn, names.new_id(call.random)),
        load_balancer=balancer.arn,
        protocol=request["Protocol"],
        port=request["Port"],
        actions=[],
        tags=with_tags({}, request.get("Tags", ())),
    )
    made = _with(call, balancer, empty, request)
    others = call.tx.find(model.LISTENERS, "load_balancer", balancer.arn)
    found = next((each for each in others if each.port == made.port), None)
    if found is not None:
        if replace(found, arn=made.arn, attributes={}) != made:
            raise _taken(balancer)
        return {"Listeners": [describe(found)]}
    if len(others) >= _MOST:
        raise ServiceError(
            "TooManyListeners", f"The maximum number of listeners has been reached on load balancer '{balancer.arn}'"
        )
    call.tx.put(model.LISTENERS, made)
    carrying.check(call, balancer.arn)
    return {"Listeners": [describe(made)]}


def _taken(balancer: LoadBalancer) -> ServiceError:
    message = f"A listener already exists on this port for this load balancer '{balancer.arn}'"
    return ServiceError("DuplicateListener", message)


def _with(call: Call, balancer: LoadBalancer, old: Listener, request: Any) -> Listener:
    """A listener with what a request sets. Raises ServiceError."""
    protocol, port = request.get("Protocol", old.protocol), request.get("Port", old.port)
    allowed = _PROTOCOLS[balancer.type]
    if protocol not in allowed:
        raise invalid(f"Listener protocol '{protocol}' must be one of '{', '.join(allowed)}'")
    if protocol not in _CARRIED:
        raise not_acted_on(f"listeners with the {protocol} protocol")
    if request.get("MutualAuthentication", {}).get("Mode", "off") != "off":
        raise not_acted_on(f"mutual authentication with the mode {request['MutualAuthentication']['Mode']}")
    acts = old.actions
    if "DefaultActions" in request or protocol != old.protocol:
        acts = actions.checked(request.get("DefaultActions", old.actions), Where(balancer.type, protocol, port))
        forwarding.check(call, balancer, protocol, acts)
    made = replace(old, protocol=protocol, port=port, actions=acts)
    return _secured(call, balancer, made, request)


def _secured(call: Call, balancer: LoadBalancer, listener: Listener, request: Any) -> Listener:
    """A listener with its certificate and policy, or without where its protocol has none. Raises ServiceError."""
    given = [each.get("CertificateArn", "") for each in request.get("Certificates") or ()]
    protocol, policy = listener.protocol, request.get("SslPolicy")
    alpn = list(request.get("AlpnPolicy", listener.alpn))
    if request.get("AlpnPolicy") and balancer.type == APPLICATION:
        raise invalid(f"You cannot set ALPN policy on load balancers of type '{balancer.type}'")
    if request.get("AlpnPolicy") and protocol != "TLS":
        raise invalid(f"You cannot set ALPN policy on {protocol} listeners")
    if alpn not in ([], ["None"]):
        raise not_acted_on(f"the ALPN policy {', '.join(alpn)}")
    if protocol not in _SECURE:
        if policy:
            raise invalid(f"An SSL policy cannot be specifed for {protocol} listeners")  # so AWS writes it
        if given:
            raise invalid(f"A certificate cannot be specified for {protocol} listeners")
        return replace(listener, ssl_policy="", certificates=[], alpn=[])
    if len(given) > 1:
        raise invalid(f"Up to '1' certificate ARNs can be specified, but '{len(given)}' were specified")
    if not given and not listener.certificates:
        raise invalid(f"A certificate must be specified for {protocol} listeners")
    for each in given:
        certificates.check(call.tx, call.account, call.region, each)
    policy = policy or listener.ssl_policy or ssl_policies.DEFAULT
    if policy not in ssl_policies.POLICIES:
        raise ServiceError("SSLPolicyNotFound", f"SSL policy '{policy}' not found")
    others = [each for each in listener.certificates[1:] if each not in given]
    first = given or listener.certificates[:1]
    return replace(listener, ssl_policy=policy, certificates=[*first, *others], alpn=alpn if protocol == "TLS" else [])


def describe_all(call: Call, request: Any) -> Output:
    """The listeners of a load balancer, or those that are named."""
    arns, balancer = request.get("ListenerArns") or [], request.get("LoadBalancerArn")
    if not arns and not balancer:
        raise invalid("You must specify either listener ARNs or a load balancer ARN")
    if arns and balancer:
        raise invalid("Listener ARNs and a load balancer ARN cannot be specified at the same time")
    if arns:
        refusal = ServiceError("ListenerNotFound", "One or more listeners not found")
        found = all_of(arns, lambda each: find_listener(call, each), refusal)
    else:
        found = call.tx.find(model.LISTENERS, "load_balancer", load_balancer(call, balancer).arn)
    shown, more = page(found, request)
    return {"Listeners": [describe(each) for each in shown], **more}


def modify(call: Call, request: Any) -> Output:
    """Change a listener; what is left out stays."""
    found = listener(call, request["ListenerArn"])
    balancer = load_balancer(call, found.load_balancer)
    changed = _with(call, balancer, found, request)
    others = call.tx.find(model.LISTENERS, "load_balancer", balancer.arn)
    if any(each.port == changed.port and each.arn != changed.arn for each in others):
        raise _taken(balancer)
    if changed.protocol != found.protocol:
        changed = replace(changed, attributes={})
        for rule in call.tx.find(model.RULES, "listener", found.arn):
            actions.checked(rule.actions, Where(balancer.type, changed.protocol, changed.port))
            forwarding.check(call, balancer, changed.protocol, rule.actions)
    call.tx.put(model.LISTENERS, changed)
    carrying.check(call, balancer.arn)
    return {"Listeners": [describe(changed)]}


def delete(call: Call, request: Any) -> Output:
    """Listen no more."""
    found = find_listener(call, request["ListenerArn"])
    if found is None:
        raise ServiceError("ListenerNotFound", f"Listener '{request['ListenerArn']}' not found")
    for rule in call.tx.find(model.RULES, "listener", found.arn):
        call.tx.delete(model.RULES, rule.arn)
    call.tx.delete(model.LISTENERS, found.arn)
    return {}


def _secure(call: Call, request: Any) -> tuple[Listener, list[str]]:
    found = listener(call, request["ListenerArn"])
    if found.protocol not in _SECURE:
        raise invalid(f"A certificate cannot be specified for {found.protocol} listeners")
    arns = [each.get("CertificateArn", "") for each in request["Certificates"]]
    if len(arns) != 1:
        raise invalid("You must specify exactly one certificate")
    return found, arns


def add_certificates(call: Call, request: Any) -> Output:
    """Give a listener one more certificate, chosen by the name that a client asks for."""
    found, arns = _secure(call, request)
    certificates.check(call.tx, call.account, call.region, arns[0])
    more = [each for each in arns if each not in found.certificates]
    others = call.tx.find(model.LISTENERS, "load_balancer", found.load_balancer)
    if sum(len(each.certificates[1:]) for each in others) + len(more) > _MOST_CERTIFICATES:
        raise ServiceError(
            "TooManyCertificates",
            f"The maximum number of certificates has been reached on load balancer '{found.load_balancer}'",
        )
    call.tx.put(model.LISTENERS, replace(found, certificates=[*found.certificates, *more]))
    return {"Certificates": [{"CertificateArn": each, "IsDefault": False} for each in arns]}


def remove_certificates(call: Call, request: Any) -> Output:
    """Take a certificate away, if it is there and not the default one."""
    found, arns = _secure(call, request)
    if found.certificates[:1] == arns:
        raise ServiceError(
            "OperationNotPermitted", "The default certificate of a listener cannot be removed. Replace it instead."
        )
    left = [each for each in found.certificates if each not in arns]
    call.tx.put(model.LISTENERS, replace(found, certificates=left))
    return {}


def describe_certificates(call: Call, request: Any) -> Output:
    """A listener's certificates, the default one first."""
    found = listener(call, request["ListenerArn"])
    shown, more = page(found.certificates, request)
    first = found.certificates[:1]
    return {
        "Certificates": [{"CertificateArn": each, "IsDefault": [each] == first} for each in shown],
        **more,
    }
