"""The most that load balancers may have is more than a line of HAProxy's configuration has room for."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dryport.elb.dataplane.plan import (
    Condition,
    FixedResponse,
    Forward,
    HostHeader,
    HttpHeader,
    Listener,
    Parameter,
    PathPattern,
    QueryString,
    Rule,
    Weighted,
)
from tests.elb.carried import ADDRESS, PORT, balancer, carried, get, group

pytestmark = pytest.mark.platform

CERTIFICATES = 26  # the default one, and 25 more ("Quotas for your Application Load Balancers")
NEWEST = "ELBSecurityPolicy-TLS13-1-0-2021-06"  # of the longest lists of ciphers
LONGEST = 128
FOUND = FixedResponse(status=200, body="found")


def _make(directory: Path, name: str) -> None:
    """A certificate of a host of its own: chain and key in one file, as HAProxy has it."""
    made, chain = directory / f"{name}.pem", directory / f"{name}.chain"
    ask = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", f"/CN={name}.example.com", "-days", "2"]
    subprocess.run([*ask, *names, "-keyout", str(made), "-out", str(chain)], check=True, capture_output=True)
    made.write_text(made.read_text() + chain.read_text())


def _answering(host: str | None) -> str:
    """The first name of the certificate that is shown to who asks for a host."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((ADDRESS, PORT)) as line, context.wrap_socket(line, server_hostname=host) as secure:
        shown = secure.getpeercert(binary_form=True)
    assert shown is not None
    text = ["openssl", "x509", "-inform", "der", "-noout", "-subject", "-nameopt", "multiline"]
    done = subprocess.run(text, input=shown, capture_output=True, check=True)
    return done.stdout.decode().rpartition("= ")[2].strip()


def test_as_many_certificates_as_a_listener_may_have(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(CERTIFICATES)]
    for name in names:
        _make(tmp_path, name)

    def wanted(*shown: str) -> Listener:
        return Listener(arn="l", protocol="HTTPS", port=PORT, default=FOUND, certificates=shown, ssl_policy=NEWEST)

    with carried(balancer([wanted(*names)], []), tmp_path) as running:
        assert [_answering(f"{name}.example.com") for name in names] == [f"{name}.example.com" for name in names]
        assert _answering("elsewhere.org") == _answering(None) == "c0.example.com"
        running.change(balancer([wanted("c7", "c3")], []))
        assert _answering("c3.example.com") == "c3.example.com"
        assert _answering("c4.example.com") == "c7.example.com"


def _long(text: str) -> str:
    return (text * LONGEST)[:LONGEST]


HOSTS = tuple(f"{number}." + _long("a-b.") for number in range(5))
PATHS = tuple(f"/{number}" + _long("$+()'&@~\"|%")[2:] for number in range(4))
ALIKE = ("/*/" + _long("+")[4:] + "?",)
VALUES = tuple(f"{number}" + _long("'\"# $%[]{}\\\\")[1:-2] for number in range(5))
PAIRS = tuple(Parameter(key=f"{number}" + _long("k.")[1:], value=_long("v+")) for number in range(5))


def _asked(condition: Condition) -> Iterator[tuple[str, dict[str, str]]]:
    """Paths and headers of requests that meet a condition, for each of its values one."""
    match condition:
        case HostHeader(values=values):
            yield from (("/", {"Host": value}) for value in values)
        case PathPattern(values=values):
            yield from ((value.replace("*", "some/where").replace("?", "x"), {}) for value in values)
        case HttpHeader(name=name, values=values):
            yield from (("/", {name: value}) for value in values)
        case QueryString(values=pairs):
            yield from ((f"/?{each.key}={each.value}", {}) for each in pairs)


@pytest.mark.parametrize(
    "condition",
    [
        HostHeader(values=tuple(each[:LONGEST] for each in HOSTS)),
        PathPattern(values=PATHS + ALIKE),
        HttpHeader(name=_long("X-")[:40], values=VALUES),
        QueryString(values=PAIRS),
    ],
    ids=lambda each: type(each).__name__,
)
def test_as_many_and_as_long_values_as_a_rule_may_have(tmp_path: Path, condition: Condition) -> None:
    front = Listener(
        arn="l",
        protocol="HTTP",
        port=PORT,
        default=FixedResponse(status=404),
        rules=(Rule(priority=1, conditions=(condition,), action=FOUND),),
    )
    with carried(balancer([front], []), tmp_path):
        for path, headers in _asked(condition):
            assert get(PORT, path, headers).status == 200, (path, headers)
        assert get(PORT, "/nowhere").status == 404


def test_as_many_target_groups_as_an_action_may_have(tmp_path: Path) -> None:
    groups = [group(f"g{number}") for number in range(5)]
    shared = Forward(groups=tuple(Weighted(group=each.arn, weight=1) for each in groups))
    front = Listener(arn="l", protocol="HTTP", port=PORT, default=shared)
    with carried(balancer([front], groups), tmp_path):
        assert get(PORT, "/").status == 503  # there are no targets
