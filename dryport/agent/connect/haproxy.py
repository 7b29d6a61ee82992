"""The configuration of a task's proxy, and the commands that change where services are reached. Pure.

Each service has slots, servers that are there before anybody needs them; who comes and goes is told at run time, more
than there are slots for makes more of them, by a reload. Sources: HAProxy's configuration manual and management guide,
sections 5.2 and 9.3; "Service Connect", developer guide, for round robin, two retries, and outlier detection (five
failures, ejection for at least 30 seconds). Where more than half were out, all are asked: as Envoy does by its panic
threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dryport.agent.connect.ways import TEST, Egress, Ingress, Reached, Way, Ways
from dryport.host.haproxy_words import quoted

DIRECTORY = "/run/dryport-connect"  # inside the container
SOCKET, MASTER, CONFIGURATION = "admin.sock", "master.sock", "haproxy.cfg"
_CONNECT = 1  # seconds
_EVER = "24d"  # some of the longest that HAProxy takes
_FEWEST = 16
_EMPTY = "127.0.0.1:9"  # a server that is in maintenance
_RETRIES = 2
_FAILURES = 5  # in a row, until a server is taken for an outlier
_EJECTION = 30  # seconds
_SAFE = "GET HEAD OPTIONS TRACE"  # may be asked again where a connection ended without an answer
Slots = dict[str, list[str]]  # by service: "address:port weight" or "" in each slot


def argv() -> list[str]:
    """The proxy's command."""
    return ["/usr/sbin/haproxy", "-W", "-S", f"{DIRECTORY}/{MASTER}", "-f", f"{DIRECTORY}/{CONFIGURATION}"]


def assign(before: Mapping[str, Sequence[str]], reached: Reached, services: Sequence[str]) -> Slots:
    """The slots with who is reached now: whoever had one keeps it, the others take what is free."""
    made: Slots = {}
    for service in services:
        places = reached.get(service, ())
        wanted = {f"{each.address}:{each.port}": f"{each.address}:{each.port} {each.weight}" for each in places}
        slots = [wanted.pop(each.partition(" ")[0], "") for each in before.get(service, ())]
        new = list(wanted.values())
        size = max(len(slots), _FEWEST)
        while size < len(new) + sum(map(bool, slots)):
            size *= 2
        slots += [""] * (size - len(slots))
        free = (number for number, each in enumerate(slots) if not each)
        for each in new:
            slots[next(free)] = each
        made[service] = slots
    return made


def services(ways: Ways) -> list[str]:
    """The services that a proxy leads to."""
    tested = {f"{each.service}{TEST}" for each in ways.egress if each.test is not None}
    return sorted({each.service for each in ways.egress} | tested)


def commands(ways: Ways, before: Mapping[str, Sequence[str]], after: Slots) -> list[str]:
    """What to tell a running proxy whose slots were as ``before``; an empty ``before`` tells it everything."""
    found: list[str] = []
    for number, way in enumerate(ways.egress):
        for place, was, wanted in _changed(way.service, before, after):
            found += _place(f"e{number}/s{place}", was, wanted, checked=True)
            found += _place(f"a{number}/s{place}", was, wanted, checked=False)
        if way.test is not None:
            for place, was, wanted in _changed(f"{way.service}{TEST}", before, after):
                found += _place(f"t{number}/s{place}", was, wanted, checked=False)
    return found


def _changed(service: str, before: Mapping[str, Sequence[str]], after: Slots) -> Iterator[tuple[int, str | None, str]]:
    """The slots that are not as they were, and what they were, ``None`` where nobody knows."""
    old = before.get(service, ())
    for place, wanted in enumerate(after[service]):
        was = old[place] if place < len(old) else None
        if was != wanted:
            yield place, was, wanted


def _place(server: str, was: str | None, wanted: str, *, checked: bool) -> Iterator[str]:
    if not wanted:
        yield f"set server {server} state maint"
        return
    place, _, weight = wanted.partition(" ")
    yield f"set server {server} weight {weight}"
    if was is not None and was.partition(" ")[0] == place:
        return  # an outlier stays out
    address, _, port = place.rpartition(":")
    yield f"set server {server} addr {address} port {port}"
    yield f"set server {server} state ready"
    if checked:
        yield f"set server {server} health up"


