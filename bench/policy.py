"""How long a decision takes: a request with 10 policies of 20 statements each.

``python bench/policy.py`` prints a table and keeps it in ``bench/results/policy.md``. Each line is of some thousands of
decisions, in the processor's time, so that what else runs counts little (but for the caches that it empties), with the
garbage collector as the control plane sets it; requests differ from one to the next (user, resource). *Typical*
policies speak of ten services; in the *worst* ones every statement speaks of the action, has three resources with
wildcards and a condition with a variable, and the last statement of all allows. *After a change*: before a
decision one policy gets a text that was never seen, and is accepted as the IAM API accepts it; *never seen*: another
process accepted it.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from dryport.iam.policy import Attached, Caller, CallerKind, Policies, Request, check, evaluate
from dryport.platform.control_plane import GARBAGE

RESULTS = Path(__file__).parent / "results" / "policy.md"
ACCOUNT = "111122223333"
POLICIES, STATEMENTS, ROUNDS = 10, 20, 3000
SERVICES = ("ecs", "ecr", "ec2", "logs", "s3", "ssm", "secretsmanager", "sns", "sts", "elasticfilesystem")


def main() -> None:
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    lines = [
        f"{date.today()}, {platform.machine()}, Python {platform.python_version()}; {POLICIES} policies of",
        f"{STATEMENTS} statements each; {ROUNDS} decisions a line, in the processor's time (`bench/policy.py`).",
        f"The machine's load average was {os.getloadavg()[1]:.1f} in the last five minutes.",
        "",
        "| | 10th percentile | median | 99th percentile |",
        "|---|---:|---:|---:|",
    ]
    for name, make in (("typical", typical), ("worst", worst)):
        documents = [document(make, i) for i in range(POLICIES)]
        lines.append(row(name, measure(documents, lambda i, d: d)))
        lines.append(row(f"{name}, one of ten after a change", measure(documents, changed(make, every=10))))
        lines.append(row(f"{name}, the first after a change", measure(documents, changed(make))))
        lines.append(row(f"{name}, a policy never seen", measure(documents, changed(make, known=False))))
    text = "# A decision of the policy engine\n\n" + "\n".join(lines) + "\n"
    print(text)
    RESULTS.write_text(text)


def typical(policy: int, statement: int) -> dict[str, Any]:
    """A statement of a policy as people write them."""
    service = SERVICES[statement % len(SERVICES)]
    body: dict[str, Any] = {
        "Sid": f"S{policy}x{statement}",
        "Effect": "Deny" if statement == 19 else "Allow",
        "Action": [f"{service}:Describe*", f"{service}:List*", f"{service}:RunTask"],
        "Resource": [
            f"arn:aws:{service}:*:{ACCOUNT}:task-definition/team{policy}-{statement}*",
            f"arn:aws:{service}:*:*:x/*",
        ],
    }
    if statement % 3 == 0:
        body["Condition"] = {"StringEquals": {"aws:ResourceTag/stage": "prod", "aws:PrincipalTag/team": "blue"}}
    if policy == 9 and statement == 10:
        body["Resource"] = f"arn:aws:ecs:*:{ACCOUNT}:task-definition/web*"
    return body


def worst(policy: int, statement: int) -> dict[str, Any]:
    """A statement that has to be looked at to its end."""
    return {
        "Effect": "Allow",
        "Action": "ecs:*",
        "Resource": [f"arn:aws:ecs:*:*:task-definition/{kind}{policy}-{statement}*" for kind in "abc"]
        if (policy, statement) != (9, 19)
        else "*",
        "Condition": {"StringLike": {"aws:username": "${aws:PrincipalTag/team}-*"}},
    }


def document(make: Callable[[int, int], dict[str, Any]], policy: int, mark: str = "") -> str:
    statements = [make(policy, i) for i in range(STATEMENTS)]
    return json.dumps({"Version": "2012-10-17", "Id": f"p{policy}{mark}", "Statement": statements})


def changed(
    make: Callable[[int, int], dict[str, Any]], *, every: int = 1, known: bool = True
) -> Callable[[int, list[str]], list[str]]:
    """Documents of which one is new with every so many decisions."""
    now: list[str] = []

    def change(i: int, documents: list[str]) -> list[str]:
        if i % every == 0:
            which = i // every % POLICIES
            new = document(make, which, f"-{i}-{every}-{known}")
            if known:
                check(new)
            now[:] = [*documents[:which], new, *documents[which + 1 :]]
        return list(now)

    return change


def measure(documents: list[str], change: Callable[[int, list[str]], list[str]]) -> list[float]:
    """Microseconds of each decision."""
    caller = Caller(CallerKind.USER, f"arn:aws:iam::{ACCOUNT}:user/blue-1", ACCOUNT)
    taken = []
    for i in range(ROUNDS):
        attached = tuple(Attached(f"p{n}", text) for n, text in enumerate(change(i, documents)))
        context = {
            "aws:username": f"blue-{i}",
            "aws:principaltag/team": "blue",
            "aws:resourcetag/stage": "prod",
            "aws:sourceip": "127.0.0.1",
        }
        began = time.thread_time_ns()
        request = Request("ecs:RunTask", f"arn:aws:ecs:us-east-1:{ACCOUNT}:task-definition/web:{i}", caller, context)
        decision = evaluate(request, Policies(identity=attached))
        taken.append((time.thread_time_ns() - began) / 1000)
        assert decision.allowed and decision.policy == "p9"
    return taken


def row(name: str, taken: list[float]) -> str:
    parts = statistics.quantiles(taken, n=100)
    return f"| {name} | {parts[9]:.1f} µs | {statistics.median(taken):.1f} µs | {parts[98]:.1f} µs |"


if __name__ == "__main__":
    main()
