"""What a user's policies cost: signed requests a second with the root key, and with a user's that has 10 policies.

``python bench/enforcement.py [--rounds 3] [--seconds 5]`` prints a table and keeps it in
``bench/results/enforcement.md``. The same gateway (``bench/api_platform.py``: every room and the store), the same
requests, in turns, in one run. Each policy has 20 statements; that which allows is the last one's last, and one of each
denies.
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
        for number in range(10, 1010)
    ],
}


def statement(policy: int, number: int) -> dict[str, Any]:
    service = SERVICES[number % len(SERVICES)]
    last = (policy, number) == (POLICIES - 1, STATEMENTS - 1)
    actions = "ecs:*" if last else [f"{service}:{verb}*" for verb in ("List", "Describe", "Register")]
    resource = "*" if last else f"arn:aws:{service}:*:000000000000:task-definition/p{policy}-{number}*"
    return {"Effect": "Deny" if number == 11 else "Allow", "Action": actions, "Resource": resource}


def make_user(server: api.Server) -> tuple[str, str]:
    """A user with the policies; returns its key."""
    iam = server.client("iam")
    iam.create_user(UserName="bench")
    for policy in range(POLICIES):
        statements = [statement(policy, number) for number in range(STATEMENTS)]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        arn = iam.create_policy(PolicyName=f"p{policy}", PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_user_policy(UserName="bench", PolicyArn=arn)
    key = iam.create_access_key(UserName="bench")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def compare(rounds: int, seconds: int, scratch: Path) -> str:
    server = api.start_dryport(scratch)
    try:
        api.furnish_dryport(server)
        keys = {"root": server.key, "user": make_user(server)}
        rates: dict[tuple[str, str], list[float]] = {}
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
        "",
        "| | root | user | user / root |",
        "|---|---:|---:|---:|",
    ]
    for operation in OPERATIONS:
        root, user = (statistics.median(rates[operation, who]) for who in ("root", "user"))
        lines.append(f"| {operation} | {root:,.0f}/s | {user:,.0f}/s | {user / root:.0%} |")
    return "\n".join(lines) + "\n"


def measure(server: api.Server, operation: str, bodies: list[dict[str, Any]], scratch: Path, seconds: int) -> float:
    """Requests a second. Raises SystemExit where an answer is not a good one."""
    script = api.write_script(server, operation, bodies, scratch)
    return api.wrk(server, script, operation, seconds)


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
