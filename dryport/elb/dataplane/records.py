"""One line of HAProxy's a request, for access logs: what it is made of, and how HAProxy is told. Pure.

Fields are separated by tabs. What clients and targets write is percent-encoded, as HAProxy would leave a tab as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

_ALWAYS = {
    "time": "%[date(0,us)]",
    "accepted": "%Ts.%ms",
    "client": "%ci",
    "client_port": "%cp",
    "node": "%fi",
    "listener": "%fp",
    "address": "%si",
    "port": "%sp",
    "waiting": "%Tw",
    "connecting": "%Tc",
    "sent": "%B",
    "received": "%U",
    "backend": "%b",
    "cipher": "%sslc",
    "protocol": "%sslv",
    "sni": "%[ssl_fc_sni,url_enc]",
    "alpn": "%[ssl_fc_alpn]",
    "handshake": "%Th",
}
_HTTP = {
    "serving": "%Tr",
    "sending": "%Td",
    "active": "%Ta",
    "status": "%ST",
    "answered": "%[var(txn.log_answered)]",
    "method": "%HM",
    "uri": "%HU",
    "version": "%HV",
    "rule": "%[var(txn.rule)]",
    "agent": "%[var(txn.log_agent)]",
    "host": "%[var(txn.log_host)]",
    "location": "%[var(txn.log_location)]",
    "trace": "%[var(txn.log_trace)]",
}
# How long a connection took is its target's time there.
_TCP = {**dict.fromkeys(_HTTP, "-"), "serving": "0", "sending": "0", "active": "%Tt"}
FIELDS = (*_ALWAYS, *_HTTP)
TARGET = "log stdout len 32768 format raw local0"  # a line of ``global``


def of_http() -> Iterator[str]:
    """The lines of a frontend that speaks HTTP, behind all that changes headers."""
    yield "log global"
    yield "option dontlognull"
    for name, header in (("agent", "user-agent"), ("host", "host")):
        yield f"http-request set-var(txn.log_{name}) req.fhdr({header}),url_enc"
    yield "http-response set-var(txn.log_answered) status"
    yield "http-after-response set-var(txn.log_location) res.fhdr(location),url_enc"
    yield f"log-format {_format({**_ALWAYS, **_HTTP})}"


TRACE = "http-request set-var(txn.log_trace) req.fhdr(x-amzn-trace-id),url_enc"  # once it is there


def of_tcp() -> Iterator[str]:
    """The lines of a frontend that passes bytes on."""
    yield "log global"
    yield "option dontlognull"
    yield f"log-format {_format({**_ALWAYS, **_TCP})}"


def _format(fields: dict[str, str]) -> str:
    return '"' + "\\t".join(fields[name] for name in FIELDS) + '"'
