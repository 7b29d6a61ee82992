"""A balancer's plan as HAProxy's configuration. Pure: the same plan and numbers of slots give the same text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dryport.elb import ssl_policies
from dryport.elb.dataplane import grpc, records, rules
from dryport.elb.dataplane.plan import (
    Balancer,
    Forward,
    HealthCheck,
    Interface,
    Kind,
    Listener,
    NotCarried,
    Stickiness,
    Target,
    TargetGroup,
)
from dryport.elb.dataplane.slots import Slots
from dryport.elb.dataplane.words import template
from dryport.host.haproxy_words import quoted

STATE = "servers.state"  # where its process notes what its servers were told
_CONNECT = 10  # seconds: AWS's, for a connection to a target
_IDLE_TCP = 350  # seconds: a network load balancer's
_ERRORS = (400, 408, 500, 502, 503, 504)
_COOKIE = re.compile(r"[A-Za-z0-9_.-]+")  # others would need quoting in two grammars at once
_VERSIONS = {"TLSv1": "TLSv1.0"}  # as HAProxy has it, where AWS has another name
ALGORITHMS = {"round_robin": "roundrobin", "least_outstanding_requests": "leastconn", "weighted_random": "random"}
# One line for X-Forwarded-For where the request has at most one; several stay several, which says the same.
APPEND = (
    "http-request set-var(txn.hops) req.fhdr_cnt(x-forwarded-for)",
    'http-request set-header X-Forwarded-For "%[req.fhdr(x-forwarded-for)], {client}" if {{ var(txn.hops) -m int 1 }}',
    'http-request add-header X-Forwarded-For "{client}" if !{{ var(txn.hops) -m int 1 }}',
)
# HAProxy does not start without a listener: nobody reaches this one.
NO_LISTENER = ("bind unix@none.sock mode 600", "mode tcp", "tcp-request connection reject")
# 32 bits as eight hexadecimal digits: a number becomes eight bytes, the first four of them zero.
_DIGITS = "hex,bytes(8,8),lower"
_NEW_TRACE = f"1-%[date,{_DIGITS}]-" + f"%[rand,{_DIGITS}]" * 3
_TRACE = (
    f'http-request set-header X-Amzn-Trace-Id "Self={_NEW_TRACE};%[req.fhdr(x-amzn-trace-id)]"'
    " if { req.fhdr(x-amzn-trace-id) -m sub Root= }",
    f'http-request set-header X-Amzn-Trace-Id "Root={_NEW_TRACE}" if !{{ req.fhdr(x-amzn-trace-id) -m sub Root= }}',
)


def backends(balancer: Balancer) -> dict[str, str]:
    """The backends' names by the target groups' ARNs."""
    return {group.arn: f"g-{rules.token(group.arn)}" for group in balancer.groups}


class Zonal(NamedTuple):
    """A backend with those of a target group's targets that are in a zone, for what comes to the zone's interface."""

    name: str
    group: TargetGroup
    interface: Interface


def zonal(balancer: Balancer) -> list[Zonal]:
    """The backends of zones, for target groups that are not balanced across them."""
    split = [each for each in balancer.groups if not each.cross_zone] if len(balancer.interfaces) > 1 else []
    return [
        Zonal(f"z{number}-{rules.token(group.arn)}", group, interface)
        for group in split
        for number, interface in enumerate(balancer.interfaces, 1)
    ]


def regardless(backend: str) -> str:
    """The name of the backend with the same targets, whatever their health: who has no healthy ones is served by it."""
    return f"f{backend.removeprefix('g')}"


def targets(balancer: Balancer) -> dict[str, list[Target]]:
    """The targets of each backend."""
    names = backends(balancer)
    found = {names[group.arn]: list(group.targets) for group in balancer.groups}
    if balancer.kind is not Kind.CLASSIC:
        found |= {regardless(names[group.arn]): list(group.targets) for group in balancer.groups}
    for each in zonal(balancer):
        found[each.name] = [one for one in each.group.targets if one.zone in (each.interface.zone, None)]
    return found


def weights(balancer: Balancer) -> dict[str, int]:
    """The map of the weights of target groups that share an action's requests."""
    return {key: value for listener in balancer.listeners for key, value in rules.weights(listener)}


