"""HAProxy's records as lines of AWS's access logs. Pure.

Sources: "Access log entries", user guides for application and for network load balancers; "Access logs for your Classic
Load Balancer".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import unquote

from dryport.elb.dataplane import haproxy
from dryport.elb.dataplane.plan import Balancer, FixedResponse, Forward, Kind, Redirect
from dryport.elb.dataplane.records import FIELDS

_NONE = "-"
_PORTS = {"http": 80, "https": 443}


class Record(NamedTuple):
    """A record, by the names of its fields, and which address of the balancer's was asked."""

    fields: dict[str, str]

    @property
    def node(self) -> str:
        """The balancer's address that was asked."""
        return self.fields["node"]

    def number(self, name: str) -> int:
        """A field that is a number; -1 where there is none."""
        text = self.fields[name]
        return int(text) if text.lstrip("+-").isdigit() else -1

    def text(self, name: str) -> str:
        """A field that a client or a target wrote, made fit for quotes; "-" where there is none."""
        return _fit(unquote(self.fields[name], errors="replace"))

    def line(self, name: str) -> str:
        """A field of the request's first line, made fit for quotes."""
        return _fit(self.fields[name])


def _fit(text: str) -> str:
    return "".join(each if each >= " " and each not in '"\\\x7f' else f"\\x{ord(each):02x}" for each in text)


def read(content: bytes) -> Iterator[Record]:
    """The records in what HAProxy wrote. What is none (a cut line, one of an older form) is left out."""
    for line in content.decode(errors="replace").splitlines():
        values = line.split("\t")
        if len(values) == len(FIELDS):
            yield Record(dict(zip(FIELDS, values, strict=True)))


def entries(balancer: Balancer, name: str, records: Iterable[Record]) -> dict[str, list[str]]:
    """AWS's lines by the balancer's address; a network load balancer's have one file, "". ``name`` is what the lines
    call it: its resource id, a classic one's name."""
    kinds: dict[Kind, Callable[[Balancer, str, Record], str]] = {
        Kind.APPLICATION: _application,
        Kind.NETWORK: _network,
        Kind.CLASSIC: _classic,
    }
    found: dict[str, list[str]] = {}
    for record in records:
        node = "" if balancer.kind is Kind.NETWORK else record.node
        found.setdefault(node, []).append(kinds[balancer.kind](balancer, name, record))
    return found


def _time(microseconds: int) -> str:
    made = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    return f"{made:%Y-%m-%dT%H:%M:%S}.{microseconds % 1_000_000:06d}Z"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}" if milliseconds >= 0 else "-1"


def _target(record: Record) -> str:
    address, port = record.fields["address"], record.fields["port"]
    return f"{address}:{port}" if address not in (_NONE, "", "<NOSRV>") and port not in (_NONE, "0") else _NONE


def _times(record: Record) -> str:
    """The processing times of request, target and response, -1 where no target was reached."""
    if record.number("connecting") < 0:
        return "-1 -1 -1"
    before = max(0, record.number("waiting")) + record.number("connecting")
    return " ".join(_seconds(each) for each in (before, record.number("serving"), record.number("sending")))


def _status(record: Record) -> str:
    status = record.fields["status"]
    return status if record.number("status") > 0 else _NONE


def _request(record: Record, scheme: str) -> str:
    method, path = record.line("method"), record.line("uri")
    if method in (_NONE, "<BADREQ>") or path in (_NONE, "<BADREQ>"):
        return f'"- {scheme}://-:{record.fields["listener"]}- - "'
    host = record.text("host")
    if ":" not in host:
        host = f"{host}:{record.fields['listener']}"
    target = path if "://" in path else f"{scheme}://{host}{path}"
    return f'"{method} {target} {record.line("version")}"'


def _secure(record: Record) -> tuple[str, str]:
    return record.fields["cipher"], record.fields["protocol"]


