"""Decisions that are kept hang on nothing that a later request could bring."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dryport.ec2.room import room as ec2_room
from dryport.ecs.room import room as ecs_room
from dryport.iam.room import room as iam_room
from dryport.sts.room import room as sts_room
from tests.iam.accounts import ACCOUNT, User, statement, trust
from tests.served import Served, refusal


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("kept"), [iam_room, sts_room, ecs_room, ec2_room])
    yield running
    running.stop()


def test_a_condition_is_asked_with_each_request(served: Served) -> None:
    """Allowed with one tag, then not with another, on the same resource."""
    only = {"Condition": {"StringEquals": {"aws:RequestTag/team": "blue"}}}
    user = User(served, statement("Allow", "iam:TagUser", **only))
    tag = user.client("iam").tag_user
    for _ in range(2):
        tag(UserName=user.name, Tags=[{"Key": "team", "Value": "blue"}])
        assert refusal(tag, UserName=user.name, Tags=[{"Key": "team", "Value": "red"}])[0] == "AccessDenied"


def test_a_change_ends_what_was_kept(served: Served) -> None:
    user = User(served, statement("Allow", "iam:*"))
    ask = user.client("iam").list_users
    for _ in range(3):
        ask()
        user.may(statement("Allow", "iam:*"), statement("Deny", "iam:ListUsers"))
        assert refusal(ask)[0] == "AccessDenied"
        user.may(statement("Allow", "iam:*"))


CONTAINERS = [{"name": "main", "image": "busybox", "memory": 64}]


def post(user: User, operation: str, body: str) -> str:
    """A request of ECS's with a body as it is written: the code of its error, "" where it has none."""
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    headers["X-Amz-Target"] = f"AmazonEC2ContainerServiceV20141113.{operation}"
    url = user.served.endpoint + "/"
    request = AWSRequest("POST", url, headers=headers, data=body.encode())
    keys = Credentials(user.key["AccessKeyId"], user.key["SecretAccessKey"])
    SigV4Auth(keys, "ecs", "us-east-1").add_auth(request)
    sent = urllib.request.Request(url, body.encode(), dict(request.headers))
    try:
        urllib.request.urlopen(sent).close()
    except urllib.error.HTTPError as error:
        code: str = json.load(error)["__type"].rpartition("#")[2]
        return code
    return ""


def test_a_request_that_was_allowed_is_asked_again_after_a_change(served: Served) -> None:
    """The very same bytes, on a resource that a policy names."""
    arn = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/kept"
    user = User(served, statement("Allow", "ecs:DescribeClusters", arn))
    body, other = '{"clusters": ["kept"]}', '{"clusters": ["other"]}'
    for _ in range(3):
        assert post(user, "DescribeClusters", body) == ""
        assert post(user, "DescribeClusters", other) == "AccessDeniedException"
    user.may(statement("Allow", "ecs:DescribeClusters", arn + "x"))
    assert post(user, "DescribeClusters", body) == "AccessDeniedException"
    user.may(statement("Allow", "ecs:DescribeClusters", arn))
    assert post(user, "DescribeClusters", body) == ""


def test_who_may_do_all_may_not_do_it_to_other_accounts(served: Served) -> None:
    """However the ARN is written."""
    user = User(served, statement("Allow", "*"))
    assert post(user, "DescribeClusters", '{"clusters": ["kept"]}') == ""
    foreign = "arn:aws:ecs:us-east-1:111111111111:cluster/kept"
    for written in (foreign, foreign.replace("a", "\\u0061", 1), foreign.replace(":", "\\u003a", 1)):
        assert post(user, "DescribeClusters", f'{{"clusters": ["{written}"]}}') == "AccessDeniedException"
    user.may(statement("Allow", "*"), statement("Deny", "ecs:*", f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/secret"))
    assert post(user, "DescribeClusters", '{"clusters": ["kept"]}') == ""
    assert post(user, "DescribeClusters", '{"clusters": ["secret"]}') == "AccessDeniedException"


def test_who_may_do_all_of_ecs_may_not_pass_roles(served: Served) -> None:
    """Named by ARN or by name, however the member is written; nor start what has them."""
    served.client("iam").create_role(RoleName="kept", AssumeRolePolicyDocument=trust("ecs-tasks"))
    user = User(served, statement("Allow", "ecs:*"))
    served.client("ecs").create_cluster()
    start = f'{{"family": "kept", "containerDefinitions": {json.dumps(CONTAINERS)}'
    for _ in range(2):
        assert post(user, "RegisterTaskDefinition", start + "}") == ""
        for member in ("taskRoleArn", "executionRoleArn", "task\\u0052oleArn"):
            for role in ("kept", f"arn:aws:iam::{ACCOUNT}:role/kept"):
                written = f'{start}, "{member}": "{role}"}}'
                assert post(user, "RegisterTaskDefinition", written) == "AccessDeniedException"
    served.client("ecs").register_task_definition(
        family="kept", containerDefinitions=CONTAINERS, taskRoleArn=f"arn:aws:iam::{ACCOUNT}:role/kept"
    )
    run = '{"taskDefinition": "kept"}'
    assert post(user, "RunTask", run) == "AccessDeniedException"
    user.may(statement("Allow", ["ecs:*", "iam:PassRole"]))
    assert post(user, "RunTask", run) == "InvalidParameterException"  # there are no instances


def test_a_boundary_ends_what_is_free(served: Served) -> None:
    user = User(served, statement("Allow", "*"))
    iam = served.client("iam")
    assert post(user, "ListClusters", "{}") == ""
    iam.put_user_permissions_boundary(
        UserName=user.name, PermissionsBoundary="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    )
    assert post(user, "ListClusters", "{}") == "AccessDeniedException"
    iam.delete_user_permissions_boundary(UserName=user.name)
    assert post(user, "ListClusters", "{}") == ""
    once = {"Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}
    user.may(statement("Allow", "*", **once))
    assert post(user, "ListClusters", "{}") == "AccessDeniedException"
