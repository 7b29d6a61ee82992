"""Service Connect's proxies: their configuration, as HAProxy itself judges it, and what they are told."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.agent.connect import haproxy, image, metrics, proxies, redirects, ways
from dryport.agent.connect.ways import Egress, Ingress, Place, Ways
from dryport.agent.payload import decode_task
from dryport.agent.runtime import Runtime
from dryport.agent.settings import Settings

WAYS = Ways(
    container="ecs-service-connect-abcde",
    ingress=[
        Ingress(service="srv-a", name="web", container="main", port=8080, listener=61001, protocol="http",
                idle=300, per_request=15, intercepted=True),
        Ingress(service="srv-b", name="db", container="main", port=5432, listener=9000, idle=3600),
    ],
    egress=[
        Egress(service="srv-a", alias="web", address="127.255.0.1", port=80, listener=61002, protocol="grpc"),
        Egress(service="srv-b", alias="db", address="127.255.0.2", port=5432, listener=61003, idle=3600),
    ],
)  # fmt: skip
PLACES = st.lists(
    st.builds(Place, st.from_regex(r"10\.0\.\d\.\d", fullmatch=True), st.integers(1, 99), st.integers(1, 256)),
    unique_by=lambda each: (each.address, each.port),
)


@pytest.mark.parametrize("protocol", ["tcp", "http", "http2", "grpc"])
@pytest.mark.parametrize("targets", [None, {}, {"main": "172.17.0.3"}])
def test_haproxy_takes_the_configuration(tmp_path: Path, protocol: str, targets: dict[str, str] | None) -> None:
    changed = msgspec.structs.replace(
        WAYS,
        ingress=[msgspec.structs.replace(each, protocol=protocol) for each in WAYS.ingress],
        egress=[msgspec.structs.replace(each, protocol=protocol) for each in WAYS.egress],
    )
    slots = haproxy.assign({}, {"srv-a": [Place("10.0.0.1", 80)]}, haproxy.services(changed))
    text = haproxy.render(changed, slots, targets)
    for each in (text, haproxy.render(Ways(), {})):
        file = tmp_path / "haproxy.cfg"
        file.write_text(each)
        done = subprocess.run(["haproxy", "-c", "-f", str(file)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert ("proto h2" in text) == (protocol in ("http2", "grpc"))
    assert ("server app 172.17.0.3:8080" in text) == bool(targets)
    assert ("bind 127.0.0.1:61002" in text) == (targets is None)
    assert ("retry-on" in text) == (protocol != "tcp")


def test_timeouts_are_what_was_asked_for() -> None:
    def timeouts(**members: Any) -> list[str]:
        way = msgspec.structs.replace(WAYS.ingress[0], **members)
        lines = haproxy.render(Ways(ingress=[way]), {}).split("frontend")[1].splitlines()
        return [line.strip().removeprefix("timeout ") for line in lines if "timeout" in line]

    assert timeouts() == ["client 300s", "http-keep-alive 300s", "server 15s", "tunnel 300s"]
    assert timeouts(idle=5) == ["client 5s", "http-keep-alive 5s", "server 5s", "tunnel 5s"]
    assert timeouts(idle=0, per_request=0) == ["client 24d", "http-keep-alive 24d", "server 24d", "tunnel 24d"]
    assert timeouts(protocol="tcp", per_request=0) == ["client 300s", "server 300s", "tunnel 300s"]


@given(st.lists(PLACES, min_size=1, max_size=4))
def test_slots_hold_who_is_reached_and_whoever_stays_keeps_his(history: list[list[Place]]) -> None:
    told: dict[str, str] = {}  # what the proxy has been told, by server
    weights: dict[str, int] = {}
    before: haproxy.Slots = {}
    for reached in history:
        after = haproxy.assign(before, {"srv-a": reached}, haproxy.services(WAYS))
        wanted = {f"{each.address}:{each.port}": each.weight for each in reached}
        assert sorted(filter(None, after["srv-a"])) == sorted(f"{place} {weight}" for place, weight in wanted.items())
        for slot, each in enumerate(before.get("srv-a", ())):
            place = each.partition(" ")[0]
            assert not each or place not in wanted or after["srv-a"][slot].startswith(f"{place} ")
        for line in haproxy.commands(WAYS, before, after):
            _, _, server, verb, *words = line.split()
            if verb == "addr":
                told[server] = f"{words[0]}:{words[2]}"
            elif verb == "weight":
                weights[server] = int(words[0])
            elif words == ["maint"]:
                told.pop(server, None)
        for backend in ("e0/", "a0/"):
            known = {each: weights[server] for server, each in told.items() if server.startswith(backend)}
            assert known == wanted
        assert not any(server.startswith("e1/") for server in told)
        before = after


def test_rules_lead_through_the_proxy() -> None:
    rules = redirects.batch(WAYS, "10.0.0.9")
    assert "ip daddr 127.255.0.1 tcp dport 80 dnat to 127.0.0.1:61002" in rules
    assert "ip daddr 10.0.0.9 tcp dport 8080 dnat to 10.0.0.9:61001" in rules
    beside = redirects.beside(WAYS, "task", "172.17.0.2")
    assert "ip daddr 127.255.0.1 tcp dport 80 dnat to 172.17.0.2:61002" in beside
    assert "delete table ip dryport_connect_task" in redirects.nothing_beside("task")
    assert "dport 5432 dnat to 10.0.0.9" not in rules  # bypassed, as another port was named


def test_the_attachment_is_read(tmp_path: Path) -> None:
    properties = [
        {"name": "ContainerName", "value": WAYS.container},
        {"name": "DryportProxy", "value": msgspec.json.encode(WAYS).decode()},
    ]
    attachment = {"attachmentArn": "a", "attachmentType": "serviceconnectdetail", "attachmentProperties": properties}
    task = decode_task(msgspec.json.encode({"arn": "t", "attachments": [attachment]}))
    assert ways.of(task) == WAYS
    assert ways.of(decode_task(b'{"arn": "t"}')) is None
    attachment["attachmentProperties"] = []
    with pytest.raises(ValueError, match="does not say"):
        ways.of(decode_task(msgspec.json.encode({"arn": "t", "attachments": [attachment]})))


def test_the_image_has_all_that_haproxy_needs(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:  # as when several tasks begin at once
        made = set(pool.map(lambda _: image.make(tmp_path / "images"), range(8)))
    [(root, _)] = made
    assert [each.name for each in (tmp_path / "images").iterdir()] == [root.name]
    done = subprocess.run(["chroot", str(root), image.PROGRAM, "-v"], capture_output=True, text=True)
    assert done.stdout.startswith("HAProxy version"), done.stderr


def test_what_a_proxy_counted_is_told_as_what_came_in_between() -> None:
    def answer(requests: int, active: int, answered: int, taken: int) -> str:
        head = "# pxname,svname,scur,bin,bout,conn_tot,req_tot,hrsp_2xx,hrsp_5xx,rtime,\n"
        front = f"ingress-0,FRONTEND,{active},{requests * 100},0,{requests},{requests},0,0,,\n"
        return f"{head}{front}i0,app,0,{requests * 10},5,,,{answered},1,{taken},\n"

    ways_ = Ways(ingress=[msgspec.structs.replace(WAYS.ingress[0], discovery="shop")])
    first, second = (metrics.parse(answer(*each), ways_) for each in ((10, 1, 9, 3), (14, 2, 13, 7)))
    ours, targets = metrics.wrappers(ways_, first, second)
    assert ours["dimensions"] == [{"key": "DiscoveryName", "value": "shop"}]
    assert targets["dimensions"] == [{"key": "TargetDiscoveryName", "value": "shop"}]
    told = {each["metricName"]: each for each in (*ours["generalMetrics"], *targets["generalMetrics"])}
    assert {name: each["metricValues"][0] for name, each in told.items()} == {
        "ActiveConnectionCount": 2,
        "NewConnectionCount": 4,
        "ProcessedBytes": 400,
        "RequestCount": 4,
        "TargetProcessedBytes": 40,
        "RequestCountPerTarget": 4,
        "HTTPCode_Target_2XX_Count": 4,
        "HTTPCode_Target_3XX_Count": 0,
        "HTTPCode_Target_4XX_Count": 0,
        "HTTPCode_Target_5XX_Count": 0,
        "TargetResponseTime": 7,
    }
    assert told["TargetResponseTime"]["metricCounts"] == [4]
    assert metrics.wrappers(ways_, {}, first) == []
    again = metrics.wrappers(ways_, second, metrics.parse(answer(1, 0, 1, 1), ways_))[0]["generalMetrics"]
    assert again[1]["metricValues"] == [1]  # a proxy that was reloaded


async def test_what_comes_before_a_task_is_set_up_is_not_forgotten(tmp_path: Path) -> None:
    egress = {"service": "srv-a", "alias": "web", "address": "127.255.0.1", "port": 80, "listener": 61002}
    sent = {"egress": [egress], "reached": {"srv-a": [["10.0.0.1", 80]]}}
    told = {"name": "DryportProxy", "value": msgspec.json.encode(sent).decode()}
    attached = {"attachmentArn": "a", "attachmentType": ways.TYPE, "attachmentProperties": [told]}
    arn = "arn:aws:ecs:us-east-1:000000000000:task/test/1"
    task = decode_task(msgspec.json.encode({"arn": arn, "attachments": [attached]}))
    made = proxies.Proxies(Settings(endpoint="", state_dir=tmp_path), cast(Runtime, None))
    await made.tell(task, {"srv-a": [Place("10.0.0.2", 80)]})
    await made.prepare(task)
    await made.prepare(task)
    written = (tmp_path / "tasks" / "1" / "connect" / haproxy.CONFIGURATION).read_text()
    assert "10.0.0.2:80" in written
    assert "10.0.0.1:80" not in written
