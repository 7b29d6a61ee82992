"""Which managed policies a user, a group or a role has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE
from dryport.iam.api.common import Request, changeable, get, limit, no_such_entity, page, put
from dryport.iam.api.policies import KINDS, attachable

LIMIT = 10  # Source: "IAM and AWS STS quotas", IAM user guide


def attach(kind: str, call: Call, request: Request) -> Output:
    """Attach a policy; one that is attached stays."""
    one = changeable(call, KINDS[kind], request[f"{kind}Name"])
    arn = attachable(call, request["PolicyArn"])
    if arn not in one.attached:
        if len(one.attached) >= LIMIT:
            raise limit(f"PoliciesPer{kind}", LIMIT)
        put(call, msgspec.structs.replace(one, attached=(*one.attached, arn)))
    return None


def detach(kind: str, call: Call, request: Request) -> Output:
    """Take a policy away."""
    one, arn = changeable(call, KINDS[kind], request[f"{kind}Name"]), request["PolicyArn"]
    if arn not in one.attached:
        raise no_such_entity(f"Policy {arn} was not found.")
    put(call, msgspec.structs.replace(one, attached=tuple(other for other in one.attached if other != arn)))
    return None


def list_attached(kind: str, call: Call, request: Request) -> Output:
    """The policies that are attached, those below ``PathPrefix``."""
    one = get(call, KINDS[kind], request[f"{kind}Name"])
    prefix = request.get("PathPrefix", "/")
    found = [arn for arn in one.attached if arn.partition(":policy")[2].startswith(prefix)]
    shown, more = page(found, request)
    return {"AttachedPolicies": [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in shown], **more}


Each = Callable[[str, Call, Request], Output]
_OPERATIONS: dict[str, Each] = {
    "Attach{}Policy": attach,
    "Detach{}Policy": detach,
    "ListAttached{}Policies": list_attached,
}
for _kind in KINDS:
    for _name, _handler in _OPERATIONS.items():
        SERVICE.operation(_name.format(_kind))(partial(_handler, _kind))
