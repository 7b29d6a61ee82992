"""The simulator's operations that ask about a stored user, group or role."""

from __future__ import annotations

from collections.abc import Sequence

from dryport.aws import arn as arns
from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE, simulation
from dryport.iam.api.common import Request, invalid_input, no_such_entity
from dryport.iam.enforcement import identified
from dryport.iam.model import IDENTITIES, Identity, identity_key
from dryport.iam.policy import Attached, Purpose, sources

_UNSUPPORTED = ("PolicyExclusionList", "ResourceHandlingOption")


@SERVICE.operation("SimulatePrincipalPolicy", unsupported=_UNSUPPORTED)
def simulate_principal_policy(call: Call, request: Request) -> Output:
    """What a principal's policies (and further ones) say of each action on each resource."""
    source = _source(call, request["PolicySourceArn"])
    own = tuple(_own(call, source))
    boundary = None
    if source.boundary is not None and "PermissionsBoundaryPolicyInputList" not in request:
        document = identified.document(call.tx, source.boundary)
        boundary = Attached(source.boundary, document) if document is not None else None
    caller = request.get("CallerArn") or (source.arn if source.kind != "group" else None)
    if caller is None and "ResourcePolicy" in request:
        raise invalid_input("CallerArn must be provided when a resource policy is simulated.")
    asked = {name: value for name, value in request.items() if name != "PolicySourceArn"}
    asked.setdefault("PolicyInputList", ())
    return simulation.simulate(call, asked | ({"CallerArn": caller} if caller else {}), own, boundary, source)


@SERVICE.operation("GetContextKeysForPrincipalPolicy")
def get_context_keys_for_principal_policy(call: Call, request: Request) -> Output:
    """The keys that a principal's policies, and further ones, ask for."""
    documents = [one.document for one in _own(call, _source(call, request["PolicySourceArn"]))]
    for document in request.get("PolicyInputList", ()):
        simulation.accept(document, *Purpose)
        documents.append(document)
    found: dict[str, str] = {}
    for document in documents:
        for name in sources.keys(document):
            found.setdefault(name.lower(), name)
    return {"ContextKeyNames": list(found.values())}


def _own(call: Call, source: Identity) -> Sequence[Attached]:
    return identified.attached(call.tx, source)


def _source(call: Call, arn: str) -> Identity:
    """The user, group or role of an ARN. Raises ServiceError."""
    parts = arns.parse(arn)
    kind = parts.resource.partition("/")[0] if parts is not None else ""
    if parts is None or parts.service != "iam" or kind not in ("user", "group", "role"):
        raise invalid_input(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    name = parts.resource.rpartition("/")[2]
    found = call.tx.get(IDENTITIES, identity_key(call.account, kind, name))
    if found is None or found.arn != arn:
        raise no_such_entity(f"The {kind} with name {name} cannot be found.")
    return found
