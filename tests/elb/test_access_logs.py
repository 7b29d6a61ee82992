"""Access logs: a real HAProxy's records as AWS's lines, and their way into a bucket."""

from __future__ import annotations

import gzip
import json
import random
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from dryport.control.config import Config
from dryport.control.context import Context
from dryport.elb import model
from dryport.elb.access_logs import lines
from dryport.elb.access_logs.delivery import Delivery
from dryport.elb.controllers import Balancers
from dryport.elb.dataplane.plan import (
    FixedResponse,
    Forward,
    HealthCheck,
    Kind,
    Listener,
    PathPattern,
    Redirect,
    Rule,
    Weighted,
)
from dryport.host.balancers import requests
from dryport.s3.disk import Disk
from dryport.s3.model import BUCKETS, OBJECTS, Bucket
from dryport.store.sqlite import SqliteStore
from tests.elb.carried import ADDRESS, PORT, Web, balancer, carried, get, group, until
from tests.elb.test_haproxy import certificate

pytestmark = pytest.mark.platform

ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/0123456789abcdef"
TO_A = Forward(groups=(Weighted(group="a"),))
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
CHECK = HealthCheck(path="/health", interval=1, timeout=20, healthy=2, unhealthy=2, codes="200")


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web("a")
    yield made
    made.close()


def noted(directory: Path, count: int) -> bytes:
    """What HAProxy has noted, once that are so many requests."""
    until(lambda: requests.take(directory, 0, 1)[0].count(b"\n") >= count)
    return requests.take(directory, 0, 1)[0]


def test_an_application_load_balancers_lines(tmp_path: Path, web: Web) -> None:
    rules = (
        Rule(priority=7, conditions=(PathPattern(values=("/gone",)),), action=FixedResponse(status=404)),
        Rule(
            priority=3, conditions=(PathPattern(values=("/go",)),), action=Redirect(permanent=False, host="example.com")
        ),
    )
    front = Listener(arn="l", protocol="HTTP", port=PORT, default=TO_A, rules=rules)
    plan = replace(balancer([front], [group("a", web.target, health_check=CHECK)]), access_log=True)
    with carried(plan, tmp_path):
        until(lambda: get(PORT, "/").status == 200)
        start = noted(tmp_path, 1).count(b"\n")
        agent = 'my "agent"\tof \\old'
        get(PORT, "/some?a=%22b%22", {"User-Agent": agent, "Host": "shop.example.com"})
        get(PORT, "/gone", {"User-Agent": "x"})
        get(PORT, "/go", {"User-Agent": "x", "Host": "h"})
        made = lines.entries(plan, "app/web/1", lines.read(noted(tmp_path, start + 3)))
    assert made.keys() == {ADDRESS}
    served, gone, moved = made[ADDRESS][start:]
    target = re.escape(web.target.key)
    assert re.fullmatch(
        rf"http {TIME} app/web/1 127\.0\.0\.1:\d+ {target} \d\.\d{{3}} \d\.\d{{3}} \d\.\d{{3}} 200 200 \d+ \d+ "
        rf'"GET http://shop\.example\.com:{PORT}/some\?a=%22b%22 HTTP/1\.1" "my \\x22agent\\x22\\x09of \\x5cold" - - a '
        rf'"Root=1-[0-9a-f]{{8}}-[0-9a-f]{{24}}" "-" "-" 0 {TIME} "forward" "-" "-" "{target}" "200" "-" "-" '
        r"TID_[0-9a-f]{32}",
        served,
    ), served
    assert " - -1 -1 -1 404 - " in gone and re.search(rf' 7 {TIME} "fixed-response" "-" ', gone)
    assert " 302 - " in moved and f'"redirect" "http://example.com:{PORT}/go"' in moved
    assert re.search(rf" 3 {TIME} ", moved)


def test_a_classic_load_balancers_lines(tmp_path: Path, web: Web) -> None:
    """Of HTTP and of TCP."""
    check = replace(CHECK, port=web.target.port)
    http = Listener(arn="h", protocol="HTTP", port=PORT, default=Forward(groups=(Weighted(group="h"),)))
    tcp = Listener(arn="t", protocol="TCP", port=PORT + 1, default=Forward(groups=(Weighted(group="t"),)))
    groups = [
        group("h", web.target, health_check=check), group("t", web.target, health_check=check, protocol="TCP")
    ]  # fmt: skip
    plan = replace(balancer([http, tcp], groups, Kind.CLASSIC), access_log=True)
    with carried(plan, tmp_path):
        until(lambda: get(PORT, "/").status == 200)
        with socket.create_connection((ADDRESS, PORT + 1), timeout=5) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while client.recv(4096):
                pass
        found = lines.entries(plan, "old", lines.read(noted(tmp_path, 2)))[ADDRESS]
    target = re.escape(web.target.key)
    assert re.fullmatch(
        rf"{TIME} old 127\.0\.0\.1:\d+ {target} \d\.\d{{3}} \d\.\d{{3}} \d\.\d{{3}} 200 200 \d+ \d+ "
        rf'"GET http://{re.escape(ADDRESS)}:{PORT}/ HTTP/1\.1" "-" - -',
        found[-2],
    ), found
    assert re.fullmatch(
        rf'{TIME} old 127\.0\.0\.1:\d+ {target} \d\.\d{{3}} 0\.000 0\.000 - - \d+ \d+ "- - - " "-" - -', found[-1]
    ), found


