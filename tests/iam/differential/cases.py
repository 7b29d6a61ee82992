"""Generated policies and requests: small worlds in which much matches, so that every rule gets to decide."""

from __future__ import annotations

from random import Random
from typing import Any

ACCOUNT, OTHER = "111122223333", "444455556666"
CLUSTER = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/prod"
REQUESTS = (
    ("ecs:DescribeClusters", CLUSTER),
    ("ecs:DescribeTasks", f"arn:aws:ecs:eu-west-1:{ACCOUNT}:task/prod/0123"),
    ("s3:GetObject", "arn:aws:s3:::photos/alice/a b:c.png"),
    ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/path/app"),
    ("ec2:StartInstances", f"arn:aws:ec2:us-east-1:{OTHER}:instance/i-1"),
)
ACTION_PATTERNS = (
    *(*["*"] * 12, "ecs:*", "s3:*", "iam:*", "ec2:*", "ECS:describetasks", "ecs:DescribeTasks", "ecs:Describe*"),
    *("s3:Get?bject", "iam:Pass*", "ec2:Start*", "ec2:*Instances", "ecs:D*T*s", "ecs:?escribeTasks", "s3:PutObject"),
)
RESOURCE_PATTERNS = (
    *(*["*"] * 12, CLUSTER, "arn:aws:ecs:*:*:*", "arn:aws:ecs:us-east-1:*:cluster/*", "arn:aws:ecs:*:*:task/*/0123"),
    *(
        "arn:aws:s3:::photos/*",
        "arn:aws:s3:::photos/${aws:username}/*",
        "arn:aws:s3:::*:c.png",
        "arn:aws:s3:::ph?tos/*",
    ),
    *(f"arn:aws:iam::{ACCOUNT}:role/*", "arn:aws:iam::*:role/path/app", "arn:aws:ec2:*:*:instance/i-?"),
    *("arn:*:ecs:*:*:cluster/${aws:PrincipalTag/stage}", "arn:aws:ecs:*:*:cluster/${aws:PrincipalTag/x, 'prod'}"),
    *(f"arn:aws:ecs:*:{OTHER}:*", "arn:aws:s3:::${*}/*", "arn:aws:ec2:*:${aws:PrincipalAccount}:*"),
)
USERS = ("alice", "bob")
CALLERS = (
    *(f"arn:aws:iam::{account}:user/{name}" for account in (ACCOUNT, OTHER) for name in USERS),
    *(f"arn:aws:sts::{account}:assumed-role/app/alice" for account in (ACCOUNT, OTHER)),
)
PRINCIPALS: tuple[Any, ...] = (
    *("*", {"AWS": "*"}, {"AWS": ACCOUNT}, {"AWS": f"arn:aws:iam::{OTHER}:root"}, {"AWS": list(CALLERS[:2])}),
    *({"AWS": f"arn:aws:iam::{ACCOUNT}:role/app"}, {"AWS": f"arn:aws:iam::{OTHER}:role/app"}, {"AWS": CALLERS[4]}),
    *({"Service": "ecs-tasks.amazonaws.com"}, {"AWS": [OTHER, CALLERS[0]]}, {"AWS": CALLERS[2]}),
)
STRINGS = (
    "prod",
    "test",
    "Prod",
    "p*",
    "pr?d",
    "alice",
    "${aws:username}",
    "${aws:absent}",
    "${aws:absent, 'prod'}",
    "${*}",
)
NUMBERS = ("5", "10", "10.0", "-1", "1e1", "x")
DATES = ("2026-11-26T00:00:00Z", "2026-11-27T12:30:00Z", "2020-01-01", "1795651200")
ADDRESSES = ("203.0.113.0/24", "203.0.113.7", "198.51.100.0/24", "2001:db8::/32", "0.0.0.0/0")
ARNS = ("arn:aws:ecs:*:*:cluster/*", CLUSTER, "arn:aws:*:*:*:*", f"arn:aws:iam::{ACCOUNT}:role/a?p", "arn:*:ecs:*:*:*")
OPERATORS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("StringEquals", "StringNotEquals", "StringLike", "StringNotLike"), STRINGS),
    **dict.fromkeys(("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"), STRINGS),
    **dict.fromkeys(("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals"), NUMBERS),
    **dict.fromkeys(("NumericGreaterThan", "NumericGreaterThanEquals"), NUMBERS),
    **dict.fromkeys(("DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals"), DATES),
    **dict.fromkeys(("DateGreaterThan", "DateGreaterThanEquals"), DATES),
    **dict.fromkeys(("Bool",), ("true", "false", "TRUE")),
    **dict.fromkeys(("BinaryEquals",), ("YWJj", "YWJk")),
    **dict.fromkeys(("IpAddress", "NotIpAddress"), ADDRESSES),
    **dict.fromkeys(("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"), ARNS),
}
KEYS = {  # a key of each type, what it can be in a request
    "String": ("aws:PrincipalTag/stage", ("prod", "test", "Prod", "alice", "")),
    "Numeric": ("s3:max-keys", ("5", "10", "7.5")),
    "Date": ("aws:CurrentTime", ("2026-11-26T00:00:00Z", "2026-11-26T18:00:00Z", "2019-12-31T23:59:59Z")),
    "Bool": ("aws:SecureTransport", ("true", "false")),
    "Binary": ("x:digest", ("YWJj", "YWJk")),
    "Ip": ("aws:SourceIp", ("203.0.113.7", "198.51.100.200", "2001:db8::7", "192.0.2.1")),
    "NotIp": ("aws:SourceIp", ()),
    "Arn": ("aws:SourceArn", (CLUSTER, f"arn:aws:iam::{ACCOUNT}:role/app", "arn:aws:s3:::photos")),
}
TAG_KEYS = ("prod", "test", "alice", "owner")


