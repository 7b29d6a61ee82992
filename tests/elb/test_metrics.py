"""What HAProxy counts, as CloudWatch's metrics."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dryport.elb import metrics
from dryport.elb.dataplane.counters import Meter, Reading, read
from dryport.elb.dataplane.rules import token
from tests.ports import free_port

BALANCER = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/0123456789abcdef"
GROUP = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/blue/fedcba9876543210"
LB, TG = ("LoadBalancer", "app/web/0123456789abcdef"), ("TargetGroup", "targetgroup/blue/fedcba9876543210")
CONFIGURATION = """
global
  stats socket {directory}/h.sock mode 600 level admin
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 200ms
  retries 0
frontend l-80
  bind 127.0.0.1:{port}
  http-request return status 418 if {{ path /tea }}
  use_backend g-gone if {{ path /gone }}
  default_backend g-{token}
backend g-{token}
  server s1 127.0.0.1:{target}
backend g-gone
  server s1 127.0.0.1:{nobody}
frontend target
  bind 127.0.0.1:{target}
  http-request return status 500 if {{ path /bad }}
  http-request return status 200
"""


@contextmanager
def haproxy(directory: Path) -> Iterator[tuple[int, Path]]:
    """A real one: its port, and its runtime API."""
    port = free_port()
    text = CONFIGURATION.format(
        directory=directory, port=port, target=free_port(), nobody=free_port(), token=token(GROUP)
    )
    (directory / "h.cfg").write_text(text)
    process = subprocess.Popen(["haproxy", "-db", "-f", str(directory / "h.cfg")], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if (directory / "h.sock").exists() and status(port, "/tea") == 418:
                break
            time.sleep(0.02)
        yield port, directory / "h.sock"
    finally:
        process.kill()
        process.wait()


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def ask(path: Path, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(f"{command}\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def look(path: Path) -> Reading:
    return read(ask(path, "show info"), ask(path, "show stat"))


def shown(handed: Any) -> dict[tuple[str, ...], float]:
    """The values by the metric's name and its dimensions' names."""
    return {(each.name, *(name for name, _ in each.dimensions)): each.total for each in handed}


def test_what_a_real_haproxy_counts(tmp_path: Path) -> None:
    with haproxy(tmp_path) as (port, api):
        meter = Meter()
        meter.add(look(api))
        wanted = {"/": 200, "/bad": 500, "/tea": 418, "/gone": 503}
        for path, code in wanted.items():
            for _ in range(3):
                assert status(port, path) == code
        meter.add(look(api))
        counts = dict(meter.take())
    frontend = counts["", "hrsp_5xx"]
    # The target is a frontend of the same process here: its 500s are counted a second time.
    counts["", "hrsp_5xx"] = frontend - 3
    handed = list(metrics.of_application(BALANCER, counts, meter.open, {GROUP: ["healthy", "unhealthy"]}, 60.0))
    found = shown(handed)
    assert found["RequestCount", "LoadBalancer"] == 6.0, "requests that a target was chosen for"
    assert found["RequestCount", "TargetGroup", "LoadBalancer"] == 6.0
    assert found["RequestCountPerTarget", "TargetGroup"] == 6.0
    assert found["HTTPCode_Target_2XX_Count", "LoadBalancer"] == 3.0
    assert found["HTTPCode_Target_5XX_Count", "TargetGroup", "LoadBalancer"] == 3.0
    assert found["HTTPCode_ELB_4XX_Count", "LoadBalancer"] == 3.0, "the fixed answers"
    assert found["HTTPCode_ELB_5XX_Count", "LoadBalancer"] == 3.0, "nobody listened"
    assert ("HTTPCode_Target_4XX_Count", "LoadBalancer") not in found
    for name in ("HealthyHostCount", "UnHealthyHostCount"):
        assert found[name, "TargetGroup", "LoadBalancer"] == 1.0
    [requests] = [each for each in handed if each.name == "RequestCount" and len(each.dimensions) == 1]
    assert (requests.dimensions, requests.unit, requests.at) == ([LB], "Count", 60.0)
    [per_target] = [each for each in handed if each.name == "RequestCountPerTarget" and len(each.dimensions) == 2]
    assert per_target.dimensions == [TG, LB]


def test_a_classic_load_balancer() -> None:
    counts = {("", "hrsp_5xx"): 5, ("", "stot"): 9, ("one", "hrsp_5xx"): 2, ("two", "stot"): 3, ("one", "stot"): 4}
    found = shown(metrics.of_classic("old", counts, 2, {"any": ["healthy", "healthy", "unhealthy"]}, 60.0))
    assert found == {
        ("RequestCount", "LoadBalancerName"): 7.0,
        ("HTTPCode_Backend_5XX", "LoadBalancerName"): 2.0,
        ("HTTPCode_ELB_5XX", "LoadBalancerName"): 3.0,
        ("HealthyHostCount", "LoadBalancerName"): 2.0,
        ("UnHealthyHostCount", "LoadBalancerName"): 1.0,
    }


def reading(worker: int, value: int) -> Reading:
    return Reading(worker, {("", "stot"): value}, 1)


@pytest.mark.parametrize(
    ("readings", "wanted"),
    [
        ([(1, 5)], 0),
        ([(1, 5), (1, 8)], 3),
        ([(1, 5), (1, 8), (2, 4)], 7),
        ([(1, 5), (2, 9), (2, 10)], 10),
        ([(1, 5), (1, 5), (1, 5)], 0),
    ],
)
def test_a_meter_sums_across_reloads(readings: list[tuple[int, int]], wanted: int) -> None:
    meter = Meter()
    for worker, value in readings:
        meter.add(reading(worker, value))
    assert meter.take().get(("", "stot"), 0) == wanted
    assert not meter.take()


def test_a_network_load_balancer() -> None:
    arn = BALANCER.replace("/app/", "/net/")
    counts = {("", "stot"): 4, ("", "bytes"): 100}
    found = shown(metrics.of_network(arn, counts, 2, {GROUP: ["healthy"], GROUP + "0": []}, 60.0))
    assert found == {
        ("ActiveFlowCount", "LoadBalancer"): 2.0,
        ("NewFlowCount", "LoadBalancer"): 4.0,
        ("ProcessedBytes", "LoadBalancer"): 100.0,
        ("HealthyHostCount", "TargetGroup", "LoadBalancer"): 1.0,
        ("UnHealthyHostCount", "TargetGroup", "LoadBalancer"): 0.0,
    }
