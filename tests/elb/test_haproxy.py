"""Plans as a real HAProxy carries them."""

from __future__ import annotations

import http.client
import itertools
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck as Slow
from hypothesis import given, settings
from hypothesis import strategies as st

from dryport.elb.dataplane import haproxy, health
from dryport.elb.dataplane.plan import (
    Action,
    Balancer,
    Condition,
    FixedResponse,
    Forward,
    Health,
    HealthCheck,
    HostHeader,
    HttpHeader,
    Kind,
    Listener,
    Method,
    NotCarried,
    Parameter,
    PathPattern,
    QueryString,
    Redirect,
    Rule,
    SourceIp,
    Stickiness,
    Target,
    Weighted,
)
from dryport.elb.dataplane.slots import Slots, assign, commands
from tests.elb.carried import ADDRESS, NOBODY, PORT, Web, balancer, carried, configuration, get, group, refused, until

pytestmark = pytest.mark.platform

TO_A, TO_B = (Forward(groups=(Weighted(group=name),)) for name in "ab")
NOT_HERE = FixedResponse(status=404, body="not here\n'\"%[src]${HOME}#")


@pytest.fixture
def webs() -> Iterator[tuple[Web, Web]]:
    made = Web("a"), Web("b")
    yield made
    for web in made:
        web.close()


def listener(default: Action, *rules: tuple[tuple[Condition, ...], Action], port: int = PORT) -> Listener:
    made = tuple(Rule(priority=place, conditions=each, action=action) for place, (each, action) in enumerate(rules, 1))
    return Listener(arn="l", protocol="HTTP", port=port, default=default, rules=made)