def render(ways: Ways, slots: Slots, targets: Mapping[str, str] | None = None) -> str:
    """The configuration. ``targets``: the proxy is in a network namespace of its own, and reaches the task's other
    containers at these addresses, as far as they run."""
    sections = [
        (
            "global",
            [
                f"stats socket {DIRECTORY}/{SOCKET} mode 600 level admin",
                "fd-hard-limit 20000",
                "nbthread 1",
                "log stdout format raw local0 notice",
                "hard-stop-after 1h",
            ],
        ),
        ("defaults", ["log global", f"timeout connect {_CONNECT}s", "mode tcp"]),
    ]
    for number, incoming in enumerate(ways.ingress):
        bind = f"bind :{incoming.listener}"
        sections.append((f"frontend ingress-{number}", [bind, *_front(incoming, f"i{number}")]))
        sections.append((f"backend i{number}", list(_ingress(incoming, targets))))
    for number, outgoing in enumerate(ways.egress):
        bind = f"bind {'127.0.0.1' if targets is None else ''}:{outgoing.listener}"
        chosen = [*_tested(outgoing, f"t{number}"), *_bound(outgoing, f"e{number}", f"a{number}")]
        sections.append((f"frontend egress-{number}", [bind, *_front(outgoing, f"e{number}"), *chosen]))
        for backend, checked in (("e", True), ("a", False)):
            lines = list(_egress(outgoing, slots[outgoing.service], checked=checked))
            sections.append((f"backend {backend}{number}", lines))
        if outgoing.test is not None:
            lines = list(_egress(outgoing, slots[f"{outgoing.service}{TEST}"], checked=False))
            sections.append((f"backend t{number}", lines))
    if not ways.ingress and not ways.egress:
        sections.append(("frontend none", ["bind unix@none.sock", f"timeout client {_EVER}"]))
    return "".join(f"{head}\n" + "".join(f"  {line}\n" for line in lines) for head, lines in sections)


def _http(way: Way) -> bool:
    return way.protocol != "tcp"


def _seconds(value: int) -> str:
    return f"{value}s" if value else _EVER


def _front(way: Way, backend: str) -> Iterator[str]:
    yield f"mode {'http' if _http(way) else 'tcp'}"
    yield f"timeout client {_seconds(way.idle)}"
    if _http(way):
        yield f"timeout http-keep-alive {_seconds(way.idle)}"
    yield f"default_backend {backend}"


def _tested(way: Egress, backend: str) -> Iterator[str]:
    """Test traffic goes to whom is tested, while there is somebody."""
    if way.test is not None:
        header = f"req.hdr({way.test.name})"
        marked = f"{header} -m found" if way.test.value is None else f"{header} -m str -- {quoted(way.test.value)}"
        yield f"use_backend {backend} if {{ {marked} }} {{ nbsrv({backend}) gt 0 }}"


def _bound(way: Way, backend: str, everybody: str) -> Iterator[str]:
    """Where more than half of those reached would be kept out, all of them are asked."""
    rule = "http-request" if _http(way) else "tcp-request content"
    yield f"{rule} set-var(txn.reached) nbsrv({everybody})"
    yield f"use_backend {everybody} if {{ nbsrv({backend}),mul(2),sub(txn.reached) lt 0 }}"


def _back(way: Way) -> Iterator[str]:
    yield f"mode {'http' if _http(way) else 'tcp'}"
    answer = min(filter(None, (way.idle, way.per_request)), default=0) if _http(way) else way.idle
    yield f"timeout server {_seconds(answer)}"
    yield f"timeout tunnel {_seconds(way.idle)}"


def _version(way: Way) -> str:
    return " proto h2" if way.protocol in ("http2", "grpc") else ""


def _ingress(way: Ingress, targets: Mapping[str, str] | None) -> Iterator[str]:
    yield from _back(way)
    yield "retries 0"
    address = "127.0.0.1" if targets is None else targets.get(way.container, "")
    yield f"server app {address or '127.0.0.1'}:{way.port}{_version(way)}{'' if address else ' disabled'}"


def target_commands(ways: Ways, targets: Mapping[str, str]) -> list[str]:
    """What to tell a proxy in a namespace of its own of where the task's containers are."""
    found = []
    for number, way in enumerate(ways.ingress):
        if address := targets.get(way.container):
            found.append(f"set server i{number}/app addr {address} port {way.port}")
            found.append(f"set server i{number}/app state ready")
    return found


def _egress(way: Egress, slots: Sequence[str], *, checked: bool) -> Iterator[str]:
    yield from _back(way)
    yield "balance roundrobin"
    yield "option redispatch 1"
    yield f"retries {_RETRIES}"
    if _http(way):
        yield "retry-on conn-failure empty-response"
        yield f"http-request disable-l7-retry if !{{ method {_SAFE} }}"
    if checked:
        layer = "layer7" if _http(way) else "layer4"
        outliers = f"observe {layer} error-limit {_FAILURES} on-error mark-down"
        # Two checks: the first may come at once, the second is so long after it.
        again = f"inter {_EJECTION}s fastinter {_EJECTION}s rise 2 fall 3"
        yield f"default-server check {again} {outliers}{_version(way)}"
    elif _version(way):
        yield f"default-server{_version(way)}"
    for slot, each in enumerate(slots):
        place, _, weight = each.partition(" ")
        yield f"server s{slot} {place} weight {weight}" if each else f"server s{slot} {_EMPTY} disabled"