def case(random: Random) -> dict[str, Any]:
    """A simulation, in the form that the npm package takes."""
    caller = random.choice(CALLERS)
    action, resource = random.choice(REQUESTS)
    owner = ACCOUNT if random.random() < 0.8 else OTHER
    parts = resource.split(":")
    found: dict[str, Any] = {
        "request": {
            "principal": caller,
            "action": action,
            "resource": {"resource": resource, "accountId": parts[4] or owner},
            "contextVariables": _context(random, caller),
        },
        "identityPolicies": [_named(random, f"identity{i}") for i in range(random.choice((0, 1, 1, 2)))],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if random.random() < 0.4:
        found["resourcePolicy"] = _policy(random, principals=True)
    if random.random() < 0.2:
        found["permissionBoundaryPolicies"] = [_named(random, "boundary")]
    if random.random() < 0.2 and ":assumed-role/" in caller:
        found["sessionPolicy"] = _policy(random)
    if random.random() < 0.1:
        levels = range(random.choice((1, 2)))
        found["serviceControlPolicies"] = [
            {"orgIdentifier": f"o{i}", "policies": [_named(random, f"scp{i}")]} for i in levels
        ]
    return found


def _context(random: Random, caller: str) -> dict[str, Any]:
    context: dict[str, Any] = {"aws:PrincipalAccount": caller.split(":")[4]}
    if ":user/" in caller:
        context["aws:username"] = caller.split("/")[1]
    for key, values in KEYS.values():
        if values and random.random() < 0.6:
            context[key] = random.choice(values)
    if random.random() < 0.6:
        context["aws:TagKeys"] = random.sample(TAG_KEYS, random.randint(0, 3))
    return context


def _named(random: Random, name: str) -> dict[str, Any]:
    return {"name": name, "policy": _policy(random)}


def _policy(random: Random, *, principals: bool = False) -> dict[str, Any]:
    version = "2012-10-17" if random.random() < 0.85 else "2008-10-17"
    return {
        "Version": version,
        "Statement": [_statement(random, principals) for _ in range(random.choice((1, 1, 2, 3)))],
    }


def _statement(random: Random, principals: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"Effect": "Allow" if random.random() < 0.75 else "Deny"}
    body[_maybe_not(random, "Action")] = _some(random, ACTION_PATTERNS)
    body[_maybe_not(random, "Resource")] = _some(random, RESOURCE_PATTERNS)
    if principals:
        principal = random.choice(PRINCIPALS)
        named = body["Effect"] == "Allow" or principal in ("*", {"AWS": "*"})
        body["Principal" if named else _maybe_not(random, "Principal")] = principal
    if random.random() < 0.5:
        body["Condition"] = _conditions(random)
    return body


def _maybe_not(random: Random, name: str) -> str:
    return f"Not{name}" if random.random() < 0.15 else name


def _some(random: Random, of: tuple[str, ...]) -> str | list[str]:
    return random.choice(of) if random.random() < 0.5 else random.sample(of, random.randint(1, min(3, len(of))))


def _conditions(random: Random) -> dict[str, Any]:
    block: dict[str, Any] = {}
    for _ in range(random.choice((1, 1, 2))):
        operator = random.choice((*OPERATORS, "Null", "StringEquals", "StringLike"))
        if operator == "Null":
            key = random.choice([*(key for key, _ in KEYS.values()), "aws:TagKeys"])
            block["Null"] = {key: random.choice(("true", "false"))}
            continue
        kind = next(kind for kind in KEYS if operator.startswith(kind))
        values = _some(random, OPERATORS[operator])
        if random.random() < 0.25 and kind == "String":
            quantifier, key = random.choice(("ForAllValues:", "ForAnyValue:")), "aws:TagKeys"
        else:
            quantifier, key = "", KEYS[kind][0]
        exists = "IfExists" if random.random() < 0.2 else ""
        block[f"{quantifier}{operator}{exists}"] = {key if random.random() < 0.8 else key.upper(): values}
    return block