def test_rules(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    found = FixedResponse(status=200, body="found")
    front = listener(
        NOT_HERE,
        ((HostHeader(values=("*.Example.com",)),), TO_A),
        ((PathPattern(values=("/img/?.png", "/b/*")), Method(values=("GET",))), TO_B),
        ((HttpHeader(name="X-Who", values=("*me*",)),), found),
        ((QueryString(values=(Parameter(key="v", value="1*"), Parameter(value="a\\*b"))),), found),
        ((SourceIp(values=("127.0.0.0/8",)), PathPattern(values=("/here",))), found),
        ((SourceIp(values=("10.0.0.0/8",)), PathPattern(values=("/there",))), found),
    )
    groups = [group("a", webs[0].target), group("b", webs[1].target)]
    with carried(balancer([front], groups), tmp_path):
        asked = [
            ("/", {"Host": "www.example.com:99"}, "a /"),
            ("/", {"Host": "example.com"}, "not"),
            ("/img/1.png", {}, "b /img/1.png"),
            ("/img/12.png", {}, "not"),
            ("/IMG/1.png", {}, "not"),
            ("/b/x?y=1", {}, "b /b/x?y=1"),
            ("/", {"x-who": "it is ME"}, "found"),
            ("/?u=2&V=12", {}, "found"),
            ("/?v=21", {}, "not"),
            ("/?x=a*b", {}, "found"),
            ("/?x=aab", {}, "not"),
            ("/here", {}, "found"),
            ("/there", {}, "not"),
        ]
        answers = [(path, headers, get(front.port, path, headers).body) for path, headers, _ in asked]
        assert [body.startswith(want) for (_, _, want), (_, _, body) in zip(asked, answers, strict=True)] == [
            True for _ in asked
        ], answers
        missed = get(front.port, "/b/x", method="HEAD")
        assert missed.status == 404 and missed.headers["server"] == "awselb/2.0"
        assert get(front.port, "/").body == NOT_HERE.body


def test_redirects(tmp_path: Path) -> None:
    front = listener(
        Redirect(permanent=True, protocol="HTTPS", port="443"),
        (
            (PathPattern(values=("/old/*",)),),
            Redirect(permanent=False, host="new.#{host}", path="/n/#{path}", query="#{query}&p=100%"),
        ),
        ((PathPattern(values=("/bare",)),), Redirect(permanent=False, path="/", query="")),
    )
    with carried(balancer([front], []), tmp_path):
        host = {"Host": "x.org"}
        moved = get(front.port, "/a/b?c=d", host)
        assert (moved.status, moved.headers["location"]) == (301, "https://x.org:443/a/b?c=d")
        assert "<h1>301 Moved Permanently</h1>" in moved.body and moved.headers["server"] == "awselb/2.0"
        assert get(front.port, "/a", host).headers["location"] == "https://x.org:443/a"
        old = get(front.port, "/old/1?q=2", host)
        assert (old.status, old.headers["location"]) == (
            302,
            f"http://new.x.org:{front.port}/n/old/1?q=2&p=100%",
        )
        assert get(front.port, "/bare?x", host).headers["location"] == f"http://x.org:{front.port}/"


def test_headers(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    front = listener(TO_A)
    with carried(balancer([front], [group("a", webs[0].target)]), tmp_path):
        plain = get(front.port, "/", {"Host": "x.org"}).body
        assert "x-forwarded-for: 127.0.0.1\n" in plain and "x-forwarded-proto: http\n" in plain
        assert f"x-forwarded-port: {front.port}\n" in plain and f"host: x.org:{front.port}\n" in plain
        assert re.search(r"x-amzn-trace-id: Root=1-[0-9a-f]{8}-[0-9a-f]{24}\n", plain)
        traced = get(front.port, "/", {"X-Forwarded-For": "1.2.3.4", "X-Amzn-Trace-Id": "Root=1-a-b"}).body
        assert "x-forwarded-for: 1.2.3.4, 127.0.0.1\n" in traced
        assert re.search(r"x-amzn-trace-id: Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-a-b\n", traced)


def test_weights_and_ties(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    only_b = Forward(groups=(Weighted(group="a", weight=0), Weighted(group="b", weight=5)))
    both = Forward(groups=(Weighted(group="a"), Weighted(group="b")), stickiness=60)
    none = Forward(groups=(Weighted(group="a", weight=0),))
    front = listener(only_b, ((PathPattern(values=("/both",)),), both), ((PathPattern(values=("/none",)),), none))
    kept = Stickiness(type="lb_cookie", duration=60)
    groups = [group("a", webs[0].target, stickiness=kept), group("b", webs[1].target, stickiness=kept)]
    with carried(balancer([front], groups), tmp_path):
        assert {get(front.port, "/").body[0] for _ in range(20)} == {"b"}
        assert get(front.port, "/none").status == 503
        assert {get(front.port, "/both").body[0] for _ in range(60)} == {"a", "b"}  # else a chance of 2^-59
        connection = http.client.HTTPConnection(ADDRESS, front.port)
        connection.request("GET", "/both")
        answer = connection.getresponse()
        who = answer.read().decode()[0]
        cookies = "; ".join(line.partition(";")[0] for line in answer.headers.get_all("Set-Cookie", []))
        connection.close()
        assert "AWSALBTG=" in cookies and "AWSALB=" in cookies
        assert {get(front.port, "/both", {"Cookie": cookies}).body[0] for _ in range(30)} == {who}


def test_health(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    front = listener(TO_A)
    plan = balancer([front], [group("a", webs[0].target, webs[1].target, NOBODY)])
    with carried(plan, tmp_path) as running:
        name = haproxy.backends(plan)["a"]
        before: dict[str, dict[str, Health]] = {}

        def is_so(*want: tuple[str, str]) -> bool:
            nonlocal before
            before = health.report(running.tell("show stat"), running.slots, before)
            found = [before[name][target.key] for target in (webs[0].target, webs[1].target, NOBODY)]
            return [(each.state, each.reason) for each in found] == list(want)

        well, refused_it = ("healthy", ""), ("unhealthy", "Target.FailedHealthChecks")
        until(lambda: is_so(well, well, refused_it))
        webs[1].status = 500
        until(lambda: is_so(well, ("unhealthy", "Target.ResponseCodeMismatch"), refused_it))
        assert before[name][webs[1].target.key].description == "Health checks failed with these codes: [500]"
        assert {get(front.port, "/").body[0] for _ in range(10)} == {"a"}
        webs[1].status = 301
        until(lambda: is_so(well, well, refused_it))
        asked = webs[0].checks[0]
        assert asked["host"] == webs[0].target.key and asked["user-agent"] == "ELB-HealthChecker/2.0"


def test_no_target_answers_as_aws(tmp_path: Path) -> None:
    front = listener(TO_A)
    with carried(balancer([front], [group("a")]), tmp_path):
        got = get(front.port, "/")
        assert got.status == 503 and got.headers["server"] == "awselb/2.0"
        assert "<center><h1>503 Service Temporarily Unavailable</h1></center>" in got.body


@contextmanager
def steady_load(path: str = "/") -> Iterator[None]:
    """Requests without a pause, each of which must be answered with 200."""
    failed: list[object] = []
    served = itertools.count()
    end = threading.Event()

    def load() -> None:
        while not end.is_set():
            try:
                got = get(PORT, path)
                next(served)
                if got.status != 200:
                    failed.append(got)
            except (OSError, http.client.HTTPException) as error:
                failed.append(error)

    loads = [threading.Thread(target=load) for _ in range(2)]
    for each in loads:
        each.start()
    try:
        yield
    finally:
        end.set()
        for each in loads:
            each.join()
    assert not failed, failed[:5]
    assert next(served) > 20


def test_no_request_fails_while_targets_change(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    one, two = (web.target for web in webs)
    check = HealthCheck(path="/health", interval=1, timeout=20, healthy=1000)  # so that the first success must suffice
    plan = balancer([listener(TO_A)], [group("a", one, health_check=check)])
    name = haproxy.backends(plan)["a"]
    with carried(plan, tmp_path) as running, steady_load():
        slots = running.slots[name]
        before: dict[str, dict[str, Health]] = {}
        for coming in [(one, two), (two,), (two, one), (one,)] * 3:
            now = assign(slots, coming)
            for command in commands(name, slots, now):
                running.tell(command)
            slots = now

            def all_healthy(now: Slots = now) -> bool:
                nonlocal before
                found = running.tell("show stat")
                for command in health.promotions(found, {name: now}, before):
                    running.tell(command)
                before = health.report(found, {name: now}, before)
                return {each.state for each in before[name].values()} == {"healthy"}

            until(all_healthy)


def test_a_target_has_to_pass_a_check_of_its_own(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    """Not of whom its slot had before."""
    good, dead = webs[0].target, Target(address=ADDRESS, port=1)
    check = HealthCheck(path="/health", interval=5, timeout=2)
    plan = balancer([listener(TO_A)], [group("a", good, health_check=check)])
    name = haproxy.backends(plan)["a"]
    with carried(plan, tmp_path) as running:
        slots = running.slots[name]
        until(lambda: "L7OK" in running.tell("show stat"))
        gone = assign(slots, ())
        now = assign(gone, (dead,))
        for before, after in ((slots, gone), (gone, now)):
            for command in commands(name, before, after):
                running.tell(command)
        found = running.tell("show stat")
        assert list(health.promotions(found, {name: now}, {})) == []
        assert health.report(found, {name: now}, {}, {name: 10})[name][dead.key].state == "initial"
        until(lambda: "L4CON" in running.tell("show stat"))
        found = running.tell("show stat")
        assert health.report(found, {name: now}, {}, {name: 0})[name][dead.key].state == "unhealthy"


def test_no_request_fails_while_rules_change(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    groups = [group("a", webs[0].target), group("b", webs[1].target)]
    with carried(balancer([listener(TO_A)], groups), tmp_path) as running, steady_load("/load"):
        for turn in range(20):
            marker = ((PathPattern(values=("/turn",)),), FixedResponse(status=200, body=str(turn)))
            running.change(balancer([listener(TO_B if turn % 2 else TO_A, marker)], groups))
            assert get(PORT, "/turn").body == str(turn)


def test_weights_change_without_a_reload(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    groups = [group("a", webs[0].target), group("b", webs[1].target)]

    def shared(one: int, other: int) -> Balancer:
        forward = Forward(groups=(Weighted(group="a", weight=one), Weighted(group="b", weight=other)))
        return balancer([listener(forward)], groups)

    with carried(shared(100, 0), tmp_path) as running:
        with steady_load("/load"):
            worker = running.tell("show info").partition("\nPid: ")[2].split()[0]
            for one, other, expected in ((0, 100, {"b"}), (1, 1, {"a", "b"}), (100, 0, {"a"})):
                running.change(shared(one, other))
                assert {get(PORT, "/").body[0] for _ in range(60)} == expected  # else a chance of 2^-59
        running.change(shared(0, 0))
        assert get(PORT, "/").status == 503
        assert running.tell("show info").partition("\nPid: ")[2].split()[0] == worker


def certificate(directory: Path) -> None:
    made = directory / "c.pem"
    ask = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x.org", "-days", "2"]
    subprocess.run([*ask, "-keyout", str(made), "-out", str(directory / "chain")], check=True, capture_output=True)
    made.write_text(made.read_text() + (directory / "chain").read_text())


@pytest.mark.parametrize("http2", [True, False])
def test_https(tmp_path: Path, webs: tuple[Web, Web], http2: bool) -> None:
    certificate(tmp_path)
    front = Listener(arn="l", protocol="HTTPS", port=PORT, default=TO_A, certificates=("c",))
    plan = msgspec.structs.replace(balancer([front], [group("a", webs[0].target)]), http2=http2)
    with carried(plan, tmp_path):
        context = ssl.create_default_context(cafile=str(tmp_path / "chain"))
        context.set_alpn_protocols(["h2", "http/1.1"])
        with (
            socket.create_connection((ADDRESS, PORT)) as line,
            context.wrap_socket(line, server_hostname="x.org") as secure,
        ):
            assert secure.selected_alpn_protocol() == ("h2" if http2 else "http/1.1")
        context.set_alpn_protocols(["http/1.1"])
        connection = http.client.HTTPSConnection("x.org", PORT, context=context)
        connection._create_connection = lambda *_: socket.create_connection((ADDRESS, PORT))  # type: ignore[attr-defined]
        connection.request("GET", "/")
        assert "x-forwarded-proto: https\n" in connection.getresponse().read().decode()
        connection.close()


def test_weights_of_connections(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    """A network load balancer's; a server that speaks first is not waited for by anybody."""
    with socket.create_server((ADDRESS, 0)) as server:
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        check = HealthCheck(protocol="TCP", interval=30)
        greeting = group(
            "g", Target(address=ADDRESS, port=server.getsockname()[1]), protocol="TCP", health_check=check
        )  # fmt: skip
        groups = [
            group(each, web.target, protocol="TCP", health_check=check) for each, web in zip("ab", webs, strict=True)
        ]

        def front(place: int, **weights: int) -> Listener:
            chosen = Forward(groups=tuple(Weighted(group=each, weight=weight) for each, weight in weights.items()))
            return Listener(arn=str(place), protocol="TCP", port=PORT + place, default=chosen)

        fronts = [front(0, a=0, b=1), front(1, a=1, b=1), front(2, a=0, b=0), front(3, a=0, g=1)]
        with carried(balancer(fronts, [*groups, greeting], Kind.NETWORK), tmp_path):
            assert {get(PORT, "/").body[0] for _ in range(20)} == {"b"}
            assert {get(PORT + 1, "/").body[0] for _ in range(60)} == {"a", "b"}
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                get(PORT + 2, "/")
            with socket.create_connection((ADDRESS, PORT + 3), 10) as client:
                assert client.recv(5) == b"hello"


def _greet(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            line, _ = server.accept()
            with line, suppress(OSError):
                line.sendall(b"hello")


def test_tcp_with_the_proxy_protocol(tmp_path: Path) -> None:
    with socket.create_server((ADDRESS, 0)) as server:
        port: int = server.getsockname()[1]
        check = HealthCheck(protocol="TCP", interval=30)
        made = group("a", Target(address=ADDRESS, port=port), protocol="TCP", health_check=check, proxy_protocol=True)
        front = Listener(arn="l", protocol="TCP", port=PORT, default=TO_A)
        plan = balancer([front], [made], Kind.NETWORK)
        with carried(plan, tmp_path), socket.create_connection((ADDRESS, PORT)) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            ours = b""
            while not ours.endswith(b"hello"):  # health checks come in between
                ours = _everything(server)
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    assert ours.startswith(signature)
    assert ours[12] == 0x21 and ours[16:20] == socket.inet_aton("127.0.0.1")
    assert ours[20:24] == socket.inet_aton(ADDRESS) and ours[26:28] == PORT.to_bytes(2, "big")


def _everything(server: socket.socket) -> bytes:
    server.settimeout(30)
    line, _ = server.accept()
    with line, suppress(ConnectionResetError):  # so ends a health check
        line.settimeout(30)
        return b"".join(iter(lambda: line.recv(4096), b""))
    return b""


TEXT = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1, max_size=20)
TEXTS = st.lists(TEXT, min_size=1, max_size=3).map(tuple)
PARAMETERS = st.builds(Parameter, key=st.none() | TEXT, value=TEXT)
CONDITIONS = st.one_of(
    st.builds(HostHeader, values=TEXTS),
    st.builds(PathPattern, values=TEXTS),
    st.builds(HttpHeader, name=st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True), values=TEXTS),
    st.builds(Method, values=st.just(("GET", "PURGE_IT"))),
    st.builds(QueryString, values=st.lists(PARAMETERS, min_size=1, max_size=3).map(tuple)),
    st.builds(SourceIp, values=st.just(("10.0.0.0/8", "fd00::/8"))),
)
ACTIONS = st.one_of(
    st.builds(FixedResponse, status=st.sampled_from([200, 404, 503]), body=TEXT),
    st.builds(Redirect, permanent=st.booleans(), host=TEXT, path=TEXT.map("/#{path}".__add__), query=TEXT),
    st.just(TO_A),
    st.builds(
        Forward,
        groups=st.tuples(
            st.builds(Weighted, group=st.just("a"), weight=st.integers(0, 999)),
            st.builds(Weighted, group=st.just("b"), weight=st.integers(0, 999)),
        ),
        stickiness=st.none() | st.integers(1, 604800),
    ),
)
RULES = st.lists(st.tuples(st.lists(CONDITIONS, min_size=1, max_size=3).map(tuple), ACTIONS), max_size=5)


@given(ACTIONS, RULES)
@settings(max_examples=40, deadline=None, suppress_health_check=[Slow.function_scoped_fixture, Slow.too_slow])
def test_whatever_users_write_is_accepted(
    tmp_path: Path, default: Action, rules: list[tuple[tuple[Condition, ...], Action]]
) -> None:
    plan = balancer([listener(default, *rules, port=8080)], [group("a"), group("b")])
    text, _ = configuration(plan)
    assert refused(text, tmp_path) == ""


def test_what_is_not_carried_is_named(tmp_path: Path) -> None:
    for plan, name in [
        (balancer([listener(TO_A)], [group("a")], Kind.NETWORK), "HTTP listeners of network"),
        (balancer([], [group("a", stickiness=Stickiness(type="app_cookie", cookie="x y"))]), "cookie x y"),
        (balancer([], [group("a", stickiness=Stickiness(type="source_ip"))]), "source_ip"),
    ]:
        with pytest.raises(NotCarried, match=name):
            configuration(plan)
