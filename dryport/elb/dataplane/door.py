"""The balancers' names on this machine: one HAProxy on loopback that passes connections on. Pure.

Every name under ``.localhost`` is 127.0.0.1, so that balancers which listen at the same port are told apart by the name
that a client says: in HTTP's ``Host``, in TLS's SNI. What says none of them gets the oldest. It goes to the balancers'
public addresses, where their security groups decide, as for anybody outside of their VPCs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

_NAMED_BY = {"HTTP": "req.hdr(host),host_only,lower", "HTTPS": "req.ssl_sni,lower", "TLS": "req.ssl_sni,lower"}
_LONGEST = "1d"  # the balancers' own timeouts are shorter
_NAMING = "5s"  # for a client to say a name


class Entry(NamedTuple):
    """A listener of a balancer's: its name, and the public addresses of its zones."""

    name: str
    protocol: str
    port: int
    addresses: Sequence[str]


def render(entries: Sequence[Entry]) -> str:
    """The configuration for listeners, the oldest balancer's first."""
    sections = [("global", _global()), ("defaults", _defaults())]
    for port in ports(entries):
        here = [(place, each) for place, each in enumerate(entries) if each.port == port]
        sections.append((f"frontend p-{port}", list(_frontend(port, here))))
    for place, each in enumerate(entries):
        servers = [f"server s{number} {address}:{each.port}" for number, address in enumerate(each.addresses, 1)]
        sections.append((f"backend e-{place}", servers))
    return "".join(f"{head}\n" + "".join(f"  {line}\n" for line in lines) for head, lines in sections)


def ports(entries: Sequence[Entry]) -> list[int]:
    """The ports that it listens at."""
    return sorted({each.port for each in entries})


def _global() -> list[str]:
    return [
        "user haproxy",
        "group haproxy",
        "hard-stop-after 1h",
        "fd-hard-limit 100000",
    ]


def _defaults() -> list[str]:
    waits = [f"timeout {side} {_LONGEST}" for side in ("client", "server", "tunnel")]
    return ["mode tcp", "timeout connect 10s", *waits, "option redispatch 1", "retries 3"]


def _frontend(port: int, here: Sequence[tuple[int, Entry]]) -> Iterator[str]:
    yield f"bind 127.0.0.1:{port}"
    named = [(place, each) for place, each in here if each.protocol in _NAMED_BY]
    if len(here) > 1 and named:
        yield f"tcp-request inspect-delay {_NAMING}"
        yield "tcp-request content accept if HTTP"
        yield "tcp-request content accept if { req.ssl_hello_type 1 }"
        for place, each in named:
            yield f"use_backend e-{place} if {{ {_NAMED_BY[each.protocol]} -m str {each.name.lower()} }}"
    unnamed = next((place for place, each in here if each.protocol not in _NAMED_BY), here[0][0])
    yield f"default_backend e-{unnamed}"
