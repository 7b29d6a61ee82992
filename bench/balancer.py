"""Requests a second through an application load balancer, and through a HAProxy with a configuration written by hand.

``python bench/balancer.py [--rounds 5] [--seconds 5]`` (as root; needs haproxy and wrk) starts a Dryport of its own,
prints a table and keeps it in ``bench/results/balancer.md``. Both stand in the same VPC before the same instance, which
answers 500 bytes; wrk asks their public addresses, in turns. The one by hand runs on an instance without limits of
processor time worth naming; it sets the same ``X-Forwarded`` headers.
"""

from __future__ import annotations

import argparse
import os
import platform as machine
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

from dryport.platform import credentials

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "balancer.md"
DRYPORT = [sys.executable, "-m", "dryport.cli.main"]
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
TYPE = "c5.9xlarge"  # more processors than this machine has: nothing is held back
CONNECTIONS = 64
DEADLINE = 60.0  # seconds
COMMON = """global
  fd-hard-limit 100000
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
"""
BACKEND = f"""{COMMON}frontend f
  bind :8080
  http-request return status 200 content-type text/plain string "{"x" * 500}"
"""
BY_HAND = """{common}frontend f
  bind :80
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port 80
  default_backend b
backend b
  balance roundrobin
  option httpchk GET /
  server s1 {backend}:8080 check
"""


class Bench:
    """A Dryport, and what stands in it."""

    def __init__(self, state: Path, port: int) -> None:
        key = credentials.read(credentials.root_key_path(state))

        def client(service: str) -> Any:
            return boto3.client(
                service,
                region_name="us-east-1",
                endpoint_url=f"http://127.0.0.1:{port}",
                aws_access_key_id=key.access_key_id,
                aws_secret_access_key=key.secret_access_key,
            )

        self.ec2, self.elb = client("ec2"), client("elbv2")
        self.image = client("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"]
        subnets = sorted(self.ec2.describe_subnets()["Subnets"], key=lambda each: str(each["AvailabilityZone"]))
        self.vpc, self.subnets = subnets[0]["VpcId"], [each["SubnetId"] for each in subnets]
        self.group = self.ec2.create_security_group(GroupName="all", Description="all", VpcId=self.vpc)["GroupId"]
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        self.ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=everything)

    def instance(self, config: str) -> Any:
        """An instance that runs a HAProxy."""
        script = f"#!/bin/sh\ncat > /root/haproxy.cfg <<'END'\n{config}END\nhaproxy -D -f /root/haproxy.cfg\n"
        made = self.ec2.run_instances(
            ImageId=self.image,
            InstanceType=TYPE,
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnets[0],
            SecurityGroupIds=[self.group],
            UserData=script,
        )["Instances"][0]["InstanceId"]
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[made], WaiterConfig={"Delay": 1})
        return self.ec2.describe_instances(InstanceIds=[made])["Reservations"][0]["Instances"][0]

    def balancer(self, target: str, rules: int) -> str:
        """The public address of a load balancer before a target, once that is healthy."""
        name = f"rules-{rules}"
        made = self.elb.create_load_balancer(Name=name, Subnets=self.subnets[:2], SecurityGroups=[self.group])
        arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        group = self.elb.create_target_group(
            Name=name, Protocol="HTTP", Port=8080, VpcId=self.vpc, TargetType="instance"
        )["TargetGroups"][0]["TargetGroupArn"]
        forward = [{"Type": "forward", "TargetGroupArn": group}]
        listener = self.elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=forward)
        for number in range(1, rules + 1):
            self.elb.create_rule(
                ListenerArn=listener["Listeners"][0]["ListenerArn"],
                Priority=number,
                Conditions=[{"Field": "path-pattern", "Values": [f"/service-{number}/*"]}],
                Actions=forward,
            )
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": target}])
        self.elb.get_waiter("target_in_service").wait(TargetGroupArn=group, WaiterConfig={"Delay": 1})
        found = self.ec2.describe_network_interfaces(
            Filters=[{"Name": "description", "Values": [f"ELB app/{name}/*"]}]
        )["NetworkInterfaces"]
        return str(found[0]["Association"]["PublicIp"])


def wrk(address: str, seconds: int) -> tuple[float, float]:
    """Requests a second, and the 99th percentile of their time in milliseconds."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", f"http://{address}/"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    rate, worst = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    if rate is None or worst is None:
        raise RuntimeError(said)
    return float(rate[1]), float(worst[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[worst[2]]


def answered(address: str) -> bool:
    return subprocess.run(["curl", "-sf", "-m", "2", "-o", "/dev/null", f"http://{address}/"]).returncode == 0


def until(holds: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > DEADLINE:
            raise TimeoutError(f"not within {DEADLINE:.0f} s")
        time.sleep(0.1)


def compare(bench: Bench, rounds: int, seconds: int) -> str:
    """The table as Markdown."""
    backend = bench.instance(BACKEND)
    by_hand = bench.instance(BY_HAND.format(common=COMMON, backend=backend["PrivateIpAddress"]))
    addresses = {
        "HAProxy by hand": by_hand["PublicIpAddress"],
        "a load balancer": bench.balancer(backend["InstanceId"], 0),
        "one with ten rules": bench.balancer(backend["InstanceId"], 10),
    }
    for each in addresses.values():
        until(lambda each=each: answered(each))  # type: ignore[misc]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in addresses}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for name, address in addresses.items():
            found[name].append(wrk(address, seconds))
    rates = {name: statistics.median(rate for rate, _ in each) for name, each in found.items()}
    worst = {name: statistics.median(each for _, each in found[name]) for name in found}
    lines = [
        f"| {name} | {rate:,.0f} | {rate / rates['HAProxy by hand']:.2f} | {worst[name]:.1f} ms |"
        for name, rate in rates.items()
    ]
    return (
        "# Requests through a load balancer\n\n"
        f"`python bench/balancer.py`, {os.cpu_count()} CPUs, {machine.machine()}, {time.strftime('%Y-%m-%d')}; medians "
        f"of {rounds} turns of {seconds} s, wrk with {CONNECTIONS} connections on the same machine, whose load average "
        f"was {os.getloadavg()[1]:.1f} in the last five minutes.\n\n"
        "| | requests a second | ratio | 99th percentile |\n|---|---:|---:|---:|\n" + "\n".join(lines) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--port", type=int, default=4588)
    options = parser.parse_args()
    state = Path(tempfile.mkdtemp(prefix="dryport-balancer-"))
    try:
        up = [*DRYPORT, "up", "--detach", "--state-dir", str(state), "--port", str(options.port)]
        subprocess.run(up, check=True)
        try:
            made = compare(Bench(state, options.port), options.rounds, options.seconds)
        finally:
            subprocess.run([*DRYPORT, "down", "--state-dir", str(state)], check=True)
    finally:
        shutil.rmtree(state, ignore_errors=True)
    print(made)
    RESULTS.write_text(made)


if __name__ == "__main__":
    main()