def render(balancer: Balancer, slots: Mapping[str, Slots]) -> str:
    """The configuration with as many servers in each backend as it has slots: all of them empty, so that targets, which
    HAProxy is told at run time, change nothing here. Its process runs where the balancer's addresses are, in the
    directory of its files. Raises ``NotCarried``."""
    names = backends(balancer)
    http = balancer.kind is Kind.APPLICATION
    sections = [process(balancer), _defaults(balancer, http)]
    heard = [each for each in balancer.listeners if each.protocol != "UDP"]  # that is led by the kernel (``flows``)
    for listener in heard:
        sections.append((f"frontend l-{listener.port}", list(_frontend(balancer, listener, names))))
    if not heard:
        sections.append(("frontend none", list(NO_LISTENER)))
    for group in balancer.groups:
        name = names[group.arn]
        sections.append((f"backend {name}", list(_backend(balancer, group, len(slots[name])))))
        other = regardless(name)
        sections.append((f"backend {other}", list(_backend(balancer, group, len(slots[other]), checked=False))))
    for each in zonal(balancer):
        sections.append((f"backend {each.name}", list(_backend(balancer, each.group, len(slots[each.name])))))
    return written(sections)


def written(sections: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Sections, each with its head, as HAProxy reads them."""
    return "".join(f"{head}\n" + "".join(f"  {line}\n" for line in lines) for head, lines in sections)


def process(balancer: Balancer) -> tuple[str, list[str]]:
    """The section of the process."""
    return "global", [
        *([records.TARGET] if balancer.access_log else []),
        "user haproxy",
        "group haproxy",
        f"server-state-file {STATE}",
        "hard-stop-after 1h",
        "fd-hard-limit 100000",  # a machine's may be millions, which cost memory
    ]


def _defaults(balancer: Balancer, http: bool) -> tuple[str, list[str]]:
    idle = balancer.idle_timeout if http else _IDLE_TCP
    lines = [f"mode {'http' if http else 'tcp'}", *waits(idle)]
    if http:
        lines += [f"timeout http-keep-alive {idle}s", f"timeout http-request {idle}s"]
        lines += [f"http-error {rules.page(status)}" for status in _ERRORS]
    return "defaults", lines


def waits(idle: int) -> list[str]:
    """What every proxy has: for how many seconds a connection may be idle, and how often a target is tried."""
    return [
        f"timeout connect {_CONNECT}s",
        *(f"timeout {side} {idle}s" for side in ("client", "server", "tunnel")),
        "option redispatch 1",
        "retries 3",
        "load-server-state-from-file global",
    ]


def _idle(balancer: Balancer, arn: str) -> int:
    """For how long connections to a target group's targets may be idle: its listener says so. Raises ``NotCarried``."""
    found = {each.idle_timeout for each in balancer.listeners if arn in rules.groups(each) and each.protocol != "UDP"}
    if len(found) > 1:
        raise NotCarried("listeners with different idle timeouts that forward to one target group")
    return found.pop() if found else _IDLE_TCP


def _frontend(balancer: Balancer, listener: Listener, names: Mapping[str, str]) -> Iterator[str]:
    allowed = ("HTTP", "HTTPS") if balancer.kind is Kind.APPLICATION else ("TCP", "TLS", "TCP_UDP")
    if listener.protocol not in allowed:
        raise NotCarried(f"{listener.protocol} listeners of {balancer.kind.value} load balancers")
    secure = _secure(balancer, listener) if listener.protocol in ("HTTPS", "TLS") else ""
    for interface in balancer.interfaces:
        yield f"bind {interface.address}:{listener.port}{secure}"
    if balancer.kind is Kind.NETWORK:
        yield from _passing(balancer, listener, names)
        return
    if balancer.access_log:
        yield from records.of_http()
    yield from _answers(listener)
    if balancer.drop_invalid_headers:
        yield "http-request del-header '[^A-Za-z0-9-]' -m reg"
    only = rules.only_group(listener)
    if only is not None:
        yield from _headers(balancer, listener)
        yield from _without_health(balancer, listener, names)
        yield f"default_backend {names[only]}"
        return
    yield from rules.lines(listener, names)
    yield from _headers(balancer, listener)
    yield from rules.cookies(listener, names)
    yield from _without_health(balancer, listener, names)
    yield "use_backend %[var(txn.backend)]"


def _passing(balancer: Balancer, listener: Listener, names: Mapping[str, str]) -> Iterator[str]:
    """What a network load balancer does with a connection."""
    if not isinstance(listener.default, Forward) or listener.rules:
        raise NotCarried("rules of network load balancers")
    if balancer.access_log and listener.protocol == "TLS":  # AWS notes no others of a network load balancer
        yield from records.of_tcp()
    only = rules.only_group(listener)
    if only is not None:
        yield from by_zone(balancer, only)
        yield from _without_health(balancer, listener, names)
        yield f"default_backend {names[only]}"
        return
    if listener.protocol == "TCP_UDP":
        raise NotCarried("several target groups of TCP_UDP listeners")
    yield from rules.drawn(listener, names)
    for group in listener.default.groups:
        yield from by_zone(balancer, group.group, f"{{ var(txn.backend) -m str {names[group.group]} }} ")
    yield from _without_health(balancer, listener, names)
    yield "use_backend %[var(txn.backend)]"


def _without_health(balancer: Balancer, listener: Listener, names: Mapping[str, str]) -> Iterator[str]:
    """Lead to all targets of a group of which too few are healthy.

    Not in a worker that another one has followed: to that its backends have no servers any more, although they serve.
    """
    used, alone = rules.groups(listener), rules.only_group(listener) is not None
    for group in balancer.groups:
        if group.arn in used:
            name = names[group.arn]
            chosen = "" if alone else f"{{ var(txn.backend) -m str {name} }} "
            few = f"{{ nbsrv({name}) lt {group.least_healthy} }}"
            yield f"use_backend {regardless(name)} if {chosen}!{{ stopping }} {few}"


def by_zone(balancer: Balancer, group_arn: str, chosen: str = "") -> Iterator[str]:
    """Lead what comes to a zone to its targets, for a target group that is not balanced across zones.

    ``chosen`` is the condition on which the target group is the one that gets a connection.
    """
    for each in zonal(balancer):
        # The name does not lead to a zone without healthy targets; who comes there all the same is served by all.
        if each.group.arn == group_arn:
            yield f"use_backend {each.name} if {chosen}{{ dst {each.interface.address} }} {{ nbsrv({each.name}) gt 0 }}"


def _secure(balancer: Balancer, listener: Listener) -> str:
    policy = ssl_policies.POLICIES.get(listener.ssl_policy)
    if policy is None:
        raise NotCarried(f"the security policy {listener.ssl_policy}")
    versions = "h2,http/1.1" if balancer.http2 else "http/1.1"
    alpn = f" alpn {versions}" if listener.protocol == "HTTPS" else ""
    return f" ssl {certificates(listener)} {ciphers(policy.protocols, policy.ciphers)}{alpn}"


def certificates(listener: Listener) -> str:
    """The words of a ``bind`` for a listener's certificates, which are listed in a file."""
    return f"crt-list {_list_of(listener)}"


def _list_of(listener: Listener) -> str:
    return f"l-{listener.port}.certificates"


def certificate_lists(balancer: Balancer) -> dict[str, bytes]:
    """The files with a listener's certificates, which are more words than a line of the configuration may have (64)."""
    return {
        _list_of(listener): "".join(f"{name}.pem\n" for name in listener.certificates).encode()
        for listener in balancer.listeners
        if listener.certificates
    }


def ciphers(protocols: Sequence[str], allowed: Sequence[str]) -> str:
    """The words of a ``bind`` for versions of TLS, the newest first, and ciphers, the preferred first."""
    newest, oldest = (_VERSIONS.get(each, each) for each in (protocols[0], protocols[-1]))
    words = [f"ssl-min-ver {oldest} ssl-max-ver {newest}"]
    new = [each for each in allowed if each.startswith("TLS_")]
    old = [each for each in allowed if not each.startswith("TLS_")]
    if new:
        words.append(f"ciphersuites {':'.join(new)}")
    if old:
        # OpenSSL's own level would keep what is older than TLS 1.2 out.
        words.append(f"ciphers {':'.join(old)}{':@SECLEVEL=0' if oldest < 'TLSv1.2' else ''}")
    return " ".join(words)


def _answers(listener: Listener) -> Iterator[str]:
    """What is changed in answers, the balancer's own too."""
    for name, value in listener.response_headers:
        yield f"http-after-response set-header {name} {template(value, {})}"
    if not listener.server_header:
        yield "http-after-response del-header server"


def _headers(balancer: Balancer, listener: Listener) -> Iterator[str]:
    if balancer.xff_mode == "append":
        client = "%[src]:%[src_port]" if balancer.xff_port else "%[src]"
        yield from (line.format(client=client) for line in APPEND)
    elif balancer.xff_mode == "remove":
        yield "http-request del-header X-Forwarded-For"
    yield f"http-request set-header X-Forwarded-Proto {listener.protocol.lower()}"
    yield f"http-request set-header X-Forwarded-Port {listener.port}"
    yield from _TRACE
    if balancer.access_log:
        yield records.TRACE
    if balancer.tls_headers and listener.protocol == "HTTPS":
        yield "http-request set-header X-Amzn-Tls-Version %[ssl_fc_protocol]"
        yield "http-request set-header X-Amzn-Tls-Cipher-Suite %[ssl_fc_cipher]"
    if not balancer.preserve_host and listener.port not in (80, 443):
        yield f'http-request set-header Host "%[req.hdr(host)]:{listener.port}" if !{{ req.hdr(host) -m sub : }}'


def _backend(balancer: Balancer, group: TargetGroup, slots: int, *, checked: bool = True) -> Iterator[str]:
    http = balancer.kind is Kind.APPLICATION
    if group.protocol not in (("HTTP", "HTTPS") if http else ("TCP", "TLS", "UDP", "TCP_UDP")):
        raise NotCarried(f"{group.protocol} target groups of version {group.version} for {balancer.kind.value}")
    if not group.cross_zone and http and len(balancer.interfaces) > 1:
        raise NotCarried("load_balancing.cross_zone.enabled=false with several zones")
    if not http:
        yield f"timeout tunnel {_idle(balancer, group.arn)}s"  # of both sides
    if group.proxy_protocol and group.protocol in ("UDP", "TCP_UDP"):
        raise NotCarried(f"the PROXY protocol of {group.protocol} target groups")
    yield from _balance(group, http)
    options = [f"source {balancer.interfaces[0].address}"]
    if checked:
        yield from _check(group)
        check = group.health_check
        options += [f"inter {check.interval}s", f"rise {check.healthy}", f"fall {check.unhealthy}"]
    if group.protocol in ("HTTPS", "TLS"):
        options.append("ssl verify none")  # as AWS: a target's certificate is not validated
    if group.version in ("HTTP2", "GRPC"):
        options.append("alpn h2" if group.protocol == "HTTPS" else "proto h2")
    if group.slow_start and checked:
        options.append(f"slowstart {group.slow_start}s")
    if group.proxy_protocol:
        options.append("send-proxy-v2 check-send-proxy")
    yield f"default-server {' '.join(options)}"
    for place in range(1, slots + 1):
        tie = f" cookie s{place}" if group.stickiness is not None and group.stickiness.type == "app_cookie" else ""
        yield f"server s{place} 0.0.0.0:80{' check' if checked else ''} disabled{tie}"


def _balance(group: TargetGroup, http: bool) -> Iterator[str]:
    kept = group.stickiness
    if kept is not None and kept.type == "source_ip" and not http:
        yield "balance source"
        yield "hash-type consistent"
        return
    yield f"balance {ALGORITHMS[group.algorithm]}"
    if kept is None:
        return
    if kept.type == "app_cookie" and http:
        yield from _app_cookie(kept)
        return
    if kept.type != "lb_cookie" or not http:
        raise NotCarried(f"stickiness of type {kept.type}")
    yield f'cookie AWSALB insert dynamic maxidle {kept.duration}s attr "Max-Age={kept.duration}"'
    yield f"dynamic-cookie-key {rules.token(group.arn)}"


def _app_cookie(kept: Stickiness) -> Iterator[str]:
    """A cookie of ours beside each one of the application's, which counts for as long as that one is there."""
    if not _COOKIE.fullmatch(kept.cookie):
        raise NotCarried(f"stickiness by the cookie {kept.cookie}")
    yield "cookie AWSALBAPP-0"
    yield f"ignore-persist if !{{ req.cook({kept.cookie}) -m found }}"
    answer = f'"AWSALBAPP-0=%[srv_name]; Max-Age={kept.duration}; Path=/"'
    yield f"http-response add-header Set-Cookie {answer} if {{ res.cook({kept.cookie}) -m found }}"


def _check(group: TargetGroup) -> Iterator[str]:
    check: HealthCheck = group.health_check
    yield f"timeout check {check.timeout}s"
    port = f" port {check.port}" if check.port else ""
    proxy = " send-proxy" if group.proxy_protocol else ""
    if check.protocol == "TCP":
        yield "option tcp-check"
        yield f"tcp-check connect{port}{proxy}"
        return
    secure = " ssl" if check.protocol == "HTTPS" else ""
    if group.version == "GRPC":
        yield "option tcp-check"
        yield f"tcp-check connect{port}{proxy}{' ssl alpn h2' if secure else ''}"
        yield f"tcp-check send-binary {grpc.call(check.path, secure=bool(secure))}"
        yield f"tcp-check expect rbinary {grpc.answered()}"
        yield f"tcp-check expect min-recv 1 error-status L7STS rbinary {grpc.expected(check.codes)}"
        return
    version = ""
    if group.version == "HTTP2":
        version = " alpn h2" if secure else " proto h2"
    yield "option httpchk"
    yield f"http-check connect{port}{proxy}{secure}{version}"
    yield (
        f"http-check send meth GET uri {quoted(check.path)} ver HTTP/1.1"
        ' hdr Host "%[bc_dst]:%[bc_dst_port]" hdr User-Agent ELB-HealthChecker/2.0'
    )
    yield f"http-check expect status {check.codes}"
