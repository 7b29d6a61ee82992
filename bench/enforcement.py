"""What a user's policies cost: signed requests a second with the root key, and with a user's that has 10 policies.

``python bench/enforcement.py [--rounds 3] [--seconds 5]`` prints a table and keeps it in
``bench/results/enforcement.md``. The same gateway (``bench/api_platform.py``: every room and the store), the same
requests, in turns, in one run. Each policy has 20 statements; that which allows is the last one's last, and one of each
denies. "By ARN": that which allows names the account's resources instead of all. Of
RegisterTaskDefinition no body comes twice among thousands.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import api

RESULTS = Path(__file__).parent / "results" / "enforcement.md"
POLICIES, STATEMENTS = 10, 20
SERVICES = ("ecs", "ecr", "ec2", "logs", "s3", "ssm", "secretsmanager", "sns", "sts", "elasticfilesystem")
OPERATIONS: dict[str, list[dict[str, Any]]] = {
    "ListTasks": [{"cluster": "bench"}],
    "DescribeClusters": [{"clusters": ["bench"]}],
    "RegisterTaskDefinition": [
        {"family": f"family-{number % 100}", "containerDefinitions": [api.CONTAINER | {"cpu": number}]}
        for number in range(10, 10010)
    ],
}


def statement(policy: int, number: int, whole: str = "*") -> dict[str, Any]:
    service = SERVICES[number % len(SERVICES)]
    last = (policy, number) == (POLICIES - 1, STATEMENTS - 1)
    actions = "ecs:*" if last else [f"{service}:{verb}*" for verb in ("List", "Describe", "Register")]
    resource = whole if last else f"arn:aws:{service}:*:000000000000:task-definition/p{policy}-{number}*"
    return {"Effect": "Deny" if number == 11 else "Allow", "Action": actions, "Resource": resource}


def make_user(server: api.Server, name: str, whole: str) -> tuple[str, str]:
    """A user with the policies, of which one allows everything on ``whole``; returns its key."""
    iam = server.client("iam")
    iam.create_user(UserName=name)
    for policy in range(POLICIES):
        statements = [statement(policy, number, whole) for number in range(STATEMENTS)]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        arn = iam.create_policy(PolicyName=f"{name}-{policy}", PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def compare(rounds: int, seconds: int, scratch: Path) -> str:
    server = api.start_dryport(scratch)
    try:
        api.furnish_dryport(server)
        users = {"user": "*", "by ARN": "arn:aws:ecs:*:000000000000:*"}
        keys = {"root": server.key} | {
            name: make_user(server, name.replace(" ", "-"), whole) for name, whole in users.items()
        }
        rates: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for operation, bodies in OPERATIONS.items():
            for turn in range(rounds):
                for who in sorted(keys, reverse=turn % 2 == 1):
                    server.key = keys[who]
                    rate = measure(server, operation, bodies, scratch, seconds)
                    rates.setdefault((operation, who), []).append(rate)
    finally:
        server.stop()
    lines = [
        "# What a user's policies cost",
        "",
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}; medians of {rounds} turns of {seconds} s, wrk with {api.CONNECTIONS} "
        "connections on the same machine (`bench/enforcement.py`).",
        f"The user has {POLICIES} policies of {STATEMENTS} statements each. The machine's load average was "
        f"{os.getloadavg()[1]:.1f} in the last five minutes.",
        "The ratios are of requests by second of the server's processor time, which other work on the machine does not "
        "bend.",
        "",
        "| | root | user | by ARN | user / root | by ARN / root |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for operation in OPERATIONS:
        walls, own = (
            {who: statistics.median(one[part] for one in rates[operation, who]) for who in keys} for part in (0, 1)
        )
        shown = " | ".join(f"{walls[who]:,.0f}/s" for who in ("root", "user", "by ARN"))
        ratios = " | ".join(f"{own[who] / own['root']:.0%}" for who in ("user", "by ARN"))
        lines.append(f"| {operation} | {shown} | {ratios} |")
    return "\n".join(lines) + "\n"


def measure(
    server: api.Server, operation: str, bodies: list[dict[str, Any]], scratch: Path, seconds: int
) -> tuple[float, float]:
    """Requests a second, and by second of the server's processor. Raises SystemExit for a refusal."""
    script = api.write_script(server, operation, bodies, scratch)
    before = processor(server.process.pid)
    rate = api.wrk(server, script, operation, seconds)
    return rate, rate * seconds / (processor(server.process.pid) - before)


def processor(pid: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dryport-bench-") as scratch:
        text = compare(arguments.rounds, arguments.seconds, Path(scratch))
    print(text)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