def test_a_network_load_balancers_lines(tmp_path: Path, web: Web) -> None:
    """Of TLS alone."""
    certificate(tmp_path)
    tls = Listener(
        arn="arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/net/n/1/77", protocol="TLS", port=PORT,
        default=Forward(groups=(Weighted(group="t"),)), certificates=("c",), certificate_arn="arn:aws:acm:x",
    )  # fmt: skip
    tcp = Listener(arn="t", protocol="TCP", port=PORT + 1, default=Forward(groups=(Weighted(group="t"),)))
    check = replace(CHECK, port=web.target.port)
    plan = balancer([tls, tcp], [group("t", web.target, health_check=check, protocol="TCP")], Kind.NETWORK)
    context = ssl.create_default_context(cafile=str(tmp_path / "chain"))
    context.check_hostname = False

    def ask(port: int, wrap: Callable[[socket.socket], socket.socket]) -> bytes:
        with wrap(socket.create_connection((ADDRESS, port), timeout=5)) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: client.recv(4096), b""))

    with carried(replace(plan, access_log=True), tmp_path):
        until(lambda: b" 200 " in ask(PORT + 1, lambda plain: plain))
        assert b" 200 " in ask(PORT, lambda plain: context.wrap_socket(plain, server_hostname="a.example.com"))
        found = lines.entries(plan, "net/n/1", lines.read(noted(tmp_path, 1)))
    [line] = found[""]
    second = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
    assert re.fullmatch(
        rf"tls 2\.0 {second} net/n/1 77 127\.0\.0\.1:\d+ {re.escape(ADDRESS)}:{PORT} \d+ \d+ \d+ \d+ - arn:aws:acm:x - "
        rf"\S+ tlsv1[23] - a\.example\.com - - - {second}",
        line,
    ), line


class TurnedClock:
    """A clock that is set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    monotonic = time

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits")


class Plane:
    """Records that were noted, as the host driver hands them out."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def records(self, arn: str, after: int, least: int) -> tuple[bytes, int]:
        return requests.take(self.directory, after, least)


def note(directory: Path, path: str, node: str = "10.0.0.9") -> None:
    """One request, as HAProxy writes it."""
    from dryport.elb.dataplane.records import FIELDS

    known = {"time": "1700000000123456", "node": node, "uri": path, "method": "GET", "status": "200", "listener": "80"}
    file = requests.opened(directory)
    with open(file, "w") as log:
        log.write("\t".join(known.get(name, "-") for name in FIELDS) + "\n")


async def test_delivery_every_five_minutes_and_nothing_twice(tmp_path: Path) -> None:
    """Over a process that is killed after each step; as long as the bucket's policy lets it."""
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::logs/p/AWSLogs/000000000000/*",
            "Condition": {"StringEquals": {"aws:SourceAccount": "000000000000"}},
        },
    }
    clock = TurnedClock(1_800_000_010.0)
    stored = model.LoadBalancer(
        arn=ARN, name="web", account="000000000000", region="us-east-1", type="application", scheme="internal",
        vpc_id="vpc-1", dns_name="x", created_at=0.0,
        zones=[model.Zone(name="us-east-1a", subnet_id="subnet-1", address="10.0.0.9")],
        attributes={f"access_logs.s3.{name}": value for name, value in
                    (("enabled", "true"), ("bucket", "logs"), ("prefix", "p"))},
    )  # fmt: skip
    bucket = Bucket(
        name="logs", account="000000000000", region="us-east-1", created_at=0.0, policy=json.dumps(policy)
    )  # fmt: skip
    store = SqliteStore.open(tmp_path / "control.db")
    await store.transact(lambda tx: tx.put(model.LOAD_BALANCERS, stored))
    await store.transact(lambda tx: tx.put(BUCKETS, bucket))
    plan = replace(balancer([], []), arn=ARN, access_log=True)
    context = Context(store, cast(Any, clock), random.Random(1), Config(state_dir=tmp_path))
    balancers = cast(Balancers, SimpleNamespace(carried={ARN: plan}))

    disk = Disk(tmp_path / "s3", random.Random(2))

    async def look() -> dict[str, list[str]]:
        """What is in the bucket once a new process has looked: the paths of requests, by file."""
        await Delivery(context, Plane(tmp_path), balancers).look()
        found = {}
        for each in store.reader.all(OBJECTS):
            content = b"".join([block async for block in disk.read(each.file)])
            if each.key.endswith(".gz"):
                found[each.key] = re.findall(r"http://-:80(/\S*)", gzip.decompress(content).decode())
            else:
                assert content.startswith(b"Enable AccessLog for ELB: web at 2027-01-15T08:00:10.000Z")
                found[each.key] = []
        return found

    note(tmp_path, "/one")
    test_file = "p/AWSLogs/000000000000/ELBAccessLogTestFile"
    assert await look() == {test_file: []}
    clock.now += 200
    note(tmp_path, "/two")
    assert await look() == {test_file: []}
    clock.now += 100  # 08:05:10
    first = await look()
    assert first == await look()
    (key,) = first.keys() - {test_file}
    assert first[key] == ["/one", "/two"]
    assert re.fullmatch(
        r"p/AWSLogs/000000000000/elasticloadbalancing/us-east-1/2027/01/15/000000000000_elasticloadbalancing_us-east-1_"
        r"app\.web\.0123456789abcdef_20270115T0805Z_10\.0\.0\.9_[0-9a-f]{8}\.log\.gz",
        key,
    )
    note(tmp_path, "/three")
    await store.transact(lambda tx: tx.put(BUCKETS, replace(bucket, policy="")))
    clock.now += 300
    assert await look() == first  # what may not be written is lost
    await store.transact(lambda tx: tx.put(BUCKETS, bucket))
    note(tmp_path, "/four")
    clock.now += 300
    found = await look()
    assert [paths for key, paths in found.items() if key not in first] == [["/four"]]
    await store.close()
