"""What attributes ask for, as a real HAProxy does it."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from dryport.elb import ssl_policies
from dryport.elb.dataplane.plan import (
    FixedResponse,
    HealthCheck,
    Interface,
    Kind,
    Listener,
    NotCarried,
    Stickiness,
    Target,
)
from tests.elb.carried import ADDRESS, PORT, Web, balancer, carried, configuration, get, group, refused, until
from tests.elb.test_haproxy import TO_A, TO_B, certificate, listener

pytestmark = pytest.mark.platform
change = msgspec.structs.replace


@pytest.fixture
def webs() -> Iterator[tuple[Web, Web]]:
    made = Web("a"), Web("b")
    yield made
    for web in made:
        web.close()


def test_headers_of_requests_and_answers(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    answers = (("X-Frame-Options", "DENY"), ("Content-Security-Policy", "default-src 'self'; \"%[src]\" 50%"))
    front = change(listener(TO_A), response_headers=answers, server_header=False)
    own = change(listener(FixedResponse(status=200), port=PORT + 1), response_headers=answers, server_header=False)
    plan = change(balancer([front, own], [group("a", webs[0].target)]), drop_invalid_headers=True)
    with carried(plan, tmp_path):
        served = get(PORT, "/", {"X_Bad": "1", "X.Bad": "2", "X-Good-1": "3"})
        assert "x-good-1: 3\n" in served.body and "bad" not in served.body
        for got in (served, get(PORT + 1, "/")):
            assert [got.headers[name.lower()] for name, _ in answers] == [value for _, value in answers]
            assert "server" not in got.headers
    with carried(change(plan, drop_invalid_headers=False), tmp_path):
        assert "x_bad: 1\n" in get(PORT, "/", {"X_Bad": "1"}).body


def test_a_cookie_of_the_application_ties(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    kept = Stickiness(type="app_cookie", duration=60, cookie="session")
    made = group("a", webs[0].target, webs[1].target, stickiness=kept)
    with carried(balancer([listener(TO_A)], [made]), tmp_path):
        assert {get(PORT, "/").body[0] for _ in range(4)} == {"a", "b"}
        assert "set-cookie" not in get(PORT, "/").headers
        connection = http.client.HTTPConnection(ADDRESS, PORT)
        connection.request("GET", "/login")
        answer = connection.getresponse()
        who = answer.read().decode()[0]
        given = answer.headers.get_all("Set-Cookie", [])
        connection.close()
        ours = next(line for line in given if line.startswith("AWSALBAPP-0="))
        assert re.fullmatch(r"AWSALBAPP-0=[^;]+; Max-Age=60; Path=/", ours)
        tied = ours.partition(";")[0]
        assert {get(PORT, "/", {"Cookie": f"session=1; {tied}"}).body[0] for _ in range(10)} == {who}
        # Without the application's own cookie ours says nothing.
        assert {get(PORT, "/", {"Cookie": tied}).body[0] for _ in range(10)} == {"a", "b"}


def _spoken(directory: Path, oldest: ssl.TLSVersion, newest: ssl.TLSVersion) -> str | None:
    """The version that is spoken with a client of these, ``None`` where there is none in common."""
    context = ssl.create_default_context(cafile=str(directory / "chain"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = oldest, newest
    try:
        with (
            socket.create_connection((ADDRESS, PORT)) as line,
            context.wrap_socket(line, server_hostname="x.org") as secure,
        ):
            return secure.version()
    except (ssl.SSLError, ConnectionResetError):
        return None


@pytest.mark.parametrize(
    ("policy", "spoken"),
    [
        ("ELBSecurityPolicy-2016-08", ["TLSv1", "TLSv1.1", "TLSv1.2", None]),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", [None, None, "TLSv1.2", "TLSv1.3"]),
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", [None, None, None, "TLSv1.3"]),
    ],
)
def test_versions_of_security_policies(tmp_path: Path, policy: str, spoken: list[str | None]) -> None:
    certificate(tmp_path)
    front = Listener(
        arn="l",
        protocol="HTTPS",
        port=PORT,
        default=FixedResponse(status=200),
        certificates=("c",),
        ssl_policy=policy,
    )
    versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    with carried(balancer([front], []), tmp_path):
        assert [_spoken(tmp_path, each, each) for each in versions] == spoken


def test_every_security_policy_is_loaded(tmp_path: Path) -> None:
    certificate(tmp_path)
    fronts = [
        Listener(arn="l", protocol="HTTPS", port=port, default=TO_A, certificates=("c",), ssl_policy=name)
        for port, name in enumerate(ssl_policies.POLICIES, PORT)
    ]
    plan = balancer(fronts, [group("a")])
    text, _ = configuration(plan)
    assert refused(text, tmp_path, plan) == ""


def test_targets_are_told_how_the_client_came(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    certificate(tmp_path)
    policy = "ELBSecurityPolicy-TLS13-1-2-2021-06"
    front = Listener(arn="l", protocol="HTTPS", port=PORT, default=TO_A, certificates=("c",), ssl_policy=policy)
    plan = change(balancer([front], [group("a", webs[0].target)]), tls_headers=True)
    with carried(plan, tmp_path):
        context = ssl.create_default_context(cafile=str(tmp_path / "chain"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        connection = http.client.HTTPSConnection("x.org", PORT, context=context)
        connection._create_connection = lambda *_: socket.create_connection((ADDRESS, PORT))  # type: ignore[attr-defined]
        connection.request("GET", "/", headers={"X-Amzn-Tls-Version": "mine"})
        body = connection.getresponse().read().decode()
        connection.close()
    assert "x-amzn-tls-version: TLSv1.2\n" in body and "mine" not in body
    assert "x-amzn-tls-cipher-suite: ECDHE-RSA-AES128-GCM-SHA256\n" in body


def test_connections_end_when_they_idle(tmp_path: Path) -> None:
    with socket.create_server((ADDRESS, 0)) as server:
        target = Target(address=ADDRESS, port=server.getsockname()[1])
        check = HealthCheck(protocol="TCP", interval=30)
        made = [group(name, target, protocol="TCP", health_check=check) for name in "ab"]
        fronts = [
            Listener(arn="l", protocol="TCP", port=port, default=to, idle_timeout=idle)
            for port, to, idle in ((PORT, TO_A, 1), (PORT + 1, TO_B, 600))
        ]
        with pytest.raises(NotCarried, match="different idle timeouts"):
            configuration(balancer([*fronts, change(fronts[0], port=1, idle_timeout=2)], made, Kind.NETWORK))
        with (
            carried(balancer(fronts, made, Kind.NETWORK), tmp_path),
            socket.create_connection((ADDRESS, PORT)) as short,
            socket.create_connection((ADDRESS, PORT + 1)) as long,
        ):
            short.settimeout(30)
            assert short.recv(1) == b""
            long.setblocking(False)
            with pytest.raises(BlockingIOError):
                long.recv(1)


def test_zones_keep_to_their_targets(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    check = HealthCheck(protocol="HTTP", path="/health", interval=1, timeout=20, unhealthy=2, codes="200")
    found = [change(web.target, zone=zone) for web, zone in zip(webs, "ab", strict=True)]
    made = group("a", *found, protocol="TCP", health_check=check, cross_zone=False)
    front = Listener(arn="l", protocol="TCP", port=PORT, default=TO_A)
    other = f"{ADDRESS.rpartition('.')[0]}.{(int(ADDRESS.rpartition('.')[2]) + 1) % 256}"
    interfaces = (Interface(zone="a", address=ADDRESS), Interface(zone="b", address=other))
    plan = change(balancer([front], [made], Kind.NETWORK), interfaces=interfaces)

    def asked(address: str) -> set[str]:
        found = set()
        for _ in range(6):
            connection = http.client.HTTPConnection(address, PORT, timeout=20)
            connection.request("GET", "/")
            found.add(connection.getresponse().read().decode()[0])
            connection.close()
        return found

    with carried(plan, tmp_path) as running:
        assert (asked(ADDRESS), asked(other)) == ({"a"}, {"b"})
        webs[0].status = 500
        until(
            lambda: running.tell("show stat").count(",DOWN,") == 3
        )  # the zone's backend, the server in it and in that of all
        assert (asked(ADDRESS), asked(other)) == ({"b"}, {"b"})
    with carried(change(plan, groups=(change(made, cross_zone=True),)), tmp_path):
        webs[0].status = 200
        assert (asked(ADDRESS), asked(other)) == ({"a", "b"}, {"a", "b"})


def test_tls_to_targets(tmp_path: Path) -> None:
    certificate(tmp_path)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(tmp_path / "c.pem")
    with socket.create_server((ADDRESS, 0)) as server:
        target = Target(address=ADDRESS, port=server.getsockname()[1])
        check = HealthCheck(protocol="TCP", interval=300, timeout=20)
        made = group("a", target, protocol="TLS", health_check=check)
        front = Listener(arn="l", protocol="TLS", port=PORT, default=TO_A, certificates=("c",))
        heard: list[bytes] = []

        def serve() -> None:
            while not heard:
                line, _ = server.accept()
                with suppress(OSError), line, ours.wrap_socket(line, server_side=True) as secure:  # checks say nothing
                    heard.append(secure.recv(100))
                    secure.sendall(b"world")

        with carried(balancer([front], [made], Kind.NETWORK), tmp_path):
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            context = ssl.create_default_context(cafile=str(tmp_path / "chain"))
            with (
                socket.create_connection((ADDRESS, PORT), 20) as line,
                context.wrap_socket(line, server_hostname="x.org") as secure,
            ):
                secure.sendall(b"hello")
                assert secure.recv(100) == b"world"
            thread.join(20)
    assert heard == [b"hello"]
