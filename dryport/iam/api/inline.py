"""Inline policies: those that belong to one user, group or role."""

from __future__ import annotations

from functools import partial

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE
from dryport.iam.api.attachments import Each
from dryport.iam.api.common import Request, changeable, get, length, no_such_entity, page
from dryport.iam.api.common import put as keep
from dryport.iam.api.policies import KINDS, encoded
from dryport.iam.policy import check

# Characters of all inline policies together. Source: "IAM and AWS STS quotas", IAM user guide
SIZES = {"user": 2048, "group": 5120, "role": 10240}


def put(kind: str, call: Call, request: Request) -> Output:
    """Write a policy, in the place of the one of its name."""
    one, document = changeable(call, KINDS[kind], request[f"{kind}Name"]), request["PolicyDocument"]
    check(document)
    inline = one.inline | {request["PolicyName"]: document}
    most = SIZES[one.kind]
    if sum(map(length, inline.values())) > most:
        message = f"Maximum policy size of {most} bytes exceeded for {one.kind} {one.name}"
        raise ServiceError("LimitExceeded", message, 409)
    keep(call, msgspec.structs.replace(one, inline=inline))
    return None


def read(kind: str, call: Call, request: Request) -> Output:
    """A policy, percent-encoded."""
    one, name = get(call, KINDS[kind], request[f"{kind}Name"]), request["PolicyName"]
    if name not in one.inline:
        raise _missing(kind, name)
    return {f"{kind}Name": one.name, "PolicyName": name, "PolicyDocument": encoded(one.inline[name])}


def list_names(kind: str, call: Call, request: Request) -> Output:
    """The names of the policies."""
    one = get(call, KINDS[kind], request[f"{kind}Name"])
    shown, more = page(sorted(one.inline), request)
    return {"PolicyNames": shown, **more}


def delete(kind: str, call: Call, request: Request) -> Output:
    """Delete a policy."""
    one, name = changeable(call, KINDS[kind], request[f"{kind}Name"]), request["PolicyName"]
    if name not in one.inline:
        raise _missing(kind, name)
    keep(call, msgspec.structs.replace(one, inline={k: v for k, v in one.inline.items() if k != name}))
    return None


def _missing(kind: str, name: str) -> ServiceError:
    return no_such_entity(f"The {KINDS[kind]} policy with name {name} cannot be found.")


_OPERATIONS: dict[str, Each] = {
    "Put{}Policy": put,
    "Get{}Policy": read,
    "List{}Policies": list_names,
    "Delete{}Policy": delete,
}
for _kind in KINDS:
    for _name, _handler in _OPERATIONS.items():
        SERVICE.operation(_name.format(_kind))(partial(_handler, _kind))
