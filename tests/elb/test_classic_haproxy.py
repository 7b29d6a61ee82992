"""Classic load balancers' plans as a real HAProxy carries them."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from dryport.elb.dataplane import health, slots
from dryport.elb.dataplane.plan import (
    Forward,
    Health,
    HealthCheck,
    Kind,
    Listener,
    Negotiation,
    NotCarried,
    Target,
    Weighted,
)
from tests.acm.test_api import Made
from tests.elb.carried import ADDRESS, PORT, Web, balancer, carried, configuration, get, group, refused, until

pytestmark = pytest.mark.platform

CHECK = HealthCheck(protocol="TCP", interval=1, timeout=20, healthy=2, unhealthy=2)
TLS = Negotiation(protocols=("TLSv1.2", "TLSv1.1"), ciphers=("ECDHE-ECDSA-AES128-GCM-SHA256",), server_order=False)


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web("a")
    yield made
    made.close()


def listener(protocol: str, port: int = PORT, **more: object) -> Listener:
    to = Forward(groups=(Weighted(group=f"g{port}"),))
    return Listener(arn=f"l{port}", protocol=protocol, port=port, default=to, **more)  # type: ignore[arg-type]


class Echo:
    """A server that answers a connection with what comes first on it; by TLS where it has a certificate."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.server = socket.create_server((ADDRESS, 0))
        self.port: int = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
                client.settimeout(5)
                with self.context.wrap_socket(client, server_side=True) if self.context else client as talking:
                    talking.sendall(talking.recv(4096))
            except (TimeoutError, ssl.SSLError, ConnectionError):
                continue  # a check, which says nothing
            except OSError:
                return

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def said(port: int, word: bytes = b"hello") -> bytes:
    try:
        with socket.create_connection((ADDRESS, port), timeout=5) as client:
            client.sendall(word)
            return client.recv(4096)
    except OSError:
        return b""


def test_the_proxy_protocol_is_version_one(tmp_path: Path) -> None:
    echo = Echo()
    check = replace(CHECK, port=echo.port)
    to = group(f"g{PORT}", Target(address=ADDRESS, port=echo.port), protocol="TCP", health_check=check)
    plan = balancer([listener("TCP")], [replace(to, proxy_protocol=True)], Kind.CLASSIC)
    with carried(plan, tmp_path):
        until(lambda: said(PORT).startswith(b"PROXY TCP4 127.0.0.1 "))
    echo.close()


def test_tls_to_instances_and_from_clients(tmp_path: Path) -> None:
    """SSL at both ends, by a policy of the user's own; one with a hole in its versions is refused."""
    made = Made(domain="shop.test")
    (tmp_path / "c.pem").write_bytes(made.body + made.chain + made.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "c.pem")
    echo = Echo(context)
    check = replace(CHECK, protocol="SSL", port=echo.port)
    to = group(f"g{PORT}", Target(address=ADDRESS, port=echo.port), protocol="SSL", health_check=check)
    plan = balancer([listener("SSL", certificates=("c",), negotiation=TLS)], [to], Kind.CLASSIC)
    text, _ = configuration(plan)
    assert refused(text, tmp_path, plan) == "" and "prefer-client-ciphers" in text
    holed = replace(TLS, protocols=("TLSv1.2", "TLSv1"))
    with pytest.raises(NotCarried, match=r"without TLSv1\.1"):
        configuration(balancer([listener("SSL", certificates=("c",), negotiation=holed)], [to], Kind.CLASSIC))
    trusting = ssl.create_default_context(cadata=made.chain.decode())
    with carried(plan, tmp_path):

        def answered() -> bool:
            try:
                with trusting.wrap_socket(
                    socket.create_connection((ADDRESS, PORT), timeout=5), server_hostname="shop.test"
                ) as client:
                    client.sendall(b"hello")
                    return client.recv(4096) == b"hello" and client.version() == "TLSv1.2"
            except OSError:
                return False

        until(answered)
    echo.close()


def test_what_is_new_is_as_well_as_it_was_known_to_be(tmp_path: Path, web: Web) -> None:
    """An instance that is in service stays so when a listener comes, whose backend has checked nothing yet."""
    check = HealthCheck(path="/health", port=web.target.port, interval=60, timeout=20, healthy=2, unhealthy=2)
    groups = [group(f"g{port}", web.target, health_check=check) for port in (PORT, PORT + 1)]
    before = {ADDRESS: Health(state="healthy")}
    first = balancer([listener("HTTP")], groups[:1], Kind.CLASSIC)
    both = balancer([listener("HTTP"), listener("HTTP", PORT + 1)], groups, Kind.CLASSIC)
    with carried(first, tmp_path) as running:
        running.change(both)
        present = slots.read(running.tell("show servers state"))
        _, wanted = configuration(both)
        for name, places in wanted.items():
            for command in slots.commands(name, present[name], places):
                running.tell(command)
        present = slots.read(running.tell("show servers state"))
        stat = running.tell("show stat")
        assert health.together(stat, present, before).get(ADDRESS, before[ADDRESS]).state == "healthy"
        for command in health.adoptions(stat, present, before):
            running.tell(command)
        until(lambda: get(PORT + 1, "/").status == 200)
        assert get(PORT, "/").status == 200


def test_an_instance_is_as_well_as_the_worst_of_its_listeners() -> None:
    columns = "# pxname,svname,status,check_status,check_code\n"
    head = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_port\n"
    state = head + "1 a 1 s1 10.0.0.1 2 0 80\n2 b 1 s1 10.0.0.1 0 0 81\n"
    known = {"10.0.0.1": Health(state="healthy")}
    for found, wanted in (("UP,L4OK,", "healthy"), ("DOWN,L4CON,", "unhealthy")):
        stat = columns + f"a,s1,UP,L4OK,\nb,s1,{found}\n"
        assert health.together(stat, slots.read(state), known)["10.0.0.1"].state == wanted
