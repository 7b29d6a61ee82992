"""Decisions: which policy and which statement decides, and in which words."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from dryport.iam import policy
from dryport.iam.policy import Attached, Caller, CallerKind, Policies, PolicyType, Request, evaluate, refusal
from tests.coverage.test_rooms import imports
from tests.iam.policies import ACCOUNT, ALL, CLUSTER, OTHER, ROLE_ARN, ROOT, SESSION, USER, attached, decide

DENY = {"Effect": "Deny", "Action": "*", "Resource": "*"}
ELSE = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
STRANGER = Caller(CallerKind.USER, f"arn:aws:iam::{OTHER}:user/bob", OTHER)
SERVICE = Caller(CallerKind.SERVICE, "ecs-tasks.amazonaws.com")
NOBODY = Caller(CallerKind.ANONYMOUS)


def of(principal: Any, effect: str = "Allow", **members: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": "*", "Resource": "*", **members}


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ("ecs:DescribeClusters", True),
        ("ECS:describeclusters", True),
        ("ecs:Describe*", True),
        ("ecs:?escribeClusters", True),
        ("*", True),
        ("ecs:*", True),
        ("ecs:List*", False),
        (["ec2:*", "ecs:DescribeClusters"], True),
    ],
)
def test_actions(action: Any, answer: bool) -> None:
    assert decide({"Effect": "Allow", "Action": action, "Resource": "*"}).allowed is answer
    assert decide({"Effect": "Allow", "NotAction": action, "Resource": "*"}).allowed is not answer


@pytest.mark.parametrize(
    ("resource", "answer"),
    [
        (CLUSTER, True),
        ("*", True),
        (f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/*", True),
        (f"arn:aws:ecs:*:{ACCOUNT}:cluster/prod", True),
        ("arn:aws:ecs:*:*:*", True),
        ("arn:aws:ecs", True),
        ("arn:aws:ecs:us-east-1", True),
        ("arn:aws:ecs:us-?ast-1:*:cluster/prod", True),
        ("arn:aws:ecs:*:cluster/prod", False),
        ("arn:aws:ecs:us-west-2:*:cluster/prod", False),
        (f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/Prod", False),
        ("arn:aws:ecs:*:*:cluster/${aws:PrincipalTag/Stage}", True),
        ("arn:aws:ecs:*:${aws:PrincipalAccount}:*", False),  # only after the fifth colon
        ("arn:aws:ecs:*:*:cluster/${aws:PrincipalTag/Other}", False),
        ("arn:aws:ecs:*:*:cluster/${aws:PrincipalTag/Other, 'prod'}", True),
        ([f"{CLUSTER}2", CLUSTER], True),
    ],
)
def test_resources(resource: Any, answer: bool) -> None:
    context = {"aws:PrincipalTag/Stage": "prod", "aws:PrincipalAccount": ACCOUNT}
    assert decide({"Effect": "Allow", "Action": "*", "Resource": resource}, context=context).allowed is answer
    assert decide({"Effect": "Allow", "Action": "*", "NotResource": resource}, context=context).allowed is not answer


def test_an_action_without_resources_needs_a_star() -> None:
    assert decide(ALL, on="*").allowed
    assert not decide({**ALL, "Resource": "arn:aws:ecs:*:*:*"}, on="*").allowed


def test_reasons() -> None:
    """Which policy and statement decides."""
    allowed = decide(ELSE, {**ALL, "Sid": "Everything"})
    assert (allowed.allowed, allowed.by, allowed.policy) == (True, PolicyType.IDENTITY, "identity")
    assert (allowed.statement, allowed.sid) == (1, "Everything")
    denied = decide(ALL, ELSE, {**DENY, "Sid": "Nothing"})
    assert (denied.allowed, denied.explicit, denied.statement, denied.sid) == (False, True, 2, "Nothing")
    nothing = decide()
    assert (nothing.allowed, nothing.explicit, nothing.by, nothing.policy) == (False, False, PolicyType.IDENTITY, None)


WORDS = "because no {} allows the ecs:DescribeClusters action"


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ({}, WORDS.format("identity-based policy")),
        ({"boundary": ELSE, "identity": ALL}, WORDS.format("permissions boundary")),
        ({"session": ELSE, "identity": ALL}, WORDS.format("session policy")),
        ({"service_control": [ALL, ELSE], "identity": ALL}, WORDS.format("service control policy")),
        ({"resource_decides": True, "identity": ALL}, WORDS.format("resource-based policy")),
        ({"identity": DENY}, "with an explicit deny in an identity-based policy"),
        ({"boundary": DENY, "identity": ALL}, "with an explicit deny in a permissions boundary"),
        ({"session": DENY, "identity": ALL}, "with an explicit deny in a session policy"),
        ({"resource": of("*", "Deny"), "identity": ALL}, "with an explicit deny in a resource-based policy"),
        ({"service_control": [DENY], "identity": ALL}, "with an explicit deny in a service control policy"),
    ],
)
def test_words(policies: dict[str, Any], words: str) -> None:
    statements = [policies.pop("identity")] if "identity" in policies else []
    decision = decide(*statements, **policies)
    assert not decision.allowed
    request = Request("ecs:DescribeClusters", CLUSTER, USER, {})
    assert refusal(decision, request) == (
        f"User: {USER.arn} is not authorized to perform: ecs:DescribeClusters on resource: {CLUSTER} {words}"
    )


def test_words_that_tell_nothing_of_the_other_side() -> None:
    strange = decide(ALL, by=STRANGER)
    said = refusal(strange, Request("ecs:DescribeClusters", CLUSTER, STRANGER, {}))
    assert said.endswith(f"on resource: {CLUSTER}")
    trust = decide(action="sts:AssumeRole", on=ROLE_ARN, resource=of(SERVICE.arn), resource_decides=True)
    assert refusal(trust, Request("sts:AssumeRole", ROLE_ARN, USER, {})) == (
        f"User: {USER.arn} is not authorized to perform: sts:AssumeRole on resource: {ROLE_ARN}"
    )
    said = refusal(decide(on="*"), Request("ecs:ListClusters", "*", USER, {}))
    assert "perform: ecs:ListClusters because no identity-based policy" in said


@pytest.mark.parametrize("where", ["resource", "boundary", "session", "service_control", "identity"])
def test_a_deny_anywhere_decides(where: str) -> None:
    everything: dict[str, Any] = {"resource": of("*"), "boundary": ALL, "session": ALL, "service_control": [ALL]}
    assert decide(ALL, **everything).allowed
    if where == "identity":
        assert decide(ALL, DENY, **everything).explicit
        return
    denied: Any = of({"AWS": ACCOUNT}, "Deny") if where == "resource" else DENY
    everything[where] = [ALL, denied] if where == "service_control" else denied
    decision = decide(ALL, **everything)
    assert decision.explicit and not decision.allowed


@pytest.mark.parametrize(
    ("principal", "by", "bare", "bounded"),
    [
        ({"AWS": USER.arn}, USER, True, True),
        ({"AWS": "AIDAALICEALICEALICE1"}, USER, True, True),
        ({"AWS": SESSION.arn}, SESSION, True, True),
        ({"AWS": ROLE_ARN}, SESSION, True, False),
        ("*", SESSION, True, True),
        ({"AWS": "*"}, USER, True, True),
        ({"AWS": ACCOUNT}, USER, False, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, SESSION, False, False),
        ({"AWS": f"arn:aws:iam::{OTHER}:root"}, USER, False, False),
        ({"AWS": USER.arn}, SESSION, False, False),
        ({"Service": SERVICE.arn}, USER, False, False),
    ],
)
def test_resource_policies_within_the_account(principal: Any, by: Caller, bare: bool, bounded: bool) -> None:
    """Who is named needs no identity policy; ``bounded``: nor a boundary or session policy that allows."""
    assert decide(by=by, resource=of(principal)).allowed is bare
    for limit in ("boundary", "session"):
        other: dict[str, Any] = {limit: ELSE}
        assert decide(by=by, resource=of(principal), **other).allowed is bounded
        denying: dict[str, Any] = {limit: DENY}
        assert not decide(by=by, resource=of(principal), **denying).allowed


def test_an_account_that_is_named_decides_itself() -> None:
    named = of({"AWS": ACCOUNT})
    assert decide(ALL, resource=named, resource_decides=True).allowed
    assert not decide(resource=named, resource_decides=True).allowed
    assert not decide(ALL, resource=of({"AWS": OTHER}), resource_decides=True).allowed


@pytest.mark.parametrize("principal", ["*", {"AWS": OTHER}, {"AWS": STRANGER.arn}])
def test_between_accounts_both_must_allow(principal: Any) -> None:
    resource = of(principal)
    assert decide(ALL, by=STRANGER, resource=resource).allowed
    assert decide(by=STRANGER, resource=resource).by is PolicyType.IDENTITY
    assert decide(ALL, by=STRANGER).by is PolicyType.RESOURCE
    assert decide(ALL, by=STRANGER, resource=resource, boundary=ELSE).by is PolicyType.BOUNDARY
    assert decide(ALL, by=STRANGER, resource=resource, session=ELSE).by is PolicyType.SESSION
    assert decide(ALL, by=STRANGER, resource=of({"AWS": ACCOUNT})).by is PolicyType.RESOURCE


def test_whose_a_bucket_is() -> None:
    """An ARN without an account: the owner is given."""
    bucket = "arn:aws:s3:::photos"
    policies = Policies(identity=(attached(ALL),))
    assert evaluate(Request("s3:ListBucket", bucket, USER, {}), policies).allowed
    assert not evaluate(Request("s3:ListBucket", bucket, USER, {}, OTHER), policies).allowed


def test_root() -> None:
    assert decide(by=ROOT).allowed
    assert decide(by=ROOT, resource=of({"AWS": ACCOUNT}, "Deny")).explicit
    assert not decide(by=ROOT, service_control=[ELSE]).allowed
    assert not decide(by=ROOT, on=f"arn:aws:ecs:us-east-1:{OTHER}:cluster/prod").allowed


@pytest.mark.parametrize(
    ("principal", "answer"),
    [({"Service": SERVICE.arn}, True), ({"Service": ["x.amazonaws.com", SERVICE.arn]}, True), ("*", True)],
)
def test_services(principal: Any, answer: bool) -> None:
    assert decide(by=SERVICE, resource=of(principal), resource_decides=True).allowed is answer
    assert not decide(by=SERVICE, resource=of({"Service": "ec2.amazonaws.com"})).allowed
    assert not decide(ALL, by=SERVICE).allowed


def test_federated_and_anonymous_callers() -> None:
    google = Caller(CallerKind.FEDERATED, "accounts.google.com")
    assert decide(by=google, resource=of({"Federated": "accounts.google.com"})).allowed
    assert not decide(by=google, resource=of({"Federated": "www.amazon.com"})).allowed
    assert decide(by=NOBODY, resource=of("*")).allowed
    assert not decide(by=NOBODY, resource=of({"AWS": ACCOUNT})).allowed
    assert refusal(decide(by=NOBODY), Request("s3:GetObject", "*", NOBODY, {})).startswith("User: anonymous is not")


def test_service_linked_roles_are_not_bound_by_the_organization() -> None:
    linked = Caller(CallerKind.ROLE, SESSION.arn, ACCOUNT, ROLE_ARN, service_linked=True)
    assert decide(ALL, by=linked, service_control=[DENY]).allowed
    assert not decide(ALL, by=SESSION, service_control=[DENY]).allowed


@pytest.mark.parametrize(
    ("spared", "by", "denied"),
    [
        ([USER.arn, ACCOUNT], USER, False),
        ([USER.arn], USER, True),
        ([ACCOUNT], USER, True),
        ([ACCOUNT], ROOT, False),
        ([SESSION.arn, ROLE_ARN, ACCOUNT], SESSION, False),
        ([ROLE_ARN, ACCOUNT], SESSION, True),
        (["*"], USER, False),
    ],
)
def test_not_principal(spared: list[str], by: Caller, denied: bool) -> None:
    """The account must be listed too, and the role of a session."""
    statement = {"Effect": "Deny", "NotPrincipal": {"AWS": spared}, "Action": "*", "Resource": "*"}
    assert decide(ALL, by=by, resource=statement).explicit is denied


def test_a_changed_policy_acts_at_once() -> None:
    request = Request("ecs:DescribeClusters", CLUSTER, USER, {})
    for _ in range(2):
        assert evaluate(request, Policies((attached(ALL, name="x"),))).allowed
        assert not evaluate(request, Policies((attached(ALL, DENY, name="x"),))).allowed


def test_a_stored_document_that_is_no_policy_is_an_error() -> None:
    with pytest.raises(ValueError, match="truncated"):
        evaluate(Request("a:b", "*", USER, {}), Policies((Attached("x", "{"),)))


def test_the_engine_is_pure() -> None:
    """It imports nothing of ours but ``aws``, and neither clock nor chance nor files of Python's."""
    folder = Path(policy.__file__).parent
    for path in folder.glob("*.py"):
        assert all(name.startswith(("aws.", "iam.policy")) for name in imports(path)), path
        names = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for name in node.names
        }
        assert {"time", "random", "os", "io", "pathlib", "socket"}.isdisjoint(name.name for name in names), path
