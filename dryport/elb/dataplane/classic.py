"""A classic balancer's plan as HAProxy's configuration. Pure.

Each backend checks for itself: servers that follow others' (``track``) stay in maintenance over a reload where those
began in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dryport.elb.dataplane import haproxy, records, rules
from dryport.elb.dataplane.plan import Balancer, Forward, HealthCheck, Listener, NotCarried, TargetGroup
from dryport.elb.dataplane.slots import Slots
from dryport.host.haproxy_words import quoted

_HTTP = ("HTTP", "HTTPS")
_COOKIE = "AWSELB"
_CAPACITY = "Service Unavailable: Back-end server is at capacity"
_ERRORS = (400, 408, 500, 502, 503, 504)


def render(balancer: Balancer, slots: Mapping[str, Slots]) -> str:
    """The configuration, with as many servers in each backend as it has slots. Raises NotCarried."""
    names = haproxy.backends(balancer)
    sections = [haproxy.process(balancer), ("defaults", list(_defaults(balancer)))]
    for listener in balancer.listeners:
        sections.append((f"frontend l-{listener.port}", list(_frontend(balancer, listener, names))))
    if not balancer.listeners:
        sections.append(("frontend none", list(haproxy.NO_LISTENER)))
    backends = [(names[group.arn], group) for group in balancer.groups]
    backends += [(each.name, each.group) for each in haproxy.zonal(balancer)]
    for name, group in backends:
        sections.append((f"backend {name}", list(_backend(balancer, group, len(slots[name])))))
    return haproxy.written(sections)


def _defaults(balancer: Balancer) -> Iterator[str]:
    yield from haproxy.waits(balancer.idle_timeout)
    yield f"timeout http-keep-alive {balancer.idle_timeout}s"
    yield f"timeout http-request {balancer.idle_timeout}s"
    yield from (f"http-error {rules.page(status)}" for status in _ERRORS)


def _frontend(balancer: Balancer, listener: Listener, names: Mapping[str, str]) -> Iterator[str]:
    http = listener.protocol in _HTTP
    yield f"mode {'http' if http else 'tcp'}"
    if balancer.access_log:
        yield from records.of_http() if http else records.of_tcp()
    secure = _secure(listener) if listener.protocol in ("HTTPS", "SSL") else ""
    for interface in balancer.interfaces:
        yield f"bind {interface.address}:{listener.port}{secure}"
    if http:
        yield from (line.format(client="%[src]") for line in haproxy.APPEND)
        yield f"http-request set-header X-Forwarded-Proto {listener.protocol.lower()}"
        yield f"http-request set-header X-Forwarded-Port {listener.port}"
        yield "http-response set-var(txn.served) bool(true)"
        own = "{ status 503 } !{ var(txn.served) -m bool }"
        yield f'http-after-response set-status 503 reason "{_CAPACITY}" if {own}'
    if not isinstance(listener.default, Forward):
        raise NotCarried("rules of classic load balancers")
    group = listener.default.groups[0].group
    yield from haproxy.by_zone(balancer, group)
    yield f"default_backend {names[group]}"


def _secure(listener: Listener) -> str:
    allowed = listener.negotiation
    if allowed is None:
        raise NotCarried(f"{listener.protocol} listeners without an SSL negotiation policy")
    if len(allowed.protocols) == 2 and "TLSv1.1" not in allowed.protocols:
        raise NotCarried("SSL negotiation policies with TLSv1 and TLSv1.2, without TLSv1.1")  # HAProxy has ranges
    order = "" if allowed.server_order else " prefer-client-ciphers"
    return f" ssl {haproxy.certificates(listener)} {haproxy.ciphers(allowed.protocols, allowed.ciphers)}{order}"


def _backend(balancer: Balancer, group: TargetGroup, slots: int) -> Iterator[str]:
    yield f"mode {'http' if group.protocol in _HTTP else 'tcp'}"
    yield f"balance {haproxy.ALGORITHMS[group.algorithm]}"
    if group.stickiness is not None:
        yield from _sticky(group)
    yield from _check(group.health_check)
    check = group.health_check
    options = [f"inter {check.interval}s rise {check.healthy} fall {check.unhealthy}"]
    options.append(f"source {balancer.interfaces[0].address}")
    # As AWS: an instance's certificate is not validated. Checks have ``ssl`` of their own, whatever the traffic has.
    options.append("ssl verify none no-check-ssl" if group.protocol in ("HTTPS", "SSL") else "verify none")
    if group.proxy_protocol:
        options.append("send-proxy")
    if group.end_unhealthy:
        options.append("on-marked-down shutdown-sessions")
    yield f"default-server {' '.join(options)}"
    app = group.stickiness is not None and group.stickiness.type == "app_cookie"
    for place in range(1, slots + 1):
        tie = f" cookie s{place}" if app else ""
        yield f"server s{place} 0.0.0.0:80 check disabled{tie}"


def _check(check: HealthCheck) -> Iterator[str]:
    yield f"timeout check {check.timeout}s"
    secure = " ssl" if check.protocol in ("HTTPS", "SSL") else ""
    if check.protocol not in _HTTP:
        yield "option tcp-check"
        yield f"tcp-check connect port {check.port}{secure}"
        return
    yield "option httpchk"
    yield f"http-check connect port {check.port}{secure}"
    yield (
        f"http-check send meth GET uri {quoted(check.path)} ver HTTP/1.1"
        ' hdr Host "%[bc_dst]:%[bc_dst_port]" hdr User-Agent ELB-HealthChecker/1.0'
    )
    yield "http-check expect status 200"


def _sticky(group: TargetGroup) -> Iterator[str]:
    kept = group.stickiness
    assert kept is not None
    if kept.type == "app_cookie":  # counts for as long as the application's is there
        yield f"cookie {_COOKIE}"
        yield f"ignore-persist if !{{ req.cook({kept.cookie}) -m found }}"
        yield (
            f'http-response add-header Set-Cookie "{_COOKIE}=%[srv_name];PATH=/"'
            f" if {{ res.cook({kept.cookie}) -m found }}"
        )
        return
    # HAProxy's own date in the cookie ends the tie, whatever the browser does with it.
    age = f' maxlife {kept.duration}s attr "MAX-AGE={kept.duration}"' if kept.duration else ""
    yield f"cookie {_COOKIE} insert indirect dynamic{age}"
    yield f"dynamic-cookie-key {rules.token(group.arn)}"