def _classic(balancer: Balancer, name: str, record: Record) -> str:
    end = record.number("time")
    created = end - max(0, record.number("active")) * 1000
    listener = next((each for each in balancer.listeners if str(each.port) == record.fields["listener"]), None)
    http = listener is not None and listener.protocol in ("HTTP", "HTTPS")
    scheme = listener.protocol.lower() if listener is not None else "http"
    cipher, protocol = _secure(record)
    words = [
        _time(created),
        name,
        f"{record.fields['client']}:{record.fields['client_port']}",
        _target(record),
        _times(record),
        *((_status(record), record.fields["answered"]) if http else (_NONE, _NONE)),
        record.fields["received"],
        record.fields["sent"],
        _request(record, scheme) if http else '"- - - "',
        f'"{record.text("agent")}"',
        cipher,
        protocol,
    ]
    return " ".join(words)


def _network(balancer: Balancer, name: str, record: Record) -> str:
    """A TLS connection of a network load balancer's, once it has ended."""
    end = record.number("time")
    listener = next((each for each in balancer.listeners if str(each.port) == record.fields["listener"]), None)
    lasted, handshake = max(0, record.number("active")), max(0, record.number("handshake"))
    words = [
        "tls",
        "2.0",
        _second(end),
        name,
        listener.arn.rpartition("/")[2] if listener is not None else _NONE,
        f"{record.fields['client']}:{record.fields['client_port']}",
        f"{record.node}:{record.fields['listener']}",
        str(lasted),
        str(handshake),
        record.fields["received"],
        record.fields["sent"],
        _NONE,  # the alert of TLS that came in, which HAProxy does not tell
        (listener.certificate_arn if listener is not None else "") or _NONE,
        _NONE,
        record.fields["cipher"],
        record.fields["protocol"].lower().replace(".", ""),
        _NONE,
        record.text("sni"),
        record.fields["alpn"] or _NONE,
        _NONE,
        _NONE,
        _second(end - lasted * 1000),
    ]
    return " ".join(words)


def _second(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds // 1_000_000, UTC):%Y-%m-%dT%H:%M:%S}"


def _application(balancer: Balancer, name: str, record: Record) -> str:
    end = record.number("time")
    created = end - max(0, record.number("active")) * 1000
    secure = record.fields["protocol"] != _NONE
    scheme = "https" if secure else "http"
    kind = "h2" if secure and record.fields["version"].startswith("HTTP/2") else scheme
    listener = next((each for each in balancer.listeners if str(each.port) == record.fields["listener"]), None)
    rules = sorted(listener.rules, key=lambda rule: rule.priority) if listener is not None else []
    place = max(0, record.number("rule"))
    rule = rules[place - 1] if 0 < place <= len(rules) else None
    action = rule.action if rule is not None else listener.default if listener is not None else None
    groups = {backend: arn for arn, backend in haproxy.backends(balancer).items()}
    backend = record.fields["backend"]
    group = groups.get(backend) or groups.get(f"g{backend[1:]}") or _NONE
    target, answered = _target(record), record.fields["answered"]
    done = {Forward: "forward", Redirect: "redirect", FixedResponse: "fixed-response"}
    certificate = listener.certificate_arn if listener is not None and secure else ""
    words = [
        kind,
        _time(end),
        name,
        f"{record.fields['client']}:{record.fields['client_port']}",
        target,
        _times(record),
        _status(record),
        answered,
        record.fields["received"],
        record.fields["sent"],
        _request(record, scheme),
        f'"{record.text("agent")}"',
        *_secure(record),
        group if isinstance(action, Forward) else _NONE,
        f'"{record.text("trace")}"',
        f'"{record.text("sni")}"',
        f'"{certificate or _NONE}"',
        str(rule.priority) if rule is not None else "0",
        _time(created),
        f'"{done[type(action)] if action is not None else _NONE}"',
        f'"{record.text("location") if isinstance(action, Redirect) else _NONE}"',
        '"-"',  # error_reason: of Lambda functions and authentication
        f'"{target}"',
        f'"{answered}"',
        '"-"',
        '"-"',
        _connection(record),
    ]
    return " ".join(words)


def _connection(record: Record) -> str:
    """What lines of one connection have in common."""
    parts = [record.fields[each] for each in ("client", "client_port", "node", "listener", "accepted")]
    return f"TID_{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:32]}"
