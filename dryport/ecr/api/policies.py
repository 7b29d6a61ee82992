"""Repository policies: who else may use a repository, and who may not.

Source: "Private repository policies", ECR user guide; SetRepositoryPolicy and its kin, ECR API reference.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from dryport.ecr import errors
from dryport.ecr.api.operations import Request, identity, operation, repository_of
from dryport.ecr.contents import Contents
from dryport.ecr.model import REPOSITORIES, Repository
from dryport.gateway.service import Call, Output

_ELEMENTS = ("Resource", "NotResource")  # which a repository's policy does not have: it speaks of the repository


@operation("SetRepositoryPolicy")
def set_repository_policy(contents: Contents, call: Call, request: Request) -> Output:
    repository, text = repository_of(call, request), request["policyText"]
    if not _is_policy(text):
        raise errors.invalid_parameter("PolicyText", "Invalid repository policy provided")
    changed = replace(repository, policy=text)
    if not request.get("force") and _locks_out(call, changed):
        raise errors.invalid_parameter(
            "PolicyText", "As the policy stands, the caller could not set another policy in the future. Use force"
        )
    call.tx.put(REPOSITORIES, changed)
    return _described(changed)


@operation("GetRepositoryPolicy")
def get_repository_policy(contents: Contents, call: Call, request: Request) -> Output:
    return _described(_with_policy(call, request))


@operation("DeleteRepositoryPolicy")
def delete_repository_policy(contents: Contents, call: Call, request: Request) -> Output:
    repository = _with_policy(call, request)
    call.tx.put(REPOSITORIES, replace(repository, policy=""))
    return _described(repository)


def _with_policy(call: Call, request: Request) -> Repository:
    repository = repository_of(call, request)
    if not repository.policy:
        raise errors.repository_policy_not_found(repository.name, repository.account)
    return repository


def _described(repository: Repository) -> dict[str, Any]:
    return {**identity(repository), "policyText": pretty(json.loads(repository.policy))}


def _is_policy(text: str) -> bool:
    from dryport.iam.published import resource_policy_problem  # with the engine: a megabyte

    if resource_policy_problem(text) is not None:
        return False
    listed = json.loads(text)["Statement"]
    return all(_is_statement(body) for body in (listed if isinstance(listed, list) else [listed]))


def _is_statement(body: dict[str, Any]) -> bool:
    listed: str | list[str] = body["Action"] if "Action" in body else body["NotAction"]
    actions = [listed] if isinstance(listed, str) else listed
    return not any(name in body for name in _ELEMENTS) and all(
        action == "*" or action.lower().startswith("ecr:") for action in actions
    )


def _locks_out(call: Call, repository: Repository) -> bool:
    """Whether a repository's policy would keep the caller from setting another."""
    from dryport.iam.published import denies  # with the engine: a megabyte

    return denies(call, repository.policy, "ecr:SetRepositoryPolicy", repository.arn)


def pretty(value: Any, indent: str = "") -> str:
    """A policy's document as ECR writes it: spaces around colons, each member of an object in a line of its own."""
    if isinstance(value, dict):
        deeper = indent + "  "
        members = [f"{deeper}{json.dumps(key)} : {pretty(one, deeper)}" for key, one in value.items()]
        return "{\n" + ",\n".join(members) + f"\n{indent}}}" if members else "{ }"
    if isinstance(value, list):
        return "[ " + ", ".join(pretty(one, indent) for one in value) + " ]" if value else "[ ]"
    return json.dumps(value, ensure_ascii=False)
